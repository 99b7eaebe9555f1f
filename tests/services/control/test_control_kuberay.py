"""KubeRay's driver beyond the contract: conflicts, refusals, what it leaves alone in the resource."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rankloop.errors import Conflict, SettingsError, StackError
from services.control.drivers import KubeRayServer, RayServer, RayServiceApi, open_server
from services.settings import Settings
from tests.services.certificates import self_signed
from tests.services.control.toy_serve import ToyServe, toy_serve


@pytest.fixture
def serve() -> Iterator[ToyServe]:
    with toy_serve() as toy:
        yield toy


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("secret\n")
    return file


def api_of(serve: ToyServe, token: Path | None, name: str = "rankloop") -> RayServiceApi:
    return RayServiceApi(serve.url, "prod", name, token_file=token, ca_file=None)


@pytest.fixture
def driver(serve: ToyServe, token: Path) -> KubeRayServer:
    return KubeRayServer(api_of(serve, token), lambda slot: f"{serve.url}/{slot}", poll_seconds=0.01, settle_seconds=0.2)


def declared(serve: ToyServe) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(serve.cluster.config)
    return found


def test_somebody_elses_change_in_between_is_read_and_kept(serve: ToyServe, driver: KubeRayServer) -> None:
    serve.cluster.meddlers = 3
    driver.fill("blue", "r-1", "/store/r-1", say=print, seconds=20)
    assert driver.holds()["blue"] == "r-1"
    assert len(serve.cluster.patches) == 1


def test_a_resource_that_never_stands_still_is_given_up(serve: ToyServe, driver: KubeRayServer) -> None:
    serve.cluster.meddlers = 1_000
    with pytest.raises(StackError, match=r"RayService prod/rankloop was changed by somebody else 8 times in a row"):
        driver.fill("blue", "r-1", "/store/r-1", say=print, seconds=20)
    assert serve.cluster.patches == []


def test_a_stale_patch_is_a_conflict_and_changes_nothing(serve: ToyServe, token: Path) -> None:
    before = serve.cluster.config
    with pytest.raises(Conflict, match=r"the object has been modified; try again"):
        api_of(serve, token).patch("applications: []", resource_version="0")
    assert serve.cluster.config == before


def test_only_the_application_of_the_slot_is_changed(serve: ToyServe, driver: KubeRayServer) -> None:
    other = {"name": "admin", "route_prefix": "/admin", "import_path": "theirs:app"}
    env = {"runtime_env": {"env_vars": {"RANKLOOP_HOME": "/data"}}}
    blue = {
        "name": "blue",
        "route_prefix": "/blue",
        "import_path": "services.ranking.serve_app:build",
        "args": {"bento": "/store/r-1", "num_replicas": 4},
        **env,
    }
    serve.cluster.config = yaml.safe_dump({"proxy_location": "EveryNode", "applications": [other, blue]})
    driver.fill("green", "r-2", "/store/r-2", say=print, seconds=20)
    found = declared(serve)
    assert found["proxy_location"] == "EveryNode"
    assert found["applications"][:2] == [other, blue]
    green = found["applications"][2]
    assert (green["name"], green["route_prefix"]) == ("green", "/green")
    assert green["args"] == {"bento": "/store/r-2", "num_replicas": 4}
    assert green["runtime_env"] == env["runtime_env"]
    driver.clear("green", seconds=20)
    assert declared(serve)["applications"] == [other, blue]


def test_a_patch_names_the_text_and_the_version_it_was_made_of_and_nothing_else(serve: ToyServe, driver: KubeRayServer) -> None:
    driver.fill("blue", "r-1", "/store/r-1", say=print, seconds=20)
    (patch,) = serve.cluster.patches
    assert set(patch) == {"metadata", "spec"}
    assert patch["metadata"] == {"resourceVersion": "1"}
    assert set(patch["spec"]) == {"serveConfigV2"}


def test_what_was_reported_before_the_operator_saw_the_change_is_not_believed(serve: ToyServe, driver: KubeRayServer) -> None:
    serve.broken, serve.cluster.blind = {"r-bad"}, 6
    with pytest.raises(StackError, match=r"could not start r-bad in slot green: DEPLOY_FAILED: BundleError: r-bad is altered"):
        driver.fill("green", "r-bad", "/store/r-bad", say=print, seconds=20)
    said: list[str] = []
    driver.fill("green", "r-2", "/store/r-2", say=said.append, seconds=20)
    assert driver.holds()["green"] == "r-2"
    assert any("not seen by kuberay yet" in line for line in said)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"token": "another"}, r"\(401\): Unauthorized; the token in .*token is none it knows"),
        ({"refused": "User cannot get resource"}, r"\(403\): User cannot get resource; let the service account get and patch"),
    ],
)
def test_a_refusal_says_what_to_mend(serve: ToyServe, driver: KubeRayServer, change: dict[str, str], message: str) -> None:
    for name, value in change.items():
        setattr(serve.cluster, name, value)
    with pytest.raises(StackError, match=message):
        driver.fill("blue", "r-1", "/store/r-1", say=print, seconds=5)


def test_a_name_that_is_not_there_is_named(serve: ToyServe, token: Path) -> None:
    with pytest.raises(StackError, match=r'\(404\): rayservices.ray.io "nobody" not found; check the namespace and the name'):
        api_of(serve, token, "nobody").read()


def test_a_token_is_read_anew_since_kubernetes_rotates_it(serve: ToyServe, token: Path) -> None:
    api = api_of(serve, token)
    api.read()
    serve.cluster.token = "the next one"
    token.write_text("the next one")
    assert api.read()["kind"] == "RayService"
    token.unlink()
    with pytest.raises(StackError, match=r"token .* cannot be read"):
        api.read()


def test_an_api_that_is_not_there_is_said(token: Path) -> None:
    api = RayServiceApi("http://127.0.0.1:1", "prod", "rankloop", token_file=token, ca_file=None)
    with pytest.raises(StackError, match=r"the Kubernetes API at http://127.0.0.1:1/apis/.* does not answer"):
        api.read()


def test_the_apis_certificate_is_checked_by_the_clusters_own(serve: ToyServe, token: Path, tmp_path: Path) -> None:
    key, certificate = self_signed(tmp_path)
    serve.speak_tls(certificate, key)
    url = serve.url.replace("http:", "https:")
    found = RayServiceApi(url, "prod", "rankloop", token_file=token, ca_file=certificate).read()
    assert found["kind"] == "RayService"
    with pytest.raises(StackError, match=r"does not answer as such: .*CERTIFICATE_VERIFY_FAILED"):
        RayServiceApi(url, "prod", "rankloop", token_file=token, ca_file=None).read()


def test_a_certificate_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"certificate .*ca.crt cannot be read"):
        RayServiceApi("https://k", "prod", "rankloop", token_file=None, ca_file=tmp_path / "ca.crt")


@pytest.mark.parametrize("text", ["applications: {", "- a list", "applications: 7"])
def test_a_serve_configuration_that_cannot_be_read_is_not_overwritten(serve: ToyServe, driver: KubeRayServer, text: str) -> None:
    serve.cluster.config = text
    with pytest.raises(StackError, match=r"spec.serveConfigV2 of RayService prod/rankloop cannot be read"):
        driver.clear("blue", seconds=1)
    assert serve.cluster.config == text


@pytest.mark.parametrize("named", ["rankloop", "prod/", "/rankloop", "a/b/c"])
def test_a_rayservice_is_named_with_its_namespace(tmp_path: Path, named: str) -> None:
    settings = Settings.read(home=tmp_path).model_copy(update={"rayservice": named})
    with pytest.raises(SettingsError, match=f"RANKLOOP_RAYSERVICE is '{named}'; give it as namespace/name"):
        open_server(settings)


def test_a_rayservice_in_the_settings_is_driven_through_the_kubernetes_api(serve: ToyServe, token: Path, tmp_path: Path) -> None:
    named = {
        "rayservice": "prod/rankloop",
        "kubernetes_url": serve.url,
        "kubernetes_account": str(token.parent),
        "slots_url": serve.url,
    }
    server = open_server(Settings.read(home=tmp_path).model_copy(update=named))
    assert isinstance(server, KubeRayServer)
    server.fill("blue", "r-1", "/store/r-1", say=print, seconds=30)
    assert server.holds() == {"blue": "r-1", "green": None}


def test_without_a_rayservice_in_the_settings_it_is_this_machines_ray(tmp_path: Path) -> None:
    assert isinstance(open_server(Settings.read(home=tmp_path)), RayServer)
