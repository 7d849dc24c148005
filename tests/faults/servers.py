"""Faults of the servers: Kafka and Postgres killed, restarted, frozen, cut off, without room, in part away."""

import asyncio
import signal
from functools import partial
from pathlib import Path

import psycopg

from sinks.database import dsn
from tests.faults.kinds import NOT_OFFERED, fault
from tests.faults.probe import recovered
from tests.faults.scene import SESSION_S, Scene, hit
from tests.faults.small_disk import allowed
from tests.live.log import eventually

SEEK_S = 2.0
CLIENTS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


@fault("servers", "Kafka killed")
async def kill_kafka(scene: Scene) -> None:
    scene.hit(scene.one_of("kafka"), signal.SIGKILL)


@fault("servers", "Kafka restarted")
async def restart_kafka(scene: Scene) -> None:
    scene.hit(scene.one_of("kafka"), signal.SIGTERM)


@fault("servers", "Kafka frozen")
async def freeze_kafka(scene: Scene) -> None:
    await scene.freeze([scene.one_of("kafka")], scene.dice.uniform(3, 20))


@fault("servers", "Kafka frozen beyond all sessions, score slow to seek")
async def freeze_slow_seek(scene: Scene) -> None:
    """A fetch that has waited through the freeze, and so through a rebalance, moves the worker's position on."""
    async with scene.replaced("score") as worker:
        start = partial(scene.stage, "score", worker, module=("tests.faults.slow_seek", str(SEEK_S)))
        pid = start()
        try:
            await recovered(scene.settings)
            await scene.freeze([scene.one_of("kafka")], SESSION_S * scene.dice.uniform(1.5, 2.5))
            await recovered(scene.settings)
            pid = scene.kept_up(pid, start)
        finally:
            await asyncio.to_thread(scene.dismiss, pid, signal.SIGTERM)


@fault("servers", "Postgres killed")
async def kill_postgres(scene: Scene) -> None:
    scene.hit(scene.one_of("postgres"), signal.SIGKILL)


@fault("servers", "Postgres restarted")
async def restart_postgres(scene: Scene) -> None:
    scene.hit(scene.one_of("postgres"), signal.SIGINT)


@fault("servers", "all connections to Postgres terminated")
async def terminate_connections(scene: Scene) -> None:
    async with await psycopg.AsyncConnection.connect(dsn(scene.settings), autocommit=True) as connection:
        scene.struck("postgres")
        await connection.execute(f"SELECT pg_terminate_backend(pid) FROM ({CLIENTS}) AS client")


@fault("servers", "a backend of Postgres killed")
async def kill_backend(scene: Scene) -> None:
    """Postgres then ends all others and recovers as after a crash."""
    async with await psycopg.AsyncConnection.connect(dsn(scene.settings), autocommit=True) as connection:
        pids = [row[0] for row in await (await connection.execute(CLIENTS)).fetchall()]
        scene.struck("postgres")
        hit(scene.dice.choice(pids), signal.SIGKILL)


@fault("servers", "the leader of one topic away")
async def no_leader(scene: Scene) -> None:
    """Of the topic of memories; the broker that holds all others goes on."""
    scene.struck("kafka")
    scene.broker.kill()
    await asyncio.sleep(scene.dice.uniform(3, 15))
    scene.broker.start()


async def full_disk(scene: Scene) -> None:
    """Of the tables that grow. Some stage finds no room, and whoever needs some for seconds on."""
    assert scene.disk is not None
    log = scene.stack.directory.logs / "postgres.log"
    before = _refusals(log)
    scene.disk.fill()
    try:

        async def refused() -> bool:
            return _refusals(log) > before

        await eventually(refused, 60, "Postgres finds no room")
        await asyncio.sleep(scene.dice.uniform(3, 10))
    finally:
        scene.disk.clear()


def _refusals(log: Path) -> int:
    return log.read_bytes().count(b"No space left on device")


if allowed():
    fault("servers", "no room on the disk of Postgres")(full_disk)
else:
    NOT_OFFERED["no room on the disk of Postgres"] = "this process may not mount a small file system"
