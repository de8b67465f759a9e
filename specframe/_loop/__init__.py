"""The algorithm: the decode loop, and what happens between two rounds.

``rounds`` is the whole algorithm, and knows no strategy by name.
"""
