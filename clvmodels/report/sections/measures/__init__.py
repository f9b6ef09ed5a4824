"""What to do, what it may cost, and what it brings."""
