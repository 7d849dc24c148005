"""Telemetry to measure with: varied text from a seed, and the way to put much of it on the log and read it back."""

import json
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from random import Random

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition

from stack.settings import Settings
from streams.kafka import connection, partition_of, producer, topics_of

SAMPLE = Path(__file__).parent.parent / "examples" / "telemetry.jsonl"
SEED = 20_260_504
VALUE_BYTES = 150
BARE = len(b'{"event_type":"message.in","content":""}')
TYPES = ("message.in", "message.out", "tool.call", "tool.result")
AUTHORS = ("Ines", "Tomasz", "Marit", "Wren", "scheduler")
PLAIN_WORD = re.compile(r"[A-Za-z0-9.,;:?!'()%/+-]+")
Keyed = tuple[bytes, bytes]


class Speech:
    """Text in the words of the sample conversation: each word is one that followed the word before it there."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.following = _following()
        self.word = "the"

    def text(self, characters: int) -> str:
        """ASCII of exactly so many characters."""
        parts, length = [], -1
        while length < characters:
            word = self._next()
            parts.append(word)
            length += len(word) + 1
        cut = " ".join(parts)[:characters]
        return cut[:-1] + "." if cut.endswith(" ") else cut

    def words(self, count: int) -> str:
        return " ".join(self._next() for _ in range(count))

    def _next(self) -> str:
        choices = self.following[self.word]
        self.word = choices[int(self.random.random() * len(choices))]
        return self.word


def _following() -> dict[str, list[str]]:
    words = [
        word
        for line in SAMPLE.read_text().splitlines()
        for word in json.loads(line)["content"].split()
        if PLAIN_WORD.fullmatch(word)
    ]
    following: defaultdict[str, list[str]] = defaultdict(list)
    for word, after in zip(words, [*words[1:], words[0]], strict=True):
        following[word].append(after)
    return following


def key_of(anima: int) -> bytes:
    return b"anima-%d" % anima


def plain(events: int, animas: int) -> Iterator[Keyed]:
    """Key and value of events as a producer writes them that knows nothing of us; each value has 150 bytes."""
    random = Random(SEED)
    speech = Speech(random)
    for _ in range(events):
        content = speech.text(VALUE_BYTES - BARE)
        value = b'{"event_type":"message.in","content":"%b"}' % content.encode()
        yield key_of(int(random.random() * animas)), value


def sessions(events: int, animas: int, dedupe_every: int = 4) -> Iterator[Keyed]:
    """The same with author and session, and every so many with a dedupe key of its own; about 220 bytes."""
    random = Random(SEED)
    speech = Speech(random)
    for number in range(events):
        anima = int(random.random() * animas)
        event = {
            "event_type": TYPES[number % len(TYPES)],
            "content": speech.text(VALUE_BYTES - BARE),
            "author": AUTHORS[int(random.random() * len(AUTHORS))],
            "session_id": f"session-{anima}-{number // 5_000}",
        }
        if number % dedupe_every == 0:
            event["dedupe_key"] = f"source-{number}"
        yield key_of(anima), orjson.dumps(event)


def phrases(texts: int, words: int) -> list[str]:
    speech = Speech(Random(SEED))
    return [speech.words(words) for _ in range(texts)]


async def fill(settings: Settings, records: Iterable[Keyed]) -> int:
    """Put records on the log in batches of 16 kB, as producers do by default; returns how many there were."""
    topic, count = topics_of(settings).events.name, 0
    async with producer(settings) as kafka:
        batches = [kafka.create_batch() for _ in range(settings.partitions)]
        for key, value in records:
            partition = partition_of(key, settings.partitions)
            record = {"key": key, "value": value, "timestamp": int(time.time() * 1000)}
            if batches[partition].append(**record) is None:
                await _send(kafka, batches[partition], topic, partition)
                batches[partition] = kafka.create_batch()
                batches[partition].append(**record)
            count += 1
        for partition, batch in enumerate(batches):
            if batch.record_count():
                await _send(kafka, batch, topic, partition)
        await kafka.flush()
    return count


async def _send(kafka: AIOKafkaProducer, batch: object, topic: str, partition: int) -> None:
    await kafka.send_batch(batch, topic, partition=partition)


async def records_of(
    settings: Settings, tp: TopicPartition, end: int | None = None
) -> AsyncIterator[ConsumerRecord[bytes, bytes]]:
    """The records of one partition from its beginning, up to `end` if given."""
    consumer = AIOKafkaConsumer(max_partition_fetch_bytes=4_000_000, **connection(settings))
    await consumer.start()
    try:
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        limit = end if end is not None else (await consumer.end_offsets([tp]))[tp]
        while await consumer.position(tp) < limit:
            for raw in (await consumer.getmany(tp, timeout_ms=1_000)).get(tp, []):
                if raw.offset < limit:
                    yield raw
    finally:
        await consumer.stop()
