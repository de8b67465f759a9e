"""Inside transformers' `generate`: what `custom_generate` reads, refuses and returns."""
