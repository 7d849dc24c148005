"""A collector that the test has in hand."""

import gc
import weakref
from collections.abc import Iterator

import pytest


class Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def cycle() -> Iterator["weakref.ref[object]"]:
    """Something that nobody holds but itself, and a collector that never comes by itself."""
    gc.disable()
    try:
        yield weakref.ref(Cycle())
    finally:
        gc.enable()
