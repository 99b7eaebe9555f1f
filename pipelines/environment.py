"""What a process must have in its environment before it imports Ray, to use a Ray on this machine."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["RAY_ENVIRONMENT"]

RAY_ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "RAY_USAGE_STATS_ENABLED": "0",
        # a local `ray.init()` of anybody leaves a token in the user's home, and Ray would ask for it from then on
        "RAY_AUTH_MODE": "disabled",
        # without clusters Ray binds, and looks for, the loopback address only, as it does by itself on macOS
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
)
