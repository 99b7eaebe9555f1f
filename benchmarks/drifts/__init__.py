"""Rows with known changes, and what is found in them, by us and by others."""
