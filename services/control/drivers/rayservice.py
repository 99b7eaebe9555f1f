"""One RayService of a cluster through the Kubernetes API: read, and changed only as it was read."""

import ssl
from pathlib import Path
from typing import Any, Final

import httpx

from rankloop.errors import Conflict, SettingsError, StackError

__all__ = ["RayServiceApi"]

_SECONDS: Final = 10.0
_MERGE: Final = "application/merge-patch+json"


class RayServiceApi:
    """Reads and patches one RayService (`ray.io/v1`); it holds no connection.

    The service account behind the token needs the verbs `get` and `patch` on `rayservices`.

    Args:
        url: the Kubernetes API, such as `https://kubernetes.default.svc`.
        namespace: of the RayService.
        name: of the RayService.
        token_file: the service account's token, read anew for each request, since Kubernetes rotates it; None: none is sent.
        ca_file: the certificate that the API's own is checked by; None: the system's.

    Raises:
        SettingsError: the certificate cannot be read.
    """

    def __init__(self, url: str, namespace: str, name: str, *, token_file: Path | None, ca_file: Path | None) -> None:
        self._url = f"{url.rstrip('/')}/apis/ray.io/v1/namespaces/{namespace}/rayservices/{name}"
        self._token_file, self.title = token_file, f"RayService {namespace}/{name}"
        try:
            self._verify = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        except OSError as error:
            raise SettingsError(f"the Kubernetes API's certificate {ca_file} cannot be read: {error}; name its file") from error

    def read(self) -> dict[str, Any]:
        """The whole resource.

        Raises:
            StackError: the API does not answer, or refuses; it says what to mend.
        """
        return self._asked("GET")

    def patch(self, serve_config: str, *, resource_version: str) -> dict[str, Any]:
        """Sets `spec.serveConfigV2`, and gives the resource as it is then.

        Args:
            serve_config: YAML.
            resource_version: of the resource as it was read.

        Raises:
            Conflict: it was changed since; read it again.
            StackError: as `read`.
        """
        body = {"metadata": {"resourceVersion": resource_version}, "spec": {"serveConfigV2": serve_config}}
        return self._asked("PATCH", json=body, headers={"Content-Type": _MERGE})

    def _asked(self, method: str, *, headers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        sent = {**(headers or {}), **self._authorization()}
        try:
            with httpx.Client(verify=self._verify, timeout=_SECONDS) as client:
                answer = client.request(method, self._url, headers=sent, **more)
            found: dict[str, Any] = answer.json() if answer.is_success else {}
        except (httpx.TransportError, ValueError) as error:
            raise StackError(f"the Kubernetes API at {self._url} does not answer as such: {error}; check its address") from error
        if answer.status_code == httpx.codes.CONFLICT:
            raise Conflict(f"{self.title} was changed by somebody else meanwhile: {_message(answer)}; try again")
        if answer.is_error:
            why = f"{_message(answer)}{self._remedy(answer)}"
            raise StackError(f"the Kubernetes API refused {method} of {self.title} ({answer.status_code}): {why}")
        return found

    def _authorization(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        try:
            return {"Authorization": f"Bearer {self._token_file.read_text(encoding='utf-8').strip()}"}
        except OSError as error:
            raise StackError(
                f"the service account's token {self._token_file} cannot be read: {error}; mount it, or name another file"
            ) from error

    def _remedy(self, answer: httpx.Response) -> str:
        remedies = {
            401: f"; the token in {self._token_file} is none it knows: mount the service account's",
            403: "; let the service account get and patch rayservices",
            404: "; check the namespace and the name, and that KubeRay is installed",
        }
        return remedies.get(answer.status_code, "")


def _message(answer: httpx.Response) -> str:
    """The API's own words: the `message` of its Status."""
    try:
        return str(answer.json()["message"])[-800:]
    except (ValueError, KeyError, TypeError):
        return answer.text.strip()[-800:] or "it gave no reason"
