"""Plain against speculative decoding, and whether a difference is rounding or a bug."""
