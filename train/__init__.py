"""Trains the tagger of personal data. Not installed: only its result is."""
