"""Revisions of the table of editions, oldest first."""
