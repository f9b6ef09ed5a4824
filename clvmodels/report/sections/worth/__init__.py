"""What the base is worth, to whom it belongs, and who moved."""
