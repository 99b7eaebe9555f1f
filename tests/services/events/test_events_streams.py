"""The spools are opened as the settings say."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitoring.metrics import EventMetrics
from rankloop.errors import SpoolError, SpoolFull
from services.events.spool import SpoolReader
from services.events.streams import folder_of, open_writer
from services.settings import Settings

MIB = 1 << 20


def test_events_are_refused_and_impressions_shed_when_there_is_no_room(tmp_path: Path) -> None:
    settings, metrics = Settings(home=tmp_path, event_spool_mb=8, impression_spool_mb=8), EventMetrics(process=False)
    events, impressions = open_writer(settings, "events", metrics), open_writer(settings, "impressions", metrics)
    for _ in range(9):
        impressions.append(bytes(MIB))
    for _ in range(7):
        events.append(bytes(MIB))
    with pytest.raises(SpoolFull):
        events.append(bytes(MIB))
    events.close()
    impressions.close()
    found = {
        (sample.name, sample.labels["stream"]): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if "stream" in sample.labels
    }
    assert found["rankloop_spool_bytes", "events"] == found["rankloop_spool_bytes", "impressions"] == 7 * (MIB + 8)
    assert found["rankloop_spool_room_bytes", "events"] == found["rankloop_spool_room_bytes", "impressions"] == MIB - 7 * 8
    assert found["rankloop_spool_shed_bytes_total", "impressions"] == 2 * (MIB + 8)
    assert found["rankloop_spool_shed_bytes_total", "events"] == 0


def test_each_stream_has_its_folder(tmp_path: Path) -> None:
    writer = open_writer(Settings(home=tmp_path), "impressions", EventMetrics(process=False))
    assert SpoolReader(folder_of(tmp_path, "impressions")).writers() == [writer.name]
    assert folder_of(tmp_path, "impressions") == tmp_path / "spool" / "impressions"
    writer.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    with pytest.raises(SpoolError, match="no spool can be made in"):
        open_writer(Settings(home=tmp_path), "events", EventMetrics(process=False))
