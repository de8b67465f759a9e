"""The values of one round: rows, the tree that grows, draft, scores, verdict, commit.

All have a leading batch axis. A value between two parts is frozen, and names shapes by one
vocabulary of axes: batch, node, token, vocab, hidden.
"""
