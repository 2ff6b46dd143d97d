"""Revisions of the vault's tables, oldest first."""
