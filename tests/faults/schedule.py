"""Which faults, in which order. Pure: the seed decides."""

import random
from collections.abc import Sequence

from tests.faults.kinds import CLASSES, Kind


def schedule(kinds: Sequence[Kind], count: int, seed: int) -> list[Kind]:
    """`count` faults in rounds: every class once a round, in random order, its kinds one after the other.

    So a short run has met every class, and a long one every kind, before anything comes again.
    """
    dice = random.Random(f"schedule {seed}")
    decks = {of: dice.sample(mine, len(mine)) for of in CLASSES if (mine := [kind for kind in kinds if kind.of == of])}
    drawn: list[Kind] = []
    used = dict.fromkeys(decks, 0)
    while len(drawn) < count:
        for of in dice.sample(list(decks), len(decks)):
            drawn.append(decks[of][used[of] % len(decks[of])])
            used[of] += 1
    return drawn[:count]
