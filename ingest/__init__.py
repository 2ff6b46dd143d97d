"""Batch ingest: documents in, searched for personal data, transformed, indexed and on record."""
