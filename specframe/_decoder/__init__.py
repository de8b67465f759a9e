"""load() and Decoder: the loop, made ready for people."""
