"""The terminal program: `rankloop ...`."""

from services.cli.app import main

__all__ = ["main"]
