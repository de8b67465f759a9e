"""The algorithm: the decode loop, and what happens between two rounds."""
