"""From names and options to parts that fit together, and whose fault it is where they do not."""
