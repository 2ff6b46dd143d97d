"""The commands of batch ingest, a module each."""
