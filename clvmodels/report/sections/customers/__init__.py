"""How the base has come about and changed: winning, developing, keeping and losing customers."""
