"""Bytes of an untrusted document into text with structure, in a limited process of its own."""
