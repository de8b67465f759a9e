"""What a drafter, a verifier and a stop policy must be: the classes that plug-ins derive from."""
