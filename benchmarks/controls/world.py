"""Stands in for Ray Serve: its dashboard's REST API, and replicas that answer at once with the name of their slot.

    python -m benchmarks.controls.world SERVE_PORT DASHBOARD_PORT

It is what outlives a control plane that is killed. A release is the last part of its Bento's path; one whose name ends in
`-broken` does not start, and one whose name ends in `-failing` starts and answers every request with an error.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from http import HTTPStatus
from pathlib import PurePath
from typing import Any, Final

__all__ = ["World", "main", "second_slot"]

_APPLICATIONS: Final = "/api/serve/applications/"
_SLOTS: Final = ("blue", "green")
_END: Final = b"\r\n\r\n"
Answer = tuple[int, dict[str, Any]]


class World:
    """Two slots, and what was declared for them."""

    def __init__(self) -> None:
        self.declared: dict[str, dict[str, Any]] = {}

    def dashboard(self, method: str, path: str, body: bytes) -> Answer:
        """What Ray's dashboard answers."""
        if path != _APPLICATIONS:
            return 404, {}
        if method == "PUT":
            self.declared = {own["name"]: own for own in json.loads(body)["applications"]}
            return 200, {}
        found = {name: {"status": self._status(name), "deployed_app_config": own} for name, own in self.declared.items()}
        return 200, {"applications": found, "proxies": {"head": {"status": "HEALTHY"}}}

    def replica(self, method: str, path: str, body: bytes) -> Answer:
        """What Ray Serve's HAProxy answers, with one replica behind each slot."""
        slot, _, rest = path.strip("/").partition("/")
        if slot not in self.declared or self._status(slot) != "RUNNING":
            return 404, {}
        release_id = self._release(slot)
        if rest == "readyz":
            return 200, {"status": "ready", "release_id": release_id}
        if release_id.endswith("-failing"):
            return 500, {}
        item = {"item_id": "i1", "title": "", "score": 1.0, "position": 1, "source": "popular"}
        told = {"request_id": "r1", "release_id": release_id, "as_of": "2026-11-17T00:00:00Z", "items": [item]}
        return 200, {"slot": slot, **told}

    def _release(self, slot: str) -> str:
        return PurePath(self.declared[slot]["args"]["bento"]).name

    def _status(self, slot: str) -> str:
        return "DEPLOY_FAILED" if self._release(slot).endswith("-broken") else "RUNNING"


class _Line(asyncio.Protocol):
    """One connection: HTTP/1.1 with bodies of a stated length."""

    def __init__(self, answer: Callable[[str, str, bytes], Answer]) -> None:
        self._answer, self._got = answer, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        while _END in self._got:
            head, _, rest = self._got.partition(_END)
            first, *lines = head.decode().split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = int(fields.get("content-length", 0))
            if len(rest) < length:
                return
            self._got = rest[length:]
            method, path, _ = first.split(" ", 2)
            status, said = self._answer(method, path.partition("?")[0], rest[:length])
            body = json.dumps(said).encode()
            kind = b"application/json" if status < 400 else b"text/plain"
            self._transport.write(
                b"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
                % (status, HTTPStatus(status).phrase.encode(), kind, len(body), body)
            )


def second_slot(body: bytes) -> int:
    """Whether the slot green answered."""
    return int(b'"slot": "green"' in body)


async def _run(serve_port: int, dashboard_port: int) -> None:
    world, loop = World(), asyncio.get_running_loop()
    await loop.create_server(lambda: _Line(world.replica), "127.0.0.1", serve_port)
    server = await loop.create_server(lambda: _Line(world.dashboard), "127.0.0.1", dashboard_port)
    await server.serve_forever()


def main() -> None:
    """Serves until it is told to end."""
    asyncio.run(_run(int(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
