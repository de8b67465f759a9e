"""The target: prefill, score, commit, and the checks of what parts hand it.

``Target`` holds an engine for one decode: ``prefill`` fills the cache, ``score`` runs one pass over
all nodes of a draft, ``commit`` cuts the accepted path at its stops and keeps it. Whatever a
plug-in hands over is checked here, where it is first used.
"""
