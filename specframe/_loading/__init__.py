"""From a folder, a hub id or a loaded model to an engine that passed the probe.

A model is admitted by a probe, never by its name alone.
"""
