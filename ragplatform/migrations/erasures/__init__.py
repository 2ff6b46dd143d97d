"""Revisions of the tables of orders to erase, oldest first."""
