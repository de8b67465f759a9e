"""From names and options to parts that fit together, and whose fault it is if they do not.

Names and options are checked before a model is read. The stop policy is built last: the drafter may
know values that fit it (Kangaroo's adapter has a threshold in its metadata). What the user says
wins, then what the drafter suggests, then the policy's own default.
"""
