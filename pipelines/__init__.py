"""Wiring only: names and edges, compiled for a cluster or run on this machine."""
