"""load() and Decoder: the loop, ready to use."""
