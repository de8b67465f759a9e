"""What drafters are built of: chains that grow, parts that are made of parts."""
