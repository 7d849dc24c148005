"""A second broker, which holds one topic alone: while it is away, that topic has no leader and all others have."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import AlterPartitionReassignmentsRequest

from stack import jars
from stack.execute import complaint, execute
from stack.kafka import JVM, LOGGING
from stack.settings import Settings
from streams.kafka import connection, topics_of
from tests.conftest import free_port
from tests.live.log import eventually

NODE = 2
PROPERTIES = """\
process.roles=broker
node.id={node}
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}
auto.create.topics.enable=false
log.retention.ms=-1
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
controller.quorum.retry.backoff.ms=500
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=2
"""


@dataclass
class SecondBroker:
    """Joins the cluster of the embedded broker, whose data directory lies in `settings.data_dir`."""

    settings: Settings
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def _folder(self) -> Path:
        return self.settings.data_dir / "kafka-2"

    @property
    def _properties(self) -> Path:
        return self.settings.data_dir / "server-2.properties"

    def format(self) -> None:
        meta = (self.settings.data_dir / "kafka" / "meta.properties").read_text()
        cluster = re.search(r"^cluster\.id=(.+)$", meta, re.MULTILINE)
        assert cluster, meta
        names = {"node": NODE, "port": self.port, "controller_port": self.settings.kafka_controller_port}
        self._properties.write_text(PROPERTIES.format(folder=self._folder, **names))
        options = (f"--cluster-id={cluster[1]}", "--no-initial-controllers", "-c", self._properties)
        java = (jars.java(), "-XX:TieredStopAtLevel=1", *LOGGING, "-cp", jars.classpath())
        done = execute(*java, "kafka.tools.StorageTool", "format", *options)
        assert not done.returncode, complaint(done)

    def start(self) -> None:
        # It stands for a broker on another machine: while the controller is away it asks for it without a pause, and
        # would take the CPU from the one that starts.
        java = ("nice", "-n", "10", jars.java(), *JVM, *LOGGING, "-cp", jars.classpath())
        with (self.settings.data_dir / "logs" / "kafka-2.log").open("ab") as log:
            command = [*java, "kafka.Kafka", str(self._properties)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    async def take(self, topic: str) -> None:
        """Once it has joined, all of the topic moves here."""
        admin = AIOKafkaAdminClient(**connection(self.settings))
        await admin.start()
        try:
            await eventually(lambda: _has_joined(admin), 120, "the second broker has joined")
            places: list[Any] = [(number, [NODE], {}) for number in range(self.settings.partitions)]
            request = AlterPartitionReassignmentsRequest(60_000, [(topic, places, {})], {})
            response = await admin._send_to_controller(request)
            assert not response.error_code, response
            await eventually(lambda: _leads(admin, topic), 120, f"the second broker leads {topic}")
        finally:
            await admin.close()


async def _has_joined(admin: AIOKafkaAdminClient) -> bool:
    return any(broker["node_id"] == NODE for broker in (await admin.describe_cluster())["brokers"])


async def _leads(admin: AIOKafkaAdminClient, topic: str) -> bool:
    [found] = await admin.describe_topics([topic])
    return all(one["replicas"] == [NODE] and one["leader"] == NODE for one in found["partitions"])


@asynccontextmanager
async def second_broker(settings: Settings) -> AsyncIterator[SecondBroker]:
    """With the topic of memories. Killed at the end: everybody else has stopped by then."""
    broker = SecondBroker(settings, free_port())
    await asyncio.to_thread(broker.format)
    broker.start()
    try:
        await broker.take(topics_of(settings).memories.name)
        yield broker
    finally:
        broker.kill()
