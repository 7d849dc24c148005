"""Faults of the servers: Kafka and Postgres killed, restarted, frozen, cut off."""

import signal

import psycopg

from sinks.database import dsn
from tests.faults.kinds import fault
from tests.faults.scene import Scene, frozen, hit


def _pid(scene: Scene, name: str) -> int:
    pid = scene.one_of(name).pid
    assert pid is not None
    return pid


@fault("servers", "Kafka killed")
async def kill_kafka(scene: Scene) -> None:
    hit(_pid(scene, "kafka"), signal.SIGKILL)


@fault("servers", "Kafka restarted")
async def restart_kafka(scene: Scene) -> None:
    hit(_pid(scene, "kafka"), signal.SIGTERM)


@fault("servers", "Kafka frozen")
async def freeze_kafka(scene: Scene) -> None:
    await frozen([_pid(scene, "kafka")], scene.dice.uniform(3, 20))


@fault("servers", "Postgres killed")
async def kill_postgres(scene: Scene) -> None:
    hit(_pid(scene, "postgres"), signal.SIGKILL)


@fault("servers", "Postgres restarted")
async def restart_postgres(scene: Scene) -> None:
    hit(_pid(scene, "postgres"), signal.SIGINT)


@fault("servers", "all connections to Postgres terminated")
async def terminate_connections(scene: Scene) -> None:
    async with await psycopg.AsyncConnection.connect(dsn(scene.settings), autocommit=True) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
