"""The benchmark: strategies run side by side, and what their runs say."""
