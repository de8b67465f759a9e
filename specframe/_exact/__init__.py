"""Exact mode: passes of one shape, so that logits have the same bits whatever the strategy."""
