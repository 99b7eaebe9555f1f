"""Schemathesis attacks both applications, over HTTP, with what their document allows and what it forbids."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rankloop.bundle import Bundle
from services.events import openapi as of_events
from services.ranking import openapi as of_ranking
from tests.services.both import TOKENS, applications, divided, guarded, served

OPERATIONS = {(one.method, one.path) for one in (*of_ranking.OPERATIONS, *of_events.OPERATIONS)}
CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 4
"""Of each operation and phase, beside those that cover every keyword of its schema."""


@pytest.mark.slow
def test_no_request_that_the_document_allows_or_forbids_gets_an_answer_it_does_not(bundle: Bundle, tmp_path: Path) -> None:
    settings, file = guarded(home=tmp_path), tmp_path / "openapi.json"
    file.write_bytes(of_ranking.document(settings))  # of its address, schemathesis would leave out the document's own route
    with applications(bundle, settings) as both, served(divided(*both)) as url:
        done = subprocess.run(
            [
                *(Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIG, "run", file, "--url", url),
                *("--header", f"Authorization: Bearer {TOKENS['all']}", "--checks", "all", "--seed", "20260101"),
                *("--max-examples", str(EXAMPLES), "--no-shrink", "--continue-on-failure", "--no-color"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=280,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"Tested:\s+{len(OPERATIONS)}\n", done.stdout), done.stdout
