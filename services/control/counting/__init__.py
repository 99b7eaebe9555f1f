"""The control plane's series, brought up to date from the record."""

from services.control.counting.updating import Counting

__all__ = ["Counting"]
