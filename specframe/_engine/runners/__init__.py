"""How passes run: as they come, recorded as CUDA graphs, or compiled and recorded."""
