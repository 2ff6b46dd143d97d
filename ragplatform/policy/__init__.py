"""Decides, by Cedar policies, who may read what for which purpose, and says why.

``engine.Policies`` is the way in. Whatever is not permitted is denied, and so is whatever fails.
"""
