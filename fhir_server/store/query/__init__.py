"""Queries: how a condition is asked of the database so that an index answers it."""
