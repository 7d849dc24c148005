"""The Faust app of a stage: our transport, and settings chosen for what faust-streaming 0.15.3 does under faults."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import faust
from faust.auth import SASLCredentials, SSLCredentials

from stack.settings import Settings
from streams.kafka import bootstrap, password, tls, topics_of
from streams.lossless import Batch, BatchTransport
from streams.memory import spare_memory
from streams.recovery import PromptTables
from streams.topics import Topic


def faust_app(settings: Settings, stage: str) -> faust.App:
    scratch = settings.data_dir / "faust" / f"g{settings.generation}.{stage}.{settings.worker}"
    scratch.parent.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        topics_of(settings).group(stage),
        broker=";".join(f"kafka://{server}" for server in bootstrap(settings).split(",")),
        broker_credentials=_credentials(settings),
        datadir=str(scratch),
        store="memory://",
        # Topics are declared once, by the admin step; a worker never creates one.
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.partitions,
        table_standby_replicas=0,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        # A worker that restarts under its own name gets its partitions back at once, not after a session time-out.
        consumer_group_instance_id=f"{topics_of(settings).group(stage)}.{settings.worker}",
        broker_session_timeout=8.0,
        broker_heartbeat_interval=1.0,
        # A worker that does not poll for so long leaves its group, for ever: a spare one has nothing to poll, and one
        # that waits for a model or for Postgres has no room.
        broker_max_poll_interval=1e6,
        broker_commit_interval=0.25,
        broker_max_poll_records=10_000,
        producer_linger=0.02,
        producer_acks=-1,
        stream_wait_empty=False,
        worker_redirect_stdouts=False,
        TableManager=PromptTables,
    )
    app.transport = BatchTransport(app.conf.broker_consumer, app)
    return app


def wire(app: faust.App, topic: Topic, name: str, function: Callable[[Any], Awaitable[None]]) -> None:
    """One agent: `function` gets the stream of batches of `topic`."""
    app.agent(app.topic(topic.name, schema=Batch()), name=name)(function)


def run_worker(app: faust.App, settings: Settings) -> None:
    """Until SIGTERM or SIGINT."""
    spare_memory()
    sys.setswitchinterval(0.001)  # how long the fetching thread waits for each piece while a batch is folded
    _Worker(app, loglevel=settings.log_level, quiet=True).execute_from_commandline()


class _Worker(faust.Worker):  # type: ignore[misc]  # Faust has no types
    async def _sentinel_task(self) -> None:
        """Faust sleeps for a second when everything has ended, while the worker's session runs out."""


def _credentials(settings: Settings) -> Any:
    context = tls(settings) if settings.kafka_security_protocol.encrypts else None
    if settings.kafka_security_protocol.asks_for_user:
        return SASLCredentials(
            username=settings.kafka_sasl_username,
            password=password(settings),
            mechanism=settings.kafka_sasl_mechanism.value,
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None
