"""What `specframe doctor` looks at: the machine, the plug-ins, a model."""
