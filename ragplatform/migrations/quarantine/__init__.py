"""Revisions of the quarantine's tables, oldest first."""
