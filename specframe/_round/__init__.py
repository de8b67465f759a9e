"""The values of one round: rows, the tree that grows, draft, scores, verdict, commit."""
