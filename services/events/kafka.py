"""Records go to Kafka too, at least once, where that is wanted."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from monitoring.metrics import CuratorMetrics
from rankloop.errors import SettingsError, StackError
from rankloop.files import write_json
from services.events.erasure import ErasureBook
from services.events.following import batch
from services.events.records import ErasureRecord, EventRecord, ImpressionRecord, decode
from services.events.rolling import Sealed
from services.events.segments import Position, SpoolReader

__all__ = ["EVENTS_TOPIC", "IMPRESSIONS_TOPIC", "KafkaSink", "Message", "connected", "messages"]

log = logging.getLogger(__name__)

IMPRESSIONS_TOPIC: Final = "rankloop.impressions"
EVENTS_TOPIC: Final = "rankloop.events"

_LIMIT: Final = 1 << 20
_FLUSH_SECONDS: Final = 20.0

Message = tuple[str, str, bytes]
"""Topic, key, value."""


def connected(servers: str, file: str) -> Any:
    """A producer that keeps the order of a person's messages and does not double them while it lives.

    Args:
        servers: host:port, with commas between.
        file: JSON of further options of librdkafka; empty: none.

    Raises:
        SettingsError: the client is not installed, or an option is not known.
    """
    try:
        from confluent_kafka import KafkaException, Producer
    except ImportError as error:
        raise SettingsError('RANKLOOP_KAFKA_SERVERS is set, and the client is missing: pip install "rankloop[kafka]"') from error
    try:
        further = json.loads(Path(file).read_text()) if file else {}
        options = {"linger.ms": 20, "compression.type": "lz4"} | dict(further)
        return Producer(options | {"bootstrap.servers": servers, "enable.idempotence": True, "logger": log})
    except (OSError, ValueError, TypeError, KafkaException) as error:
        raise SettingsError(f"RANKLOOP_KAFKA_FILE is {file!r}: {error}; it must hold JSON of options of librdkafka") from error


class KafkaSink:
    """Follows both streams of the spool, with a record of its own of how far it is.

    The record moves when Kafka has acknowledged everything up to there; after a crash in between the last batch is
    sent again, with the same ids.

    Args:
        readers: stream to reader.
        checkpoint: the file that says how far it is.
        book: who is left out.
        connect: makes a producer; a new one after each failure, since one whose message failed may leave a gap.
        metrics: of the curator.
        stopping: whether to leave the rest to the next step.
    """

    def __init__(
        self,
        readers: Mapping[str, SpoolReader],
        checkpoint: Path,
        book: ErasureBook,
        connect: Callable[[], Any],
        metrics: CuratorMetrics,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._readers, self._checkpoint, self._book = readers, checkpoint, book
        self._connect, self._metrics, self._stopping = connect, metrics, stopping
        self._producer: Any = None
        self._positions = _read(checkpoint)

    def step(self) -> None:
        """Sends everything there is, a batch a writer in turn.

        Raises:
            StackError: Kafka did not take it; it is sent again.
        """
        more = True
        while more and not self._stopping():
            more = False
            for stream, reader in self._readers.items():
                for writer in reader.writers():
                    more |= self._follow(stream, writer)
        self._forget_writers_that_are_gone()

    def passed(self, segment: Sealed) -> bool:
        """Whether everything in a segment was sent."""
        return self._at(segment.stream, segment.writer).segment > segment.number

    def _follow(self, stream: str, writer: str) -> bool:
        start = self._at(stream, writer)
        found = batch(self._readers[stream], writer, start, _LIMIT)
        if found.end != start:
            self._send([message for _, frame in found.frames for message in messages(frame, self._book)])
            self._positions[f"{stream}/{writer}"] = found.end
            self._save()
        return found.more

    def _send(self, sent: list[Message]) -> None:
        """Returns when Kafka has all of them."""
        if not sent:
            return
        self._producer = self._producer or self._connect()
        failed: list[str] = []

        def answered(error: object, message: Any) -> None:
            if error is None:
                self._metrics.kafka_messages.labels(message.topic()).inc()
            else:
                failed.append(str(error))

        try:
            for topic, key, value in sent:
                _produce(self._producer, topic, key, value, answered)
            left = self._producer.flush(_FLUSH_SECONDS)
        except BaseException:
            self._drop()
            raise
        if failed or left:
            self._drop()
            raise StackError(
                f"Kafka took not all of {len(sent)} messages: {failed[0] if failed else f'{left} unanswered'}; again soon"
            )

    def _drop(self) -> None:
        """Lets go of a producer with what it still holds: all of it is sent again."""
        producer, self._producer = self._producer, None
        producer.purge()
        producer.flush(0)

    def _at(self, stream: str, writer: str) -> Position:
        return self._positions.get(f"{stream}/{writer}", Position(0, 0))

    def _save(self) -> None:
        write_json(self._checkpoint, {name: list(place) for name, place in self._positions.items()}, durable=True)

    def _forget_writers_that_are_gone(self) -> None:
        there = {f"{stream}/{writer}" for stream, reader in self._readers.items() for writer in reader.writers()}
        if self._positions.keys() - there:
            self._positions = {name: place for name, place in self._positions.items() if name in there}
            self._save()


def messages(frame: bytes, book: ErasureBook) -> Iterator[Message]:
    """What a frame means to those who read the topics; refused events stay here."""
    try:
        records = decode(frame)
    except msgspec.DecodeError:
        return  # it goes to the log's quarantine
    for record in records:
        match record:
            case ImpressionRecord() if not book.covers(record.user_id, record.ts):
                content = msgspec.structs.asdict(record)
                del content["features"]
                yield IMPRESSIONS_TOPIC, record.user_id, msgspec.json.encode({"type": "impression"} | content)
            case EventRecord() if not book.covers(record.user_id, min(record.ts, record.received)):
                yield EVENTS_TOPIC, record.user_id, msgspec.json.encode({"type": "event"} | msgspec.structs.asdict(record))
            case ErasureRecord():
                notice = {"type": "erasure", "user_id": record.user_id, "ts": record.ts}
                yield EVENTS_TOPIC, record.user_id, msgspec.json.encode(notice)


def _produce(producer: Any, topic: str, key: str, value: bytes, answered: Callable[[object, Any], None]) -> None:
    while True:
        try:
            producer.produce(topic, value, key, on_delivery=answered)
        except BufferError:  # the client's queue is full: let it send
            producer.poll(0.5)
        else:
            producer.poll(0)
            return


def _read(checkpoint: Path) -> dict[str, Position]:
    if not checkpoint.is_file():
        return {}
    return {name: Position(*place) for name, place in json.loads(checkpoint.read_text()).items()}
