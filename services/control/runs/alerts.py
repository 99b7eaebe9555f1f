"""Alerts that start runs or take a release back: which, and how often at most."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import msgspec
import yaml

from rankloop.errors import ControlError
from services.control.runs.orders import RunOrder, known_surface
from services.control.wire import Alert

__all__ = ["AlertPolicy", "AlertRule"]


class AlertRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What follows from which alerts.

    Attributes:
        alerts: names of alerts.
        labels: labels an alert must have, with their values; empty: any.
        act: start a `run`, or `roll back` to the release that served before.
        order: what the run is to do; fields of `RunOrder`.
        surface: the run's surface; empty: what the alert's label `surface` says, else `job_feed`.
        window_seconds: the same alert is answered once within so many seconds.
    """

    alerts: list[str]
    labels: dict[str, str] = {}
    act: Literal["run", "roll back"] = "run"
    order: dict[str, Any] = {}
    surface: str = ""
    window_seconds: Annotated[float, msgspec.Meta(gt=0)] = 6 * 3600.0

    def concerns(self, alert: Alert) -> bool:
        """Whether it is about this alert, while it fires.

        Example:
            >>> rule = AlertRule(alerts=["FeatureDrift"], order={})
            >>> rule.concerns(Alert("firing", {"alertname": "FeatureDrift"}))
            True
        """
        named = alert.status == "firing" and alert.labels.get("alertname") in self.alerts
        return named and all(alert.labels.get(name) == value for name, value in self.labels.items())

    def surface_of(self, alert: Alert) -> str:
        """The run's surface."""
        return known_surface(self.surface or alert.labels.get("surface", "") or "job_feed")


class AlertPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All rules; the first that concerns an alert holds.

    Example:
        >>> order = {"source": "contract", "path": "/data/log"}
        >>> AlertPolicy.of({"rules": [{"alerts": ["FeatureDrift"], "order": order}]}).rules[0].window_seconds
        21600.0
    """

    rules: list[AlertRule] = []

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """The policy with these fields.

        Raises:
            ControlError: a field that is none, or a value that cannot work.
        """
        try:
            policy = msgspec.convert(dict(fields), cls)
        except msgspec.ValidationError as error:
            raise ControlError(f"this policy for alerts cannot work: {error}") from error
        for rule in policy.rules:
            if rule.act == "roll back" and (rule.order or rule.surface):
                raise ControlError(
                    f"the rule for {', '.join(rule.alerts)} rolls back, and has an order; give it no order and no surface"
                )
            if rule.act == "run":
                RunOrder.of(rule.order)
            if rule.surface:
                known_surface(rule.surface)
        return policy

    @classmethod
    def read(cls, file: Path) -> Self:
        """The policy of a YAML file.

        Raises:
            ControlError: it cannot be read, or cannot work.
        """
        try:
            fields = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ControlError(f"the policy for alerts at {file} cannot be read: {error}") from error
        if not isinstance(fields, dict):
            raise ControlError(f"the policy for alerts at {file} holds {type(fields).__name__}; write `rules:` and a list")
        return cls.of(fields)

    def rule_for(self, alert: Alert) -> AlertRule | None:
        """The rule that holds for an alert; None where it starts no run."""
        return next((rule for rule in self.rules if rule.concerns(alert)), None)
