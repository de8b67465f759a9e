"""The target: prefill, score, commit, and the checks of what parts hand it."""
