"""The control plane's document: valid, complete, with examples that it would take; and schemathesis attacks what it describes."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from services.control.openapi import OPERATIONS, document
from services.openapi import Operation
from tests.services.both import TOKENS, guarded, served
from tests.services.control.control_world import world
from tests.services.edge.conftest import Rig, shared_rig, start_rig

__all__ = ["shared_rig", "start_rig"]

DOCUMENT: dict[str, Any] = json.loads(document())
CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 3


def described(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][operation.path][operation.method]
    return found


def test_the_document_is_valid() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [described(one)["operationId"] for one in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z_]*", name) for name in names)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_what_shows_needs_read_what_changes_needs_admin(operation: Operation) -> None:
    if operation.path.startswith("/v1/"):
        assert operation.scope == ("read" if operation.method == "get" else "admin")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_every_example_fits_its_schema(operation: Operation) -> None:
    one = described(operation)
    contents = [*one.get("requestBody", {"content": {}})["content"].values()]
    contents += [content for answer in one["responses"].values() for content in answer["content"].values()]
    for content in contents:
        if "example" in content:
            schema = {**content["schema"], "components": DOCUMENT["components"]}
            jsonschema.Draft202012Validator(schema).validate(content["example"])


def test_every_operation_with_a_body_has_an_example_of_body_and_answer() -> None:
    assert [one.path for one in OPERATIONS if one.body and (one.asks is None or one.answers is None)] == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_request_that_the_document_allows_or_forbids_gets_an_answer_it_does_not(shared_rig: Rig, tmp_path: Path) -> None:
    file = tmp_path / "openapi.json"
    file.write_bytes(document())
    tokens = guarded(home=tmp_path).tokens_sha256
    with world(shared_rig, tmp_path / "home", tokens_sha256=tokens) as place, served(place.app) as url:
        place.serving("r20261116-00000001")
        place.register("r20261117-00000002")
        done = subprocess.run(
            [
                *(Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIG, "run", file, "--url", url),
                *("--header", f"Authorization: Bearer {TOKENS['all']}", "--checks", "all", "--seed", "20260101"),
                *("--max-examples", str(EXAMPLES), "--no-shrink", "--continue-on-failure", "--no-color"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=560,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"Tested:\s+{len(OPERATIONS)}\n", done.stdout), done.stdout
