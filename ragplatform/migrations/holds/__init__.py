"""Revisions of the table of legal holds, oldest first."""
