"""What `index` writes equals what counting the documents gives, however they arrive."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.index import BUCKETS, CHUNK, ENTRY, document, hashed, postings, write
from agents.words import terms
from sinks.database import Pool
from sinks.documents import NO_DOCUMENTS, Documents, WentBack
from sinks.items import Item
from sinks.retrieval import Layer, LayerKey, fetch, layer, parameters, statement
from streams.positions import anima_of
from tests.agents.conftest import WORDS, item

WREN, ROBIN = anima_of(b"wren"), anima_of(b"robin")


@given(st.lists(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 300)), max_size=40))
def test_postings_count_the_terms(words: list[list[int]]) -> None:
    found = Counter[tuple[int, int]]()
    for bucket, packed in postings(np.array(own, "<u4").tobytes() for own in words).items():
        entries = np.frombuffer(packed, ENTRY).tolist()
        assert entries == sorted(entries)
        assert {term % BUCKETS for term, _, _ in entries} == {bucket}
        found.update({(term, seq): frequency for term, seq, frequency in entries})
    assert found == Counter((term, seq) for seq, own in enumerate(words) for term in own)


@given(st.text(max_size=50))
def test_a_name_s_number_fits_and_is_none_for_nobody(name: str) -> None:
    assert -(2**31) <= hashed(name) < 2**31
    assert (hashed(name) == 0) == (name == "")
    assert hashed(None) == 0


@pytest.mark.parametrize("year", [1970, 2038, 2099])
def test_any_year_of_an_event_fits(year: int) -> None:
    row = document(replace(item(0), occurred_at=datetime(year, 2, 1, tzinfo=UTC)))
    assert 0 <= np.array([row[6]], "<i4")[0] <= 2**31 - 1


async def index(rows: Pool, batch: list[Item]) -> None:
    async with rows.connection() as connection, connection.transaction():
        await write(connection, batch)


def cut(items: list[Item], size: int) -> Iterator[list[Item]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


async def read(rows: Pool, key: LayerKey, held: Documents, wanted: list[int]) -> tuple[Documents, Layer]:
    """What follows on the documents that are held."""
    async with rows.connection() as connection:
        (row,) = await fetch(connection, statement("retrieve", 384), parameters([key], wanted, [len(held)]))
    documents = held.extended(row)
    return documents, layer(documents, row, wanted)


async def expect(rows: Pool, key: LayerKey, items: list[Item], held: Documents = NO_DOCUMENTS) -> Documents:
    """What is read on from there gives the lengths, authors and frequencies of exactly these items."""
    wanted = sorted({term for word in WORDS for term in terms(word)})
    held, found = await read(rows, key, held, wanted)
    counted = [Counter(np.frombuffer(document(one)[7], "<u4").tolist()) for one in items]
    assert found.lengths.tolist() == [own.total() for own in counted]
    assert found.authors.tolist() == [hashed(one.author) for one in items]
    assert found.sessions.tolist() == [hashed(one.session_id) for one in items]
    assert found.occurred_at.tolist() == [int(one.occurred_at.timestamp()) for one in items]
    for term, (seqs, frequencies) in zip(wanted, found.postings, strict=True):
        pairs = sorted(zip(seqs.tolist(), frequencies.tolist(), strict=True))
        assert pairs == [(seq, own[term]) for seq, own in enumerate(counted) if term in own]
    return held


async def chunks(rows: Pool) -> list[tuple[UUID, int, int]]:
    async with rows.connection() as connection:
        cursor = await connection.execute("SELECT anima_id, layer, chunk FROM chunks ORDER BY anima_id, layer, chunk")
        return [tuple(row.values()) for row in await cursor.fetchall()]


@pytest.mark.parametrize("size", [5_000, 700, CHUNK, CHUNK - 1])
async def test_chunks_hold_what_the_documents_say(rows: Pool, size: int) -> None:
    wren = [item(seq) for seq in range(2 * CHUNK + 5)]
    robin = [item(seq, key=b"robin") for seq in range(CHUNK)]
    memories = [item(seq, layer=1) for seq in range(3)]
    for batch in cut([*wren, *robin, *memories], size):
        await index(rows, batch)
    await expect(rows, LayerKey(WREN, 0, 0), wren)
    await expect(rows, LayerKey(ROBIN, 0, 0), robin)
    await expect(rows, LayerKey(WREN, 1, 1), memories)
    assert await chunks(rows) == sorted([(WREN, 0, 0), (WREN, 0, 1), (ROBIN, 0, 0)])


@pytest.mark.parametrize("size", [1_500, 700, CHUNK, CHUNK - 1])
async def test_who_holds_documents_reads_on(rows: Pool, size: int) -> None:
    items, held = [item(seq) for seq in range(2 * CHUNK + 5)], NO_DOCUMENTS
    for batch in cut(items, size):
        await index(rows, batch)
        held = await expect(rows, LayerKey(WREN, 0, 0), items[: batch[-1].seq + 1], held)
        assert await expect(rows, LayerKey(WREN, 0, 0), items[: batch[-1].seq + 1], held) is held
    assert held.first == 2 * CHUNK


async def test_a_database_that_went_back_is_noticed(rows: Pool) -> None:
    await index(rows, [item(seq) for seq in range(CHUNK)])
    held, _ = await read(rows, LayerKey(WREN, 0, 0), NO_DOCUMENTS, [])
    with pytest.raises(WentBack):
        await read(rows, LayerKey(ROBIN, 0, 0), held, [])


async def test_a_repeated_batch_changes_nothing(rows: Pool) -> None:
    items = [item(seq) for seq in range(CHUNK + 10)]
    await index(rows, items)
    await index(rows, items[-20:])
    await index(rows, [*items[-5:], item(CHUNK + 10)])
    await expect(rows, LayerKey(WREN, 0, 0), [*items, item(CHUNK + 10)])
    assert await chunks(rows) == [(WREN, 0, 0)]


async def test_a_reader_sees_each_document_once_while_chunks_are_written(rows: Pool) -> None:
    items = [item(seq) for seq in range(3 * CHUNK + 9)]
    wanted = terms(WORDS[0])
    seen = [0]

    async def read_all() -> None:
        held = NO_DOCUMENTS
        while seen[-1] < len(items):
            held, found = await read(rows, LayerKey(WREN, 0, 0), held, wanted)
            expected = [seq for seq, one in enumerate(items[: len(found)]) if WORDS[0] in one.text]
            assert sorted(found.postings[0][0].tolist()) == expected
            seen.append(len(found))

    reading = asyncio.gather(read_all(), read_all())
    for batch in cut(items, 250):
        await index(rows, batch)
    await asyncio.wait_for(reading, 60)
    assert len(set(seen)) > 3


@pytest.mark.parametrize("size", [1, 2, 4])
async def test_authors_are_known_by_the_name_that_came_first(rows: Pool, size: int) -> None:
    items = [item(0, author="Ines"), item(1, author="INES"), item(2, author="Ada"), item(3, author="ines")]
    await index(rows, [item(0, key=b"robin")])
    for first in range(0, len(items), size):
        await index(rows, items[first : first + size])
    async with rows.connection() as connection:
        cursor = await connection.execute("SELECT name FROM authors WHERE anima_id = %s ORDER BY name", [WREN])
        assert [row["name"] for row in await cursor.fetchall()] == ["Ada", "Ines"]
