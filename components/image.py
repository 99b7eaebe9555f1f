"""The container image every step runs in on a cluster; locally a step runs in this interpreter."""

import os
from typing import Final

from rankloop import __version__

__all__ = ["IMAGE"]

IMAGE: Final = os.environ.get("RANKLOOP_IMAGE", f"rankloop/steps:{__version__}-python3.11")
"""Set `RANKLOOP_IMAGE` when compiling for a cluster whose registry has another name for it."""
