"""Hooks, the registry and options: all that listing plug-ins needs; imports no torch."""
