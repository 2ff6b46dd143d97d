"""Revisions of the tables of configured sources, oldest first."""
