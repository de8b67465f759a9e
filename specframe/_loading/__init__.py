"""From a folder, a hub id or a loaded model to an engine that passed the probe."""
