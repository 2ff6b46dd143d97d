"""Revisions of the register's tables, oldest first."""
