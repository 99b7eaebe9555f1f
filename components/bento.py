"""Builds a Bento in a process of its own: a step knows the service only by name."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rankloop.errors import BundleError

__all__ = ["build_bento"]


def build_bento(bundle: Path, store: Path) -> dict[str, Any]:
    """Packs a bundle and the code that answers from it.

    Args:
        bundle: the bundle's folder.
        store: the Bento store, made where it is missing.

    Returns:
        `tag`, `path`, `release_id`, `seconds`, `bytes`.

    Raises:
        BundleError: the bundle is not intact, or BentoML refuses it.
    """
    command = [sys.executable, "-m", "services.ranking.bento", "build", str(bundle), "--store", str(store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BundleError(done.stderr.strip()[-1200:])
    built: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return built
