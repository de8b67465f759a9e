"""load() and Decoder: the loop, ready to use.

A decoder serves one call at a time, and tells observers what happened; a request is checked as a
whole before anything is decoded.
"""
