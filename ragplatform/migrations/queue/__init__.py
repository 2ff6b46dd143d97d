"""Revisions of the tables of asked-for ingest runs, oldest first."""
