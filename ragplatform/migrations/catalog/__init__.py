"""Revisions of the catalog's tables, oldest first."""
