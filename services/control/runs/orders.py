"""What a run is asked to do, as it is recorded and sent over the wire."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import msgspec

from pipelines.launch import Order
from pipelines.watch import WatchOrder
from rankloop.canary import Policy
from rankloop.contracts import SURFACES
from rankloop.drift import DriftPolicy
from rankloop.errors import ControlError, SettingsError
from rankloop.recipe import Recipe
from rankloop.sources import SOURCES
from services.settings import Settings

__all__ = ["RunOrder", "known_place", "known_surface"]

_SHARED: Final = ("source", "path", "mapping", "policy")
_OF_RELEASE: Final = ("recipe", "alone", "at_once")
_POLICY_OF: Final = {"release": Policy.of, "drift_watch": DriftPolicy.of}


class RunOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The order of one run; two equal orders ask for the same.

    Attributes:
        source: the adapter's name.
        path: what it reads, as the machine sees it that runs the pipeline.
        mapping: the YAML of the `mapping` source; empty for the others.
        recipe: fields of the recipe that differ from their defaults.
        alone: compare with the popular baseline alone, as for a first release.
        at_once: let the release serve everybody without a canary.
        policy: fields that differ from the default, of the canary's policy, or of the drift policy in a drift watch.
        pipeline: `release`, or `drift_watch`, which takes no recipe and leads to no canary.
        hours: the length of the window that a drift watch looks at; it ends when the run begins.

    Example:
        >>> RunOrder.of({"source": "contract", "path": "/data/log"}).fields()["alone"]
        False
    """

    source: str
    path: str
    mapping: str = ""
    recipe: dict[str, Any] = {}
    alone: bool = False
    at_once: bool = False
    policy: dict[str, Any] = {}
    pipeline: Literal["release", "drift_watch"] = "release"
    hours: Annotated[float, msgspec.Meta(gt=0, le=24 * 366)] = 24.0

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """The order with these fields.

        Raises:
            ControlError: a field that is none, or a value that cannot work.
        """
        try:
            order = msgspec.convert(dict(fields), cls)
            Recipe.from_mapping(order.recipe)
            _POLICY_OF[order.pipeline](order.policy)
            _assert_fits(order)
        except (msgspec.ValidationError, SettingsError) as error:
            raise ControlError(f"this order cannot be run: {error}") from error
        if order.source not in SOURCES:
            raise ControlError(f"source is {order.source!r}; give one of {', '.join(sorted(SOURCES))}")
        known_place("path", order.path)
        if order.mapping:
            known_place("mapping", order.mapping)
        return order

    def fields(self) -> dict[str, Any]:
        """As it is recorded."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    def at(self, settings: Settings, surface: str) -> Order | WatchOrder:
        """The pipeline's order, with the addresses of one place."""
        return self.sent(surface, control_api=settings.control_url, ray_address=settings.ray_address)

    def sent(self, surface: str, *, control_api: str, ray_address: str, bundle: str = "") -> Order | WatchOrder:
        """The pipeline's order.

        Args:
            surface: what a drift watch looks at.
            control_api: the control plane, as the steps see it.
            ray_address: the cluster to tune on.
            bundle: whose reference a drift watch compares with, as the steps see it; empty: it asks the control plane.
        """
        own = self.fields()
        shared = {name: own[name] for name in _SHARED}
        if self.pipeline == "drift_watch":
            return WatchOrder(**shared, surface=surface, hours=self.hours, control_api=control_api, bundle=bundle)
        return Order(**shared, **{name: own[name] for name in _OF_RELEASE}, control_api=control_api, ray_address=ray_address)


def _assert_fits(order: RunOrder) -> None:
    given = [name for name in _OF_RELEASE if getattr(order, name)]
    if order.pipeline == "drift_watch" and given:
        raise SettingsError(f"a drift watch makes no release, and has {', '.join(given)}; leave that out")


def known_place(name: str, path: str) -> str:
    """The path itself.

    Raises:
        ControlError: it means another place to whoever asks than to whoever reads it.
    """
    if "://" not in path and not Path(path).is_absolute():
        raise ControlError(f"{name} is {path!r}; give an absolute path, or an address such as s3://bucket/log")
    return path


def known_surface(surface: str) -> str:
    """The surface itself.

    Raises:
        ControlError: there is none of that name.
    """
    if surface not in SURFACES:
        raise ControlError(f"surface is {surface!r}; give one of {', '.join(SURFACES)}")
    return surface
