"""A Ravi to develop against: the same HTTP, SQLite underneath, identities that are not real."""
