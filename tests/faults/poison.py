"""Faults of producers: records that nobody can use, all kinds of them at once, among the load."""

from tests.faults.kinds import fault
from tests.faults.scene import Scene
from tests.live.log import Sent, send
from tests.streams.poison import POISON


@fault("poison", "every case at once")
async def burst(scene: Scene) -> None:
    """Those of a megabyte too; through one producer, so that they share batches."""
    cases = scene.dice.sample(list(POISON.values()), len(POISON))
    await send(scene.settings, [Sent(one.key, one.value, one.partition) for one in cases])
