"""How much a search may try."""

from dataclasses import dataclass

from rankloop.errors import SettingsError

__all__ = ["Budget"]


@dataclass(frozen=True)
class Budget:
    """How much may be tried.

    Attributes:
        trials: settings tried, the given ones first.
        rounds: trees a trial may grow.
        seconds: a safety net for the whole search; when it tears, the result depends on the machine, and says so.
        reduction: one in this many trials passes a rung.
        cpus: cores to use, one a trial; None uses all there are.
    """

    trials: int = 12
    rounds: int = 300
    seconds: float = 900.0
    reduction: int = 3
    cpus: int | None = None

    def __post_init__(self) -> None:
        for name in ("trials", "rounds", "seconds"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"budget: {name} is {getattr(self, name)}; it must be above 0")
        if self.cpus is not None and self.cpus < 1:
            raise SettingsError(f"budget: cpus is {self.cpus}; at least 1, or None for all there are")
