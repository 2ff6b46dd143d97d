"""Revisions of the audit index's tables, oldest first."""
