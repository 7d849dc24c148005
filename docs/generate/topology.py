"""topology.md: the stages and topics, from streams/topology.py and streams/topics.py."""

from docs.generate.defaults import DEFAULTS, TOPICS
from docs.generate.markdown import NOTE, lines, table
from streams.topics import Topic
from streams.topology import STAGES, Stage


def topology() -> str:
    return lines(
        "# Topology",
        "",
        f"<!-- {NOTE} -->",
        "",
        "Each stage is one consumer group doing one job; `elephantasm stage NAME` runs one. A dotted arrow means that",
        "a stage waits for the rows that another one writes.",
        "",
        "```mermaid",
        "flowchart LR",
        *_flow(),
        "```",
        "",
        "## Stages",
        "",
        *table(
            ("stage", "what it does", "reads", "writes", "waits for the rows of", "code"),
            [_stage_row(stage) for stage in STAGES],
        ),
        "",
        "## Topics",
        "",
        f"Each has {DEFAULTS.partitions} partitions (`ELEPHANTASM_PARTITIONS`); what belongs to an anima stands in",
        "the same one of each.",
        "",
        *table(
            ("topic", "what it holds", "written by", "values", "kept"), [_topic_row(topic) for topic in TOPICS.all()]
        ),
    )


def _flow() -> list[str]:
    boxes = [f"    {node(topic)}[({short(topic)})]" for topic in TOPICS.all()]
    boxes += [f"    {stage.name}[{stage.name}]" for stage in STAGES]
    boxes += ["    postgres[(Postgres)]", "    producers([producers]) --> events", "    api([api]) --> events"]
    arrows = []
    for stage in STAGES:
        arrows += [f"    {node(topic)} --> {stage.name}" for topic in stage.reads(TOPICS)]
        arrows += [f"    {stage.name} --> {node(topic)}" for topic in stage.writes(TOPICS)]
        arrows += [f"    {before} -.-> {stage.name}" for before in stage.after]
        if not {node(topic) for topic in stage.writes(TOPICS)} - {"dead_letters"}:
            arrows.append(f"    {stage.name} --> postgres")  # what sends nothing on writes rows
    return [*boxes, *arrows, "    postgres --> api"]


def _stage_row(stage: Stage) -> tuple[str, ...]:
    code = stage.step.replace(".", "/") + ".py"
    return (
        f"`{stage.name}`",
        stage.about,
        _names(stage.reads(TOPICS)),
        _names(stage.writes(TOPICS)),
        ", ".join(f"`{name}`" for name in stage.after) or "–",  # noqa: RUF001 - a dash stands for nothing
        f"[{code}](../{code})",
    )


def _topic_row(topic: Topic) -> tuple[str, ...]:
    values = ", ".join(value.__name__ for value in topic.values) or "bytes"
    return (f"`{topic.name}`", topic.about, ", ".join(topic.written_by), values, _kept(topic))


def _kept(topic: Topic) -> str:
    if topic.config["cleanup.policy"] == "compact":
        return "the last value of each key"
    kept_ms = int(topic.config["retention.ms"])
    return "for ever" if kept_ms < 0 else f"{kept_ms // 86_400_000} days"


def _names(of: tuple[Topic, ...]) -> str:
    return ", ".join(f"`{short(topic)}`" for topic in of) or "–"  # noqa: RUF001 - a dash stands for nothing


def short(topic: Topic) -> str:
    return topic.name.removeprefix(TOPICS.group("")).removeprefix(TOPICS.prefix)


def node(topic: Topic) -> str:
    return short(topic).replace("-", "_")
