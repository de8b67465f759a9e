"""What people get: a result, its rounds, its text and its metrics."""
