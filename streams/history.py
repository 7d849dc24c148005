"""The lag of every stage as operators ask for it: not only how much, but since when, and whether it is getting better.

Pure: readings go in, with their time; a report comes out. What is remembered is bounded.
"""

from typing import NamedTuple

from pydantic import BaseModel, Field

from streams.arrivals import Look, arrived, look
from streams.lag import Lag, Reading
from streams.offsets import Group
from streams.verdict import Seen, Verdict, complete, verdict, window, worst

_VERDICT = Field(description="By Burrow's rules, from the window: OK, WARN, STOP, STALL or REWIND.")
_SECONDS = Field(description="How long the first record not yet processed has waited, as far as this process has seen.")
_COMMIT_AGE = Field(description="Seconds in which there was something to do and the committed offset did not change.")


class PartitionLag(BaseModel):
    stage: str
    group: str = Field(examples=["elephantasm.g1.sink"])
    topic: str
    partition: int
    verdict: Verdict = _VERDICT
    committed: int | None = Field(description="Next offset of the group; null before its first commit.")
    end: int = Field(description="Next offset of the partition.")
    lag: int = Field(description="Messages between the two.")
    seconds: float = _SECONDS
    commit_age_s: float = _COMMIT_AGE


class StageLag(BaseModel):
    """Over all its partitions: the worst verdict, the sum of the lag, the longest times."""

    group: str = Field(examples=["elephantasm.g1.sink"])
    state: str = Field(description="Of the group, in Kafka's words; Dead: no member ever came.", examples=["Stable"])
    members: int = Field(description="Workers in the group.")
    verdict: Verdict = _VERDICT
    lag: int
    seconds: float = _SECONDS
    commit_age_s: float = _COMMIT_AGE


class LagReport(BaseModel):
    total: int = Field(description="Messages, of all stages.")
    window_s: float = Field(description="Seconds that a verdict looks back.")
    complete: float = Field(description="Share of the window that was watched; below 1, OK means OK so far.")
    stages: dict[str, StageLag]
    partitions: list[PartitionLag]


class _Track(NamedTuple):
    """One group in one partition: what its window holds, and since when it has had to move and did not."""

    seen: list[Seen]
    waiting: float


class History:
    """What was seen of every group, over a sliding window."""

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self.tracks: dict[tuple[str, str, int], _Track] = {}
        self.ends: dict[tuple[str, int], list[Look]] = {}

    def add(self, reading: Reading) -> None:
        """Remember a reading that is newer than all before; memory grows with how often, not with how long."""
        for one in reading.lags:
            track = self._track(one, reading.at)
            self.tracks[one.group, one.topic, one.partition] = track._replace(
                seen=list(window(track.seen, reading.at - self.window_s))
            )
        for (topic, partition), end in {(one.topic, one.partition): one.end for one in reading.lags}.items():
            look(self.ends.setdefault((topic, partition), []), Look(reading.at, end))

    def report(self, reading: Reading) -> LagReport:
        """On a reading that is newer than what is remembered, and on that."""
        partitions = [self._partition(one, reading) for one in reading.lags]
        tracks = [self._track(one, reading.at).seen for one in reading.lags]
        return LagReport(
            total=sum(one.lag for one in partitions),
            window_s=self.window_s,
            complete=round(min(complete(seen, reading.at, self.window_s) for seen in tracks), 3),
            stages={
                stage: _stage(group, [one for one in partitions if one.stage == stage])
                for stage, group in reading.groups.items()
            },
            partitions=partitions,
        )

    def _track(self, one: Lag, at: float) -> _Track:
        """What is known of it with this reading."""
        new = Seen(at, one.next, one.end)
        known = self.tracks.get((one.group, one.topic, one.partition))
        if known is None:
            return _Track([new], at)
        still = new.lag > 0 and new.next == known.seen[-1].next
        return _Track([*known.seen, new], known.waiting if still else at)

    def _partition(self, one: Lag, reading: Reading) -> PartitionLag:
        track = self._track(one, reading.at)
        attended = reading.groups[one.stage].members > 0
        return PartitionLag(
            stage=one.stage, group=one.group, topic=one.topic, partition=one.partition,
            verdict=verdict(track.seen, reading.at, self.window_s, attended=attended),
            committed=one.committed, end=one.end, lag=one.lag,
            seconds=round(self._waited(one, reading.at), 3), commit_age_s=round(reading.at - track.waiting, 3),
        )  # fmt: skip

    def _waited(self, one: Lag, at: float) -> float:
        looks = [*self.ends.get((one.topic, one.partition), []), Look(at, one.end)]
        since = arrived(looks, one.next)
        return 0.0 if since is None else at - since


def _stage(group: Group, partitions: list[PartitionLag]) -> StageLag:
    return StageLag(
        group=partitions[0].group,
        state=group.state,
        members=group.members,
        verdict=worst([one.verdict for one in partitions]),
        lag=sum(one.lag for one in partitions),
        seconds=max(one.seconds for one in partitions),
        commit_age_s=max(one.commit_age_s for one in partitions),
    )
