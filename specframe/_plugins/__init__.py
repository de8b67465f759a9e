"""Hooks, the registry and options: what lists plug-ins; imports no torch."""
