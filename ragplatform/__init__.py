"""A retrieval-augmented-generation platform that keeps regulated records inside your network."""

__version__ = "0.1.0"
