"""What a drafter, a verifier and a stop policy must be: the classes that plug-ins derive from.

The loop calls nothing else of a plug-in. Each has one method that must be written; the defaults do
nothing, so a drafter of five lines is a drafter.
"""
