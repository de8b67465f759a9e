"""Layers on placed tokens: engine, cache, masks and positions; it knows no drafts and no stops.

A family adapter (``family``) says how a transformers model comes apart; ``engine`` runs the layers,
``cache`` holds keys and values in slots, ``placement`` says where each token goes and what it sees.
Rolling back is a length, and the accepted path of a tree is gathered into place: nothing is copied
per token. ``runners`` replay the same code.
"""
