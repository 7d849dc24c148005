"""What ranking reads, complete per anima: one statement, arrays instead of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector import HalfVector
from psycopg import sql as composed

from agents.index import BUCKETS, CHUNK, document
from sinks.database import sql
from sinks.documents import Documents
from sinks.items import Item
from sinks.postings import Entries, Int32, Posting, counted
from sinks.vectors import table

Floats = NDArray[np.float32]
SLICE = 2_048  # vectors read at a time
# Every half-precision number, by its bits: numpy converts them one by one.
HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of one anima; every array is indexed by seq. See api.packs.ranking.Signals, which these become.

    `similarity` is NaN where there is no vector yet.
    """

    lengths: Int32
    sessions: Int32
    authors: Int32
    occurred_at: NDArray[np.int64]
    similarity: Floats
    postings: list[Posting]

    def __len__(self) -> int:
        return len(self.lengths)

    def compare(self, first: int, similarity: Floats) -> None:
        """Fill in similarities from seq `first` on. Vectors and words come separately: some may be too early."""
        self.similarity[first : first + len(similarity)] = similarity[: max(0, len(self) - first)]


class LayerKey(NamedTuple):
    """A layer of an anima in one generation, with its vectors by one model, if any."""

    anima: UUID
    layer: int
    generation: int
    model: int | None = None


@cache
def statement(name: str, dimensions: int) -> bytes:
    """The query in `sinks/sql/<name>.sql` for vectors of so many dimensions.

    `retrieve` gives a row for each layer, see `parameters`, `Documents.extended`, `layer` and `vectors`;
    `retrieve_with_view` the same with the columns, and the parameters, of `anima_view` in the first row. Composed once:
    to do it for each pack costs.
    """
    parts = {
        "vectors": composed.Identifier(table(dimensions)),
        "halfvec": composed.SQL("halfvec({})").format(dimensions),
    }
    for part in ("vectors_slice", "retrieve", "anima_view"):
        parts[part] = composed.SQL(sql(part)).format(**parts)
    return composed.SQL(sql(name)).format(**parts).as_bytes(None)


async def next_vectors(
    connection: psycopg.AsyncConnection[Any], key: LayerKey, dimensions: int, since: int
) -> tuple[int, Floats]:
    """A slice of a layer's vectors from a seq on, and the seq of the first."""
    values = key._asdict() | {"since": since, "slice": SLICE}
    (row,) = await fetch(connection, statement("vectors_next", dimensions), values)
    return vectors(row, dimensions)


async def compare(connection: psycopg.AsyncConnection[Any], key: LayerKey, vector: Floats) -> tuple[int, Floats]:
    """The similarities of a layer's vectors, computed by Postgres, and the seq of the first."""
    values = key._asdict() | {"vector": HalfVector(vector)}
    (row,) = await fetch(connection, statement("compare", len(vector)), values)
    # Vectors are written in the order of seq, so they form one run.
    return row["first"], -np.frombuffer(row["dissimilarity"] or b"", ">f4")


def parameters(
    layers: Sequence[LayerKey],
    terms: Sequence[int],
    since: Sequence[int] = (),
    vectors_since: Sequence[int] = (),
    most_held: int = 0,
) -> dict[str, Any]:
    """Of these layers of one anima: documents from the seqs `since` on, and vectors from the seqs `vectors_since` on of
    layers with no more than `most_held` items.
    """
    return {
        "anima": layers[0].anima, "model": layers[0].model, "layers": [key.layer for key in layers],
        "generations": [key.generation for key in layers], "since": list(since) or [0] * len(layers),
        "vectors_since": list(vectors_since), "slice": SLICE, "most_chunks": most_held // CHUNK,
        "buckets": sorted({term % BUCKETS for term in terms}),
    }  # fmt: skip


async def fetch(connection: psycopg.AsyncConnection[Any], query: Any, values: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each layer, in the order in which `values` names them."""
    return await (await connection.execute(query, values, binary=True)).fetchall()


def layer(documents: Documents, row: dict[str, Any], terms: Sequence[int]) -> Layer:
    """All documents of a layer, and where a question's distinct terms stand in them by its row of `retrieve.sql`."""
    lengths, sessions, authors, occurred = documents.columns
    unknown = np.full(len(documents), np.nan, np.float32)
    return Layer(lengths, sessions, authors, occurred.astype(np.int64), unknown, _postings(documents, row, terms))


def vectors(row: dict[str, Any], dimensions: int) -> tuple[int, Floats]:
    """A slice of vectors, and the seq of the first. Pure."""
    # As halfvec_send writes each: the number of dimensions, two bytes unused, the values, all big-endian.
    halves = np.frombuffer(row["vectors"] or b"", ">u2").reshape(-1, dimensions + 2)[:, 2:]
    return row["vectors_first"] or 0, HALVES[halves.astype(np.uint16)]


def prefix(layer: Layer, items: int) -> Layer:
    """The layer as it was when it held so many items."""
    if items >= len(layer):
        return layer
    kept = [seqs < items for seqs, _ in layer.postings]
    return Layer(
        layer.lengths[:items], layer.sessions[:items], layer.authors[:items], layer.occurred_at[:items],
        layer.similarity[:items],
        [(seqs[keep], counts[keep]) for (seqs, counts), keep in zip(layer.postings, kept, strict=True)],
    )  # fmt: skip


def extend(layer: Layer, items: Sequence[Item], terms: Sequence[int]) -> Layer:
    """The layer with items that follow it and are not indexed yet: they have words, but no vector."""
    rows = [document(item) for item in items]
    words = [np.frombuffer(row[7], "<u4") for row in rows]
    first = len(layer)
    postings = []
    for term, (seqs, counts) in zip(sorted(terms), layer.postings, strict=True):
        counted = [(first + at, int((own == term).sum())) for at, own in enumerate(words) if term in own]
        places = np.array(counted, np.int32).reshape(-1, 2)
        postings.append((np.concatenate((seqs, places[:, 0])), np.concatenate((counts, places[:, 1]))))
    return Layer(
        np.append(layer.lengths, [len(own) for own in words]).astype(np.int32),
        np.append(layer.sessions, [row[4] for row in rows]).astype(np.int32),
        np.append(layer.authors, [row[5] for row in rows]).astype(np.int32),
        np.append(layer.occurred_at, [row[6] for row in rows]).astype(np.int64),
        np.append(layer.similarity, np.full(len(rows), np.nan)).astype(np.float32),
        postings,
    )


def _postings(documents: Documents, row: dict[str, Any], terms: Sequence[int]) -> list[Posting]:
    """Seqs and frequencies of each term: from the chunks' entries, and counted in the documents that follow them."""
    wanted = sorted(terms)
    found = list(counted(documents.terms, documents.seqs, wanted))
    if not row["entries"]:
        return found
    entries = Entries(row["entries"], row["spans"])
    in_chunks = [entries.find(term) for term in wanted]
    return [
        (np.concatenate((seqs, more)), np.concatenate((counts, more_counts)))
        for (seqs, counts), (more, more_counts) in zip(in_chunks, found, strict=True)
    ]
