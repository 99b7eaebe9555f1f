"""Records reach Kafka at least once, a person's in order; against librdkafka's own cluster, which speaks the real protocol."""

import json
import uuid

import pytest

confluent_kafka = pytest.importorskip("confluent_kafka")

from rankloop.errors import SettingsError, StackError  # noqa: E402
from services.events.kafka import EVENTS_TOPIC, IMPRESSIONS_TOPIC, KafkaSink, connected  # noqa: E402
from services.events.records import ErasureRecord, RejectedRecord, encode  # noqa: E402
from services.events.rolling import Sealed  # noqa: E402

START = 1_772_355_600_000_000


@pytest.fixture(scope="module")
def cluster():
    """The address of a cluster that lives as long as its producer."""
    owner = confluent_kafka.Producer({"test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = owner.list_topics(timeout=30).brokers.values()
    for topic in (IMPRESSIONS_TOPIC, EVENTS_TOPIC):
        owner.list_topics(topic, timeout=30)
    yield f"{broker.host}:{broker.port}"
    owner.flush(0)


@pytest.fixture
def marked(home, event, impression):
    """Unlike names for each test, since the cluster is shared."""
    return uuid.uuid4().hex[:8]


def read(cluster: str, topic: str, marked: str, wanted: int) -> list:
    """Messages of one test, in order; waits until there are as many as wanted."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": cluster, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest", "log_level": 0}
    )
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([confluent_kafka.TopicPartition(topic, number, confluent_kafka.OFFSET_BEGINNING) for number in partitions])
    found = []
    for _ in range(300):
        message = consumer.poll(0.1)
        if message is not None and not message.error() and marked in message.value().decode():
            found.append((message.key().decode(), json.loads(message.value())))
        if len(found) >= wanted:
            break
    consumer.close()
    return found


def sink(home, cluster: str) -> KafkaSink:
    return KafkaSink(
        home.readers, home.folder / "curator" / "kafka.json", home.book, lambda: connected(cluster, ""), home.metrics
    )


def test_answers_and_events_are_messages_keyed_by_the_person(home, cluster, marked, event, impression) -> None:
    home.write("events", [event(f"{marked}-1"), RejectedRecord(START, marked, b"{}")], [event(f"{marked}-2", value=2.5)])
    home.write("impressions", [impression(f"{marked}-r")])
    sink(home, cluster).step()
    events = read(cluster, EVENTS_TOPIC, marked, 2)
    assert [(key, value["type"], value["event_id"], value["value"]) for key, value in events] == [
        ("u1", "event", f"{marked}-1", None), ("u1", "event", f"{marked}-2", 2.5),
    ]  # fmt: skip
    ((key, shown),) = read(cluster, IMPRESSIONS_TOPIC, marked, 1)
    assert (key, shown["items"], "features" in shown) == ("u1", ["a", "b", "c"], False)
    assert home.value("rankloop_kafka_messages_total", topic=EVENTS_TOPIC) == 2


def test_another_process_goes_on_where_the_record_says(home, cluster, marked, event) -> None:
    writer = home.writer("events")
    writer.append(encode([event(f"{marked}-1")]))
    sink(home, cluster).step()
    writer.append(encode([event(f"{marked}-2")]))
    writer.close()
    last = sink(home, cluster)
    assert not last.passed(Sealed("events", writer.name, 1))
    last.step()
    assert last.passed(Sealed("events", writer.name, 1))
    assert [value["event_id"] for _, value in read(cluster, EVENTS_TOPIC, marked, 2)] == [f"{marked}-1", f"{marked}-2"]


def test_a_cluster_that_is_gone_loses_nothing(home, cluster, marked, event, monkeypatch) -> None:
    monkeypatch.setattr("services.events.kafka._FLUSH_SECONDS", 0.2)
    home.write("events", [event(f"{marked}-1")])
    broken = sink(home, "127.0.0.1:9")
    with pytest.raises(StackError, match="took not all of 1 messages"):
        broken.step()
    assert not (home.folder / "curator" / "kafka.json").exists()
    monkeypatch.undo()
    sink(home, cluster).step()
    assert len(read(cluster, EVENTS_TOPIC, marked, 1)) == 1


def test_who_was_erased_is_not_sent_and_readers_are_told(home, cluster, marked, event) -> None:
    demand = ErasureRecord("receipt", f"{marked}-u", START + 5)
    home.book.ask(demand, [], [])
    home.write("events", [event(f"{marked}-1", f"{marked}-u")], [demand], [event(f"{marked}-2", f"{marked}-u", ts=START + 6)])
    sink(home, cluster).step()
    sent = read(cluster, EVENTS_TOPIC, marked, 2)
    assert [(key, value["type"]) for key, value in sent] == [(f"{marked}-u", "erasure"), (f"{marked}-u", "event")]


def test_a_writer_that_is_gone_is_dropped_from_the_record(home, cluster, marked, event) -> None:
    writer = home.write("events", [event(f"{marked}-1")])
    one = sink(home, cluster)
    one.step()
    folder = home.readers["events"].path(writer, 1).parent
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    one.step()
    assert json.loads((home.folder / "curator" / "kafka.json").read_text()) == {}


@pytest.mark.parametrize("text", ["{", '{"no.such.option": 1}', "3"])
def test_options_that_cannot_work_are_named(tmp_path, text) -> None:
    (tmp_path / "kafka.json").write_text(text)
    with pytest.raises(SettingsError, match="RANKLOOP_KAFKA_FILE"):
        connected("127.0.0.1:9", str(tmp_path / "kafka.json"))
