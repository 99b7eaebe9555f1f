"""Ray Serve as the control plane sees it, without Ray: its REST API, both slots, and a Kubernetes API with KubeRay's operator."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

SERVE = "/api/serve/applications/"
RESOURCE = "/apis/ray.io/v1/namespaces/prod/rayservices/rankloop"


class ToyServe:
    """Applications that start when they were looked at often enough; a Bento's last name is its release.

    Attributes:
        looks: how often an application is looked at before it runs, or fails, or is gone.
        broken: releases that cannot start.
        declared: how often applications were declared.
        answers: False: the dashboard answers 503.
        port: where everything is answered: Serve's API, the slots, and the Kubernetes API.
    """

    def __init__(self) -> None:
        self.looks, self.declared, self.answers = 2, 0, True
        self.broken: set[str] = set()
        self.applications: dict[str, dict[str, Any]] = {}
        self.serving: dict[str, str] = {}
        self.cluster = ToyCluster(self)
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def speak_tls(self, certificate: Path, key: Path) -> None:
        """From now on everything is answered over TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def declare(self, applications: list[dict[str, Any]]) -> None:
        """As Serve: the same one again changes nothing, not even after it failed; those that are not named end."""
        with self._lock:
            self.declared += 1
            for wanted in applications:
                now = self.applications.get(wanted["name"])
                if now is None or now["deployed_app_config"] != wanted or now["status"] == "DELETING":
                    self.applications[wanted["name"]] = {"deployed_app_config": wanted, "status": "DEPLOYING", "left": self.looks}
            for name in self.applications.keys() - {own["name"] for own in applications}:
                self.applications[name] |= {"status": "DELETING", "left": self.looks}

    def details(self) -> dict[str, Any]:
        with self._lock:
            for name, own in list(self.applications.items()):
                if own["left"] > 0:
                    own["left"] -= 1
                elif own["status"] == "DELETING":
                    del self.applications[name]
                    self.serving.pop(name, None)
                elif own["status"] == "DEPLOYING":
                    release_id = Path(own["deployed_app_config"].get("args", {}).get("bento", "theirs")).name
                    if release_id in self.broken:
                        own |= {"status": "DEPLOY_FAILED", "message": f"BundleError: {release_id} is altered"}
                    else:
                        own["status"], self.serving[name] = "RUNNING", release_id
            shown = ("deployed_app_config", "status", "message")
            return {
                "proxies": {"node": {"status": "HEALTHY"}},
                "http_options": {"host": "127.0.0.1", "port": self.port},
                "applications": {
                    name: {"message": "", "deployments": {}} | {key: own[key] for key in shown if key in own}
                    for name, own in self.applications.items()
                },
            }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        toy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                slot, _, rest = self.path.strip("/").partition("/")
                if self.path == SERVE:
                    self._say(*((200, toy.details()) if toy.answers else (503, {})))
                elif self.path.startswith("/apis/"):
                    self._say(*toy.cluster.get(self.path, dict(self.headers)))
                elif rest == "readyz" and slot in toy.serving:
                    self._say(200, {"status": "ready", "release_id": toy.serving[slot]})
                else:
                    self._say(503, {})

            def do_PUT(self) -> None:
                toy.declare(self._body()["applications"])
                self._say(200, None)

            def do_PATCH(self) -> None:
                self._say(*toy.cluster.patch(self.path, dict(self.headers), self._body()))

            def _body(self) -> dict[str, Any]:
                found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
                return found

            def _say(self, status: int, body: object) -> None:
                said = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class ToyCluster:
    """One RayService, kept as the Kubernetes API keeps it, and carried out as KubeRay does: after a while, by looking.

    Attributes:
        token: what is asked for.
        meddlers: how many of the next patches somebody else comes before.
        blind: how many looks the operator takes to see a change.
    """

    def __init__(self, serve: ToyServe) -> None:
        self.serve, self.token, self.meddlers, self.blind = serve, "secret", 0, 1
        self.refused = ""
        self.patches: list[dict[str, Any]] = []
        self.version, self.generation, self.seen, self.waits = 1, 1, 1, 0
        self.config = yaml.safe_dump({"http_options": {"port": 8000}, "applications": []})
        self.status: dict[str, Any] = {}

    def get(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if (refused := self._refused(path, headers)) is not None:
            return refused
        if self.seen < self.generation:
            self.waits += 1
            if self.waits > self.blind:
                self.seen, self.waits = self.generation, 0
                self.serve.declare(yaml.safe_load(self.config)["applications"])
        found = self.serve.details()["applications"] if self.seen == self.generation else None
        if found is not None:
            self.status = {
                "observedGeneration": self.seen,
                "activeServiceStatus": {
                    "applicationStatuses": {
                        name: {
                            "status": own["status"],
                            "serveDeploymentStatuses": {"ranking": {"status": "UPDATING", "message": own["message"]}},
                        }
                        for name, own in found.items()
                    }
                },
            }
        return 200, self._resource()

    def patch(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if (refused := self._refused(path, headers)) is not None:
            return refused
        if headers.get("Content-Type") != "application/merge-patch+json":
            return _status(415, "the body of the request was in an unknown format")
        if self.meddlers:
            self.meddlers -= 1
            self.version += 1
        if body["metadata"]["resourceVersion"] != str(self.version):
            return _status(409, 'Operation cannot be fulfilled on rayservices "rankloop": the object has been modified')
        self.patches.append(body)
        if body["spec"]["serveConfigV2"] != self.config:
            self.config, self.version, self.generation = body["spec"]["serveConfigV2"], self.version + 1, self.generation + 1
        return 200, self._resource()

    def _resource(self) -> dict[str, Any]:
        metadata = {"name": "rankloop", "namespace": "prod", "resourceVersion": str(self.version), "generation": self.generation}
        return {
            "apiVersion": "ray.io/v1",
            "kind": "RayService",
            "metadata": metadata,
            "spec": {"serveConfigV2": self.config, "rayClusterConfig": {"rayVersion": "2.46.0"}},
            "status": self.status,
        }

    def _refused(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]] | None:
        if headers.get("Authorization") != f"Bearer {self.token}":
            return _status(401, "Unauthorized")
        if self.refused:
            return _status(403, self.refused)
        if path != RESOURCE:
            return _status(404, f'rayservices.ray.io "{path.rpartition("/")[2]}" not found')
        return None


def _status(code: int, message: str) -> tuple[int, dict[str, Any]]:
    return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}


@contextmanager
def toy_serve() -> Iterator[ToyServe]:
    """One that ends with the block."""
    toy = ToyServe()
    try:
        yield toy
    finally:
        toy.stop()
