"""Lag and dead letters as Prometheus wants them; the names of lag are those that dashboards for Kafka know."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from streams.history import LagReport
from streams.topology import STAGES
from streams.verdict import Verdict


class Gauges(Collector):
    """Of one moment. `lag` is None while Kafka is away, `letters` (open ones by stage) while Postgres is."""

    def __init__(self, lag: LagReport | None, letters: Mapping[str, int] | None, build: Mapping[str, str]) -> None:
        self.lag, self.letters, self.build = lag, letters, build

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("elephantasm_build", "What serves this.", dict(self.build))
        servers = {"kafka": self.lag, "postgres": self.letters}
        reachable = _gauge("elephantasm_reachable", "Whether a server answers: 1 or 0.", "server")
        for server, told in servers.items():
            reachable.add_metric([server], told is not None)
        yield reachable
        if self.lag is not None:
            yield from _partitions(self.lag)
            yield from _groups(self.lag)
        if self.letters is not None:
            yield _letters(self.letters)


def _partitions(report: LagReport) -> Iterator[Metric]:
    of_partition = ("group", "topic", "partition")
    lag = _gauge("kafka_consumergroup_group_lag", "Messages between committed offset and end.", *of_partition)
    seconds = _gauge(
        "kafka_consumergroup_group_lag_seconds",
        "How long the first record not yet processed waits.",
        *of_partition,
    )
    age = _gauge(
        "elephantasm_commit_age_seconds",
        "Time with something to do and no new committed offset.",
        *of_partition,
    )
    for one in report.partitions:
        labels = [one.group, one.topic, str(one.partition)]
        lag.add_metric(labels, one.lag)
        seconds.add_metric(labels, one.seconds)
        age.add_metric(labels, one.commit_age_s)
    yield from (lag, seconds, age)


def _groups(report: LagReport) -> Iterator[Metric]:
    verdicts = _gauge("elephantasm_group_verdict", "1 for the verdict that holds, else 0.", "group", "verdict")
    members = _gauge("elephantasm_group_members", "Workers in the group.", "group")
    for stage in report.stages.values():
        members.add_metric([stage.group], stage.members)
        for each in Verdict:
            verdicts.add_metric([stage.group, each.value], each is stage.verdict)
    complete = _gauge("elephantasm_lag_window_complete_ratio", "Share of the verdicts' window that was watched.")
    complete.add_metric([], report.complete)
    yield from (verdicts, members, complete)


def _letters(letters: Mapping[str, int]) -> Metric:
    found = _gauge("elephantasm_dead_letters_open", "Dead letters that nobody has dealt with.", "stage")
    for stage in STAGES:
        found.add_metric([stage.name], letters.get(stage.name, 0))
    return found


def _gauge(name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=labels)
