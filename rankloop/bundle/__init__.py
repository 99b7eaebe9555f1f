"""The one artifact of a release, checked by SHA-256 when it is opened; no pickle."""

from rankloop.bundle.bundle import Bundle, Parts
from rankloop.bundle.manifest import Manifest, verify
from rankloop.bundle.reference import Reference
from rankloop.bundle.transplant import transplant

__all__ = ["Bundle", "Manifest", "Parts", "Reference", "transplant", "verify"]
