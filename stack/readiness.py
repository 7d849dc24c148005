"""Whether a stack can serve: asked of the servers and the API, not of the process manager."""

import asyncio
import http.client
import json
import socket
from collections.abc import Awaitable, Callable

from stack.errors import StackError
from stack.settings import Settings

RETRY_S = 0.1
PROBE_S = 5.0


def api_ready(settings: Settings) -> tuple[bool, str]:
    """Whether the API says that it is ready, and what it said."""
    status, said = _ask(settings, "/api/readyz")
    return status == 200, said


def all_well(settings: Settings) -> tuple[bool, str]:
    """Whether nothing is missing, stages that stopped included; and what is."""
    status, said = _ask(settings, "/api/health")
    if status != 200:
        return False, said
    missing = json.loads(said)["missing"]
    return not missing, "; ".join(missing)


def _ask(settings: Settings, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(api_address(settings), settings.api_port, timeout=PROBE_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, f"the API does not answer ({error or type(error).__name__})"
    finally:
        connection.close()


def api_address(settings: Settings) -> str:
    return "127.0.0.1" if settings.api_host == "0.0.0.0" else settings.api_host  # noqa: S104


def kafka_listens(settings: Settings) -> bool:
    with socket.socket() as probe:
        probe.settimeout(PROBE_S)
        return probe.connect_ex(("127.0.0.1", settings.kafka_port)) == 0


async def admin_step(settings: Settings, alive: Callable[[], object]) -> None:
    """Topics and tables, each as soon as its server serves. `alive` raises when waiting has become pointless."""
    await asyncio.gather(_topics(settings, alive), _tables(settings, alive))


async def _topics(settings: Settings, alive: Callable[[], object]) -> None:
    from aiokafka.errors import KafkaError

    from streams.admin import WrongPartitionCount, ensure_topics

    async def attempt() -> None:
        if not settings.kafka and not kafka_listens(settings):
            raise ConnectionRefusedError
        await ensure_topics(settings)

    try:
        await _patiently(attempt, KafkaError, alive, patient=not settings.kafka)
    except KafkaError as error:
        raise StackError(
            f"Kafka at {settings.kafka} refused: {error}. Check ELEPHANTASM_KAFKA and its server."
        ) from None
    except WrongPartitionCount as error:
        raise StackError(str(error)) from None


async def _tables(settings: Settings, alive: Callable[[], object]) -> None:
    import psycopg

    from sinks.database import dsn
    from sinks.migrate import DatabaseNewer, MigrationChanged, migrate

    async def attempt() -> None:
        await migrate(dsn(settings))

    try:
        await _patiently(attempt, psycopg.OperationalError, alive, patient=not settings.database)
    except psycopg.Error as error:
        where = "ELEPHANTASM_DATABASE" if settings.database else "the embedded PostgreSQL"
        raise StackError(f"The migration of {where} failed: {str(error).strip()}") from None
    except (DatabaseNewer, MigrationChanged) as error:
        raise StackError(str(error)) from None


async def _patiently(
    attempt: Callable[[], Awaitable[None]], transient: type[Exception], alive: Callable[[], object], *, patient: bool
) -> None:
    """Until it succeeds or `alive` raises: a server that recovers a large log after a crash takes its time."""
    while True:
        try:
            return await attempt()
        except (transient, ConnectionError):
            if not patient:
                raise
        alive()
        await asyncio.sleep(RETRY_S)
