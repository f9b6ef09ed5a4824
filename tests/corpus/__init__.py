"""Bad and nasty inputs as data: what is given, to which entry, and what is right."""
