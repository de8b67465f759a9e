"""From names and options to parts that fit together, and whose fault it is if they do not."""
