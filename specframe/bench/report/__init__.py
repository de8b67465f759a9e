"""The page of a benchmark: charts, tables and the words between them."""
