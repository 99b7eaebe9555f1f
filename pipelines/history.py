"""Which runs released what: an append-only record under the state folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

__all__ = ["History", "Record"]

_FILE: Final = "releases.jsonl"


@dataclass(frozen=True)
class Record:
    """One run that ended.

    Attributes:
        at: when it ended, ISO 8601, UTC.
        run_id: names its folder.
        verdict: the gate's.
        release_id: what it put into service; None where the gate did not pass.
        bundle: that release's bundle, as a folder; empty where there is none.
        inputs: fingerprint of everything that went in, less the champion.
        champion: the bundle it was compared with; empty where none served.
    """

    at: str
    run_id: str
    verdict: str
    release_id: str | None
    bundle: str
    inputs: str
    champion: str


class History:
    """Reads and appends `<home>/releases.jsonl`.

    Args:
        home: the state folder.
    """

    def __init__(self, home: Path) -> None:
        self._file = home / _FILE

    def records(self) -> list[Record]:
        """Every record, oldest first."""
        if not self._file.exists():
            return []
        return [Record(**json.loads(line)) for line in self._file.read_text().splitlines() if line]

    def champion_for(self, inputs: str, serving: str | None) -> str:
        """The bundle a run with these inputs has to beat.

        It is the serving release's. A run that repeats the one that made it, or a later one (whose release is a canary
        still, or was rolled back), has the same champion as before, so that nothing new is found to do.

        Args:
            inputs: fingerprint of what goes in.
            serving: the release that serves; None where none does.
        """
        for record in reversed(self.records()):
            if record.release_id and record.inputs == inputs:
                return record.champion
            if record.release_id and record.release_id == serving:
                return record.bundle
        return ""

    def record(self, run_id: str, verdict: str, deployed: Mapping[str, Any], *, inputs: str, champion: str) -> None:
        """Appends how a run ended; `deployed` holds `release_id` and `bundle`, or nothing."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        record = Record(at, run_id, verdict, deployed.get("release_id"), deployed.get("bundle", ""), inputs, champion)
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(record)) + "\n")
