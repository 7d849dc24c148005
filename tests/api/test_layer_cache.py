"""Held vectors give the numbers that they give alone, whenever and in whatever pieces; what is held is bounded."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.index import COLUMNS
from api.packs.layer_cache import LAYER_BYTES, HeldLayer, LayerCache, Run
from sinks.documents import NO_DOCUMENTS, Documents

DIMENSIONS = 48
DICE = np.random.default_rng(5)
VECTORS = DICE.standard_normal((200, DIMENSIONS)).astype(np.float16).astype(np.float32)
QUESTION = DICE.standard_normal(DIMENSIONS).astype(np.float32)
ALONE = np.array([np.einsum("ij,j->i", one[None], QUESTION)[0] for one in VECTORS])


def run_of(items: int, first: int = 0) -> Run:
    run = Run()
    run.append(first, VECTORS[first : first + items])
    return run


def layer_of(items: int) -> HeldLayer:
    held = HeldLayer()
    held.vectors = run_of(items)
    return held


@given(st.integers(0, 50), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12))
def test_pieces_and_repeats_do_not_matter(first: int, pieces: list[tuple[int, int]]) -> None:
    run = run_of(3, first)
    for size, again in pieces:
        start = max(first, run.end - again)
        run.append(start, VECTORS[start : start + size])
    assert (run.first, run.end) == (first, first + len(run.products(QUESTION)))
    assert run.products(QUESTION).tobytes() == ALONE[first : run.end].tobytes()


def test_nothing_has_no_products() -> None:
    assert len(Run().products(QUESTION)) == 0
    assert len(run_of(0, 7).rows) == 0


def test_room_for_all_is_made_at_once() -> None:
    run = Run()
    run.append(5, VECTORS[5:10], until=100)
    room = run.room
    run.append(10, VECTORS[10:100], until=100)
    assert run.room is room
    assert run.products(QUESTION).tobytes() == ALONE[5:100].tobytes()


def test_a_gap_is_an_error() -> None:
    with pytest.raises(ValueError, match="do not follow"):
        run_of(3).append(4, VECTORS[4:5])


def test_what_was_not_asked_about_lately_makes_room() -> None:
    room = 4 * (25 * DIMENSIONS * 4 + LAYER_BYTES)
    cache = LayerCache(room)
    for key in "abcd":
        cache.keep(key, layer_of(25))
    cache.keep("a", cache.layer("a"))
    cache.keep("e", layer_of(25))
    assert list(cache.layers) == ["c", "d", "a", "e"]
    assert cache.nbytes == room
    assert cache.layer("b").vectors.end == 0


def test_documents_take_room_too() -> None:
    held = HeldLayer()
    held.documents = Documents(np.zeros((4, 10), np.int32), 0, np.zeros(25, np.uint32))
    cache = LayerCache(LAYER_BYTES + 400)
    cache.keep("a", held)
    assert cache.nbytes == LAYER_BYTES + 10 * 16 + 25 * 4
    cache.keep("b", layer_of(1))
    assert list(cache.layers) == ["b"]


def test_who_asked_earlier_and_hears_later_takes_nothing_away() -> None:
    def row(items: int) -> dict[str, Any]:
        column = np.ones(items, ">i4").tobytes()
        of_each = {f"recent_{name}": column for name in COLUMNS}
        return {"chunks": 0, "columns": None, "terms": np.ones(items, "<u4").tobytes()} | of_each

    held = HeldLayer()
    assert len(held.read_on(NO_DOCUMENTS, row(3))) == 3
    assert len(held.read_on(NO_DOCUMENTS, row(2))) == 2
    assert len(held.documents) == 3


def test_who_asks_at_the_same_time_gets_the_same_until_it_is_forgotten() -> None:
    cache = LayerCache(1_000_000)
    held = cache.layer("a")
    assert cache.layer("a") is held
    held.vectors.append(0, VECTORS[:1])
    cache.keep("a", held)
    assert cache.layer("a") is held
    cache.forget(["a", "b"])
    assert cache.nbytes == 0
    assert cache.layer("a") is not held


def test_an_empty_layer_takes_no_place() -> None:
    cache = LayerCache(1_000_000)
    cache.keep("a", HeldLayer())
    assert not cache.layers
    assert cache.nbytes == 0


def test_no_vectors_take_more_than_half_of_the_room() -> None:
    assert LayerCache(100 * DIMENSIONS * 4).most_items(DIMENSIONS) == 50
    assert LayerCache(0).most_items(DIMENSIONS) == 0
