"""Hooks, the registry and options: all that listing plug-ins needs; imports no torch.

An entry point names a module with hooks; what they register becomes a component of the registry,
with an options class of attrs that ``-o key=value`` is structured into.
"""
