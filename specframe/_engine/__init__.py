"""Layers on placed tokens: engine, cache, masks and positions; it knows no drafts and no stops."""
