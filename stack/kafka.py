"""The embedded broker: Apache Kafka in KRaft mode, one node that is broker and controller, on 127.0.0.1."""

import shutil
from base64 import urlsafe_b64encode
from pathlib import Path
from uuid import uuid4

from stack import jars
from stack.directory import DataDirectory
from stack.errors import StackError
from stack.execute import complaint, execute
from stack.settings import Settings

# Serial collection and the first compiler only: they start in half the time, and the broker mostly waits for the disk.
JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
LOGGING = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")
LOGGING_FORMAT = "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX"

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={log_dir}

# One node: there is nobody to replicate to.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8

# Topics come from the admin step, and what is in them stays unless the topic says otherwise.
auto.create.topics.enable=false
log.retention.ms=-1
# A stack that was off for a year still knows where its stages were (ten years).
offsets.retention.minutes=5256000

group.initial.rebalance.delay.ms=0
# A broker that was killed is let in again only when its last session has expired.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
# An idle broker writes nothing twice a second.
metadata.max.idle.interval.ms=10000
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
"""


def prepare(directory: DataDirectory, settings: Settings) -> None:
    """Format the log directory once, and write server.properties anew. Raises StackError."""
    if not directory.kafka.is_dir():
        _format(directory, settings)
    _properties(directory).write_text(_render(directory.kafka, settings))


def command(directory: DataDirectory) -> tuple[str, ...]:
    java = (jars.java(), *JVM, *LOGGING, LOGGING_FORMAT, "-cp", jars.classpath())
    return (*java, "kafka.Kafka", str(_properties(directory)))


def _properties(directory: DataDirectory) -> Path:
    return directory.path / "server.properties"


def _render(log_dir: Path, settings: Settings) -> str:
    # A backslash begins an escape in a properties file.
    escaped = str(log_dir).replace("\\", "\\\\")
    return PROPERTIES.format(port=settings.kafka_port, controller_port=settings.kafka_controller_port, log_dir=escaped)


def _format(directory: DataDirectory, settings: Settings) -> None:
    draft = directory.path / "kafka.draft"
    shutil.rmtree(draft, ignore_errors=True)
    properties = directory.path / "format.properties"
    properties.write_text(_render(draft, settings))
    java = (jars.java(), "-XX:TieredStopAtLevel=1", *LOGGING, "-cp", jars.classpath())
    format_once = ("format", f"--cluster-id={_cluster_id()}", "-c", properties, "--standalone")
    done = execute(*java, "kafka.tools.StorageTool", *format_once)
    properties.unlink()
    if done.returncode:
        raise StackError(f"Kafka could not format {draft}: {complaint(done)}")
    draft.rename(directory.kafka)


def _cluster_id() -> str:
    return urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
