"""Every error that Rankloop raises on purpose.

    RankloopError
    ├── DataError                 what came in is not what the contract asks for
    │   ├── ContractBreach        a table has more bad rows than its budget allows
    │   └── SourceError           an outside file cannot be read as the adapter expects
    ├── ModelError                a model that cannot be right
    │   └── NotFitted             asked for an answer before `fit` or `load`
    ├── BundleError               a release's files are missing, altered, or of another format
    ├── Overloaded                more is asked than can be answered in time
    ├── SettingsError             a setting has a value that cannot work
    ├── SpoolError                records cannot be kept on this machine's disk
    │   └── SpoolFull             there is no room for more, and the policy is to refuse
    ├── StateUnavailable          the online store does not answer in time
    ├── ControlError              the control plane refuses, or cannot do, what was asked
    │   ├── Conflict              something else changed it first, or its state does not allow it
    │   └── Missing               there is nothing of that name
    ├── PartMissing               the other slot did not give its part of an answer
    ├── ApiError                  the service refused what the client asked, or failed
    │   └── Unavailable           no answer came, or only "later", as often as the client tried
    └── StackError                a process of the laptop stack did not start, answer, or stop
        └── PortBusy              a port the stack needs belongs to another process

A message names the value, the rule, and what to do.
"""

from collections.abc import Sequence

__all__ = [
    "ApiError",
    "BundleError",
    "Conflict",
    "ContractBreach",
    "ControlError",
    "DataError",
    "Missing",
    "ModelError",
    "NotFitted",
    "Overloaded",
    "PartMissing",
    "PortBusy",
    "RankloopError",
    "SettingsError",
    "SourceError",
    "SpoolError",
    "SpoolFull",
    "StackError",
    "StateUnavailable",
    "Unavailable",
]


class RankloopError(Exception):
    """The base of every error raised on purpose; the terminal prints it without a trace."""


class DataError(RankloopError):
    """What came in is not what the contract asks for."""


class ContractBreach(DataError):
    """A table has more bad rows than its budget allows.

    Attributes:
        table: the contract table's name.
        rule: the rule that was broken.
        count: how many rows broke it.
        examples: up to three of the rows, as dictionaries.
    """

    def __init__(self, table: str, rule: str, count: int, examples: Sequence[dict[str, object]], remedy: str) -> None:
        self.table, self.rule, self.count, self.examples = table, rule, count, tuple(examples)
        shown = "\n".join(f"    {row}" for row in self.examples)
        super().__init__(f"table {table!r}, rule {rule!r}: {count} bad rows, over budget. {remedy}\n  for example:\n{shown}")


class SourceError(DataError):
    """An outside file cannot be read as the adapter expects."""


class ModelError(RankloopError):
    """A model that cannot be right: NaN weights, features of another shape, an empty training set."""


class NotFitted(ModelError):
    """Asked for an answer before `fit` or `load`."""


class BundleError(RankloopError):
    """A release's files are missing, altered, or of another format."""


class Overloaded(RankloopError):
    """More is asked than can be answered in time; ask again a little later."""


class SettingsError(RankloopError):
    """A setting has a value that cannot work."""


class SpoolError(RankloopError):
    """Records cannot be kept on this machine's disk."""


class SpoolFull(SpoolError):
    """There is no room for more records, and the policy is to refuse."""


class StateUnavailable(RankloopError):
    """The online store does not answer, or not in time."""


class PartMissing(RankloopError):
    """The other slot did not give its part of an answer: it is empty, refused, broke off or was late."""


class ApiError(RankloopError):
    """The service refused what the client asked, or failed.

    Attributes:
        status: the HTTP status; None where no answer came.
        detail: why, in the service's words.
        request_id: names the request in the service's logs.
        unsent: of events that were sent in several batches, those that the service did not take; each has its id, so
            that sending them again is safe.
    """

    def __init__(self, status: int | None, detail: str, request_id: str, remedy: str = "") -> None:
        self.status, self.detail, self.request_id = status, detail, request_id
        self.unsent: Sequence[object] = ()
        said = f"the service answered {status}" if status else "no answer came"
        super().__init__(f"{said}: {detail} (request {request_id})" + (f"; {remedy}" if remedy else ""))


class Unavailable(ApiError):
    """No answer came, or only "later", as often as the client tried."""


class StackError(RankloopError):
    """A process of the laptop stack did not start, answer, or stop."""


class PortBusy(StackError):
    """A port the stack needs belongs to another process."""


class ControlError(RankloopError):
    """The control plane refuses, or cannot do, what was asked."""


class Conflict(ControlError):
    """Something else changed it first, or its state does not allow it."""


class Missing(ControlError):
    """There is nothing of that name."""
