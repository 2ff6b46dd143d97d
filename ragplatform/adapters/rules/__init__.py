"""Personal data found by rules alone: fast, explained, and the same on every machine."""
