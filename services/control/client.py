"""A small client of the control plane, for the terminal and for programs."""

import getpass
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from rankloop.errors import ApiError, DataError, Unavailable
from services.control.wire import (
    CanaryList,
    CanaryShown,
    ControlReadiness,
    DecisionList,
    Diff,
    EventList,
    NewRelease,
    Registered,
    ReleaseList,
    ReleaseShown,
    Scores,
    ServingShown,
    SlotsShown,
    Told,
    Why,
)
from services.control.wire_changes import FillSlot, GiveShare, NewCanary, ServeRelease
from services.control.wire_drift import DriftList
from services.ranking.schemas import Problem
from services.settings import Settings

if TYPE_CHECKING:  # what they import takes longer than most commands of the terminal
    from rankloop.drift.report import DriftReport
    from services.control.wire_experiments import ExperimentList, ExperimentShown, NewExperiment

__all__ = ["ControlClient", "terminal_user"]

T = TypeVar("T")


class ControlClient:
    """Asks the control plane; every answer is typed, and every refusal is a sentence.

    A request is sent once: where no answer came, ask for the state before it is sent again.

    Args:
        url: its address.
        token: empty: none.
        who: whose name the history keeps where the control plane asks for no token; empty: this terminal's user.
        seconds: the longest wait for an answer; a rollback answers once every edge has it.
        transport: instead of the network.

    Example:
        >>> with ControlClient("http://127.0.0.1:8002") as control:  # doctest: +SKIP
        ...     control.start_canary("r20260304-a67b2c06", why="the new ranker").weight_bp
        100
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        who: str = "",
        seconds: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url
        headers = {"X-Rankloop-Who": quote(who or terminal_user())}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            self._http = httpx.Client(
                base_url=url, headers=headers, timeout=httpx.Timeout(seconds, connect=5.0), transport=transport
            )
        except httpx.InvalidURL as error:
            raise DataError(f"{url!r} is no address: {error}; give one such as http://127.0.0.1:8002") from error

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> "ControlClient":
        """The client of this machine's control plane, with `RANKLOOP_TOKEN`."""
        return cls(settings.control_url, settings.token, **options)

    def ready(self) -> ControlReadiness:
        """Who leads, and what the last round could not do."""
        return self._get("/readyz", ControlReadiness)

    def releases(self) -> ReleaseList:
        """Every release, the newest first."""
        return self._get("/v1/releases", ReleaseList)

    def release(self, release_id: str) -> ReleaseShown:
        """One release, with fingerprints and lineage."""
        return self._get(f"/v1/releases/{_part(release_id)}", ReleaseShown)

    def register(self, release: NewRelease) -> Registered:
        """Registers a release and, where it says so, starts a canary or makes it serve."""
        return self._post("/v1/releases", release, Registered)

    def diff(self, before: str, after: str, *, requests: int = 0) -> Diff:
        """How a release differs from another; with `requests`, also their rankings of so many real requests."""
        path = f"/v1/releases/{_part(before)}/diff/{_part(after)}"
        return self._get(path, Diff, requests=requests or None)

    def serving(self, at: str = "") -> ServingShown:
        """Who got which release at a moment, ISO 8601; empty: now."""
        return self._get("/v1/serving", ServingShown, at=at or None)

    def slots(self) -> SlotsShown:
        """What should be, beside what edges and Serve say."""
        return self._get("/v1/slots", SlotsShown)

    def canaries(self) -> CanaryList:
        """Every canary, the newest first."""
        return self._get("/v1/canaries", CanaryList)

    def canary(self, canary_id: str) -> CanaryShown:
        """One canary, with its newest decision."""
        return self._get(f"/v1/canaries/{_part(canary_id)}", CanaryShown)

    def decisions(self, canary_id: str, *, after: int | None = None, limit: int | None = None) -> DecisionList:
        """What a canary saw and decided, oldest first; with `after` only what came later."""
        return self._get(f"/v1/canaries/{_part(canary_id)}/decisions", DecisionList, after=after, limit=limit)

    def start_canary(self, release_id: str, policy: dict[str, Any] | None = None, *, why: str, force: str = "") -> CanaryShown:
        """Tries a release beside the one that serves."""
        return self._post("/v1/canaries", NewCanary(release_id, why, policy or {}, force), CanaryShown)

    def change_canary(self, canary_id: str, act: str, *, why: str) -> CanaryShown:
        """Does one of pause, resume, promote and abort to a canary."""
        return self._post(f"/v1/canaries/{_part(canary_id)}/{_part(act)}", Why(why), CanaryShown)

    def experiments(self) -> "ExperimentList":
        """Every experiment, the newest first."""
        from services.control.wire_experiments import ExperimentList

        return self._get("/v1/experiments", ExperimentList)

    def experiment(self, experiment_id: str) -> "ExperimentShown":
        """One experiment, with its readout once its outcomes have come."""
        from services.control.wire_experiments import ExperimentShown

        return self._get(f"/v1/experiments/{_part(experiment_id)}", ExperimentShown)

    def begin_experiment(self, asked: "NewExperiment") -> "ExperimentShown":
        """Gives a share of the units both slots' lists, interleaved, for a time that is fixed before."""
        from services.control.wire_experiments import ExperimentShown

        return self._post("/v1/experiments", asked, ExperimentShown)

    def end_experiment(self, experiment_id: str, *, why: str) -> "ExperimentShown":
        """Ends an experiment before its time."""
        from services.control.wire_experiments import ExperimentShown

        return self._post(f"/v1/experiments/{_part(experiment_id)}/end", Why(why), ExperimentShown)

    def rollback(self, *, why: str) -> Told:
        """Goes back to the release that served before."""
        return self._post("/v1/rollback", Why(why), Told)

    def serve(self, release_id: str, *, why: str, force: str = "") -> Told:
        """Makes a release serve everybody at once."""
        return self._post("/v1/serve", ServeRelease(release_id, why, force), Told)

    def hold(self, release_id: str, *, why: str) -> Told:
        """Puts a release into the idle slot, where nobody gets it; it is loaded after the answer came."""
        return self._post("/v1/slots/fill", FillSlot(release_id, why), Told)

    def weigh(self, share_bp: int, *, why: str) -> Told:
        """Gives the idle slot a share of the units, basis points, with no canary to judge it."""
        return self._post("/v1/slots/weight", GiveShare(share_bp, why), Told)

    def interleave(self, share_bp: int, *, why: str) -> Told:
        """Gives a share of the units both slots' lists, interleaved, basis points."""
        return self._post("/v1/slots/interleave", GiveShare(share_bp, why), Told)

    def swap(self, *, why: str) -> Told:
        """Makes the idle slot the stable one; the other one stays warm."""
        return self._post("/v1/slots/swap", Why(why), Told)

    def empty(self, *, why: str) -> Told:
        """Ends what the idle slot holds; it ends after the answer came."""
        return self._post("/v1/slots/clear", Why(why), Told)

    def drift_reports(self, **chosen: Any) -> DriftList:
        """Reports of drift, those made last first; chosen by surface, verdict, before and limit."""
        return self._get("/v1/drift", DriftList, **chosen)

    def drift_report(self, report_id: str) -> "DriftReport":
        """One report of drift, whole."""
        from rankloop.drift.report import DriftReport

        return self._get(f"/v1/drift/{_part(report_id)}", DriftReport)

    def events(self, **chosen: Any) -> EventList:
        """What was changed, the newest first; chosen by kind, subject, since, until, after and limit."""
        return self._get("/v1/events", EventList, **chosen)

    def scoreboard(self) -> Scores:
        """What was measured offline beside what was measured online."""
        return self._get("/v1/scoreboard", Scores)

    def get(self, path: str, kind: type[T], /, **query: Any) -> T:
        """Any other route's answer."""
        return self._get(path, kind, **query)

    def send(self, method: str, path: str, body: Any, kind: type[T]) -> T:
        """Sends any other route a body; None: without one."""
        return self._asked(method, path, kind, content=None if body is None else msgspec.json.encode(body))

    def text(self, path: str) -> str:
        """Any other route's answer that is text."""
        return self._answer("GET", path).text

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> "ControlClient":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _get(self, path: str, kind: type[T], /, **query: Any) -> T:
        return self._asked("GET", path, kind, params={name: value for name, value in query.items() if value is not None})

    def _post(self, path: str, body: msgspec.Struct, kind: type[T]) -> T:
        return self.send("POST", path, body, kind)

    def _asked(self, method: str, path: str, kind: type[T], **more: Any) -> T:
        answer = self._answer(method, path, **more)
        try:
            return msgspec.json.decode(answer.content or b"null", type=kind)
        except msgspec.MsgspecError as error:
            raise self._strange(answer) from error

    def _answer(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Content-Type": "application/json"} if more.get("content") is not None else {}
        try:
            answer = self._http.request(method, path, headers=headers, **more)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise DataError(f"{self.url!r} is no address: {error}; give one such as http://127.0.0.1:8002") from error
        except httpx.TransportError as error:
            why = f"{self.url}: {str(error) or type(error).__name__}"
            raise Unavailable(None, why, "none", "start the control plane with `rankloop up`") from error
        if not answer.is_success:
            raise self._refusal(answer)
        return answer

    def _refusal(self, answer: httpx.Response) -> ApiError:
        try:
            problem = msgspec.json.decode(answer.content, type=Problem)
        except msgspec.MsgspecError:
            return self._strange(answer)
        kind = Unavailable if answer.status_code == 503 else ApiError
        return kind(answer.status_code, problem.detail, problem.request_id)

    def _strange(self, answer: httpx.Response) -> ApiError:
        said = f"{self.url} said {answer.text.strip()[:200]!r}, which the control plane would not"
        remedy = "look what listens there, or set RANKLOOP_CONTROL_PORT"
        return ApiError(answer.status_code, said, answer.headers.get("x-request-id", "none"), remedy)


def _part(text: str) -> str:
    return quote(text, safe="")


def terminal_user() -> str:
    """Who sits at this terminal, as the system calls them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
