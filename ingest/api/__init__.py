"""The routes of ingest, which the query service serves beside its own."""
