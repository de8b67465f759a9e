"""What `specframe new` writes, and its templates."""
