"""Revisions of the tables of batches, oldest first."""
