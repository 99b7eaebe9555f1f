"""The Bento: built offline, the same for the same bundle, and served by BentoML with the same API."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace
from packaging.requirements import Requirement

from rankloop.bundle import Manifest
from rankloop.errors import BundleError
from services.ranking.bento import PACKAGES, BuiltBento, build_bento, main, packages_of
from services.ranking.opening import sources_of
from services.settings import Settings
from tests.services.conftest import Release

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bento") / ".rankloop"


@pytest.fixture(scope="module")
def bento(release: Release, home: Path) -> BuiltBento:
    return build_bento(release.folder, home / "bento")


@pytest.fixture(scope="module")
def served(bento: BuiltBento, home: Path) -> Iterator[str]:
    """`bentoml serve TAG`, from a folder that holds no code of ours."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "BENTOML_HOME": str(home / "bento"), "RANKLOOP_HOME": str(home), "PYTHONPATH": ""}
    command = [sys.executable, "-m", "bentoml", "serve", bento.tag, "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as server:
        url = f"http://127.0.0.1:{port}"
        try:
            while not answers(url):
                assert server.poll() is None, server.stderr.read().decode() if server.stderr else ""
                time.sleep(0.1)
            yield url
        finally:
            server.terminate()
            server.communicate(timeout=30)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).is_success
    except httpx.TransportError:
        return False


def test_the_tag_is_the_release(bento: BuiltBento, release: Release) -> None:
    assert bento.tag == f"rankloop-ranking:{bento.release_id}"
    labels = (Path(bento.path) / "bento.yaml").read_text()
    assert f"release_id: {bento.release_id}" in labels
    assert "lineage.data: known world 0" in labels


def test_the_same_bundle_gives_the_same_bento_at_once(bento: BuiltBento, release: Release, home: Path) -> None:
    again = build_bento(release.folder, home / "bento")
    assert (again.tag, again.path, again.seconds) == (bento.tag, bento.path, 0.0)


def test_a_bento_altered_in_the_store_is_built_again(release: Release, tmp_path: Path) -> None:
    built = build_bento(release.folder, tmp_path)
    victim = Path(built.path) / "src" / "bundle" / "items.parquet"
    victim.unlink()
    victim.write_bytes(b"nonsense")
    assert build_bento(release.folder, tmp_path).seconds > 0
    assert victim.read_bytes() == (release.folder / "items.parquet").read_bytes()


def test_a_broken_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json is missing"):
        build_bento(tmp_path, tmp_path / "store")


def test_as_a_program_it_prints_one_line_of_json(
    bento: BuiltBento, release: Release, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", str(release.folder), "--store", str(home / "bento")]) == 0
    assert json.loads(capsys.readouterr().out)["tag"] == bento.tag
    assert main(["build", str(home / "none"), "--store", str(home / "bento")]) == 1
    assert "manifest.json is missing" in capsys.readouterr().err


def test_a_bento_is_found_by_its_folder_and_by_its_tag(bento: BuiltBento, home: Path) -> None:
    settings = Settings.read(home=home)
    assert sources_of(bento.path, settings).resolve() == sources_of(bento.tag, settings).resolve()
    with pytest.raises(BundleError, match="'rankloop-ranking:r0' is no Bento of ours"):
        sources_of("rankloop-ranking:r0", settings)


def test_no_telemetry_and_no_state_outside_the_home(bento: BuiltBento) -> None:
    assert "BENTOML_DO_NOT_TRACK" in (Path(bento.path) / "bento.yaml").read_text()


def test_bentoml_serves_the_same_api(served: str, bento: BuiltBento) -> None:
    answer = httpx.post(f"{served}/v1/recommend", json={"user_id": "logo-u3", "k": 2}).json()
    assert answer["release_id"] == bento.release_id
    assert len(answer["items"]) == 2
    assert httpx.get(f"{served}/healthz").json() == {"status": "alive"}
    assert httpx.get(f"{served}/readyz").json()["release_id"] == bento.release_id
    assert "rankloop_http_requests_total" in httpx.get(f"{served}/metrics").text
    assert httpx.get(f"{served}/schema/openapi.json").json()["openapi"] == "3.1.0"
    assert httpx.post(f"{served}/v1/recommend", content=b"{").status_code == 400


ONLY = """
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

class Absent(MetaPathFinder):
    names = set(sys.argv[2].split())

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"{fullname} is not among the packages of the Bento", name=fullname)

sys.meta_path.insert(0, Absent())
from services.ranking.opening import open_release
from services.settings import Settings
open_release(Path(sys.argv[1]), Settings())
"""


def test_a_release_opens_with_nothing_but_the_packages_of_the_bento(release: Release) -> None:
    theirs = closure(packages_of(Manifest.read(release.folder)))
    others = [name for name, owners in packages_distributions().items() if not {canonical(own) for own in owners} & theirs]
    assert "ray" in others
    path = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-c", ONLY, str(release.folder), " ".join(others)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_release_asks_for_what_its_retrievers_need_and_no_more(release: Release) -> None:
    manifest = Manifest.read(release.folder)
    semantic, plain = (replace(manifest, retrievers=own) for own in (("bm25", "semantic"), ("bm25",)))
    assert set(packages_of(plain)) == set(PACKAGES)
    assert set(packages_of(semantic)) == {*PACKAGES, "onnxruntime", "tokenizers"}


def canonical(name: str) -> str:
    return name.lower().replace("_", "-")


def closure(names: list[str]) -> set[str]:
    """The packages and everything they require."""
    seen: set[str] = set()
    waiting = [canonical(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            needed = [Requirement(line) for line in installed(name)]
            waiting += [canonical(one.name) for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return seen


def installed(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:  # needed on another system only
        return []
