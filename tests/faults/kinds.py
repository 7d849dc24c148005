"""Every kind of fault, by class: a coroutine that does its harm to the scene and returns when that is over."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.faults.scene import Scene

Inject = Callable[["Scene"], Awaitable[None]]

CLASSES = ("kills", "zombies", "workers", "servers", "models", "clocks", "poison", "crash points")


class Kind(NamedTuple):
    """`inject` draws whom it hits from the scene's dice, and returns when the harm is done or lifted."""

    of: str
    name: str
    inject: Inject


class NotHit(Exception):
    """A fault that met nobody: a point that nothing came to, answers that nobody took. Harness or load are wrong."""


KINDS: list[Kind] = []
NOT_OFFERED: dict[str, str] = {}  # kinds that cannot be had on this machine, and why


def fault(of: str, name: str) -> Callable[[Inject], Inject]:
    """Declares a kind of fault of one of `CLASSES`."""
    assert of in CLASSES, of

    def declare(inject: Inject) -> Inject:
        KINDS.append(Kind(of, name, inject))
        return inject

    return declare
