"""`specframe bench`: its flags, its prompts, what it prints while it runs and at the end."""
