"""A client that another program makes from the document asks and is answered; skipped where the program is not installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rankloop.bundle import Bundle
from services.ranking.openapi import document
from services.settings import Settings
from tests.services.both import TOKENS, applications, divided, guarded, served

PROGRAM = shutil.which("openapi-python-client")
ASK = """
import sys
from made.api.events import events
from made.api.read import recommend
from made.client import AuthenticatedClient
from made.models import Batch, Event, EventKind, RecommendRequest, RecommendRequestSurface

with AuthenticatedClient(sys.argv[1], token=sys.argv[2]) as client:
    answer = recommend.sync(client=client, body=RecommendRequest("logo-u3", k=2, surface=RecommendRequestSurface.JOB_FEED))
    took = events.sync(client=client, body=Batch([Event("e1", "logo-u3", answer.items[0].item_id, EventKind.CLICK)]))
    print(len(answer.items), took.accepted)
"""


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="openapi-python-client is not installed: pipx install openapi-python-client")
def test_a_client_made_from_the_document_asks_and_tells(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_bytes(document(Settings()))
    generate = [str(PROGRAM), "generate", "--path", "openapi.json", "--meta", "none", "--output-path", "made"]
    made = subprocess.run(generate, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Warning" not in made.stdout + made.stderr
    with applications(bundle, guarded(home=tmp_path)) as both, served(divided(*both)) as url:
        command = [sys.executable, "-c", ASK, url, TOKENS["all"]]
        asked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert asked.stdout.split() == ["2", "1"], asked.stderr
