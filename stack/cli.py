"""The command line. What a command does is in the module of its name, imported when it runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from stack.errors import StackError

app = typer.Typer(
    help="Long-term memory for AI agents as a stream pipeline.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

letters = typer.Typer(
    help="What could not be processed: look at it, redrive it, or put it aside.", no_args_is_help=True
)
app.add_typer(letters, name="dead-letters")

Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids, as `list` shows them.")]
OfStage = Annotated[str | None, typer.Option("--stage", help="Of this stage.")]
OfTopic = Annotated[str | None, typer.Option("--topic", help="Whose records stood on this topic.")]
OfReason = Annotated[str | None, typer.Option("--reason", help="Whose reason contains this.")]
AtMost = Annotated[int, typer.Option(min=1, max=100_000, help="No more than so many, the oldest first.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show which (the first 200).")]


@app.command()
def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when it is ready.")] = False,
) -> None:
    """Start everything, and stay until Ctrl-C."""
    from stack.environment import configured
    from stack.up import up

    up(configured(), detach)


@app.command()
def down() -> None:
    """Stop everything."""
    from stack.environment import configured
    from stack.up import down

    down(configured())


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show the processes; exit code 0 means ready."""
    from stack.environment import configured
    from stack.status import status

    raise typer.Exit(not status(configured(), as_json))


@app.command()
def logs(
    name: Annotated[str | None, typer.Argument(help="A process, as `status` names it.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay and show what is added.")] = False,
) -> None:
    """Show the processes' logs."""
    from stack.environment import configured
    from stack.logs import logs

    logs(configured(), name, follow)


@app.command()
def migrate() -> None:
    """Create topics and tables on existing servers."""
    from stack.environment import configured
    from stack.migrate import migrate

    migrate(configured())


@app.command()
def stage(name: Annotated[str, typer.Argument(help="A stage, as `status` names it.")]) -> None:
    """Run one stage in this process."""
    from stack.environment import configured
    from stack.stage import run

    run(name, configured())


@app.command()
def api(
    fd: Annotated[int | None, typer.Option(help="Serve on this open socket, in one process.")] = None,
) -> None:
    """Run the API."""
    from stack.environment import configured
    from stack.serve import serve

    serve(configured(), fd)


@app.command()
def pack(
    anima: Annotated[str, typer.Argument(help="Id, key or name of the anima.")],
    query: Annotated[str | None, typer.Argument(help="What the pack is for.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=500, max=16_000, help="Budget in o200k_base tokens.")] = None,
    preset: Annotated[str, typer.Option(help="default or conversational.")] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Compile a memory pack: what is in it, why, and where it comes from."""
    from stack.environment import configured
    from stack.pack import pack

    pack(configured(), anima, query, max_tokens, preset, as_json)


@app.command()
def produce(
    anima: Annotated[str, typer.Option(help="Record key: the anima's own name or id, up to 200 characters.")],
    file: Annotated[Path, typer.Option(help="JSON Lines, one event each; - reads standard input.")] = Path("-"),
) -> None:
    """Publish events to the log: {"event_type": "message.in", "content": "…"}, one per line."""
    from stack.environment import configured
    from stack.produce import produce

    produce(configured(), anima, file)


@app.command()
def lineage(
    kind: Annotated[str, typer.Argument(help="event or memory.")],
    identity: Annotated[str, typer.Argument(metavar="ID", help="Its id.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show where an item comes from, down to positions in the log, and what was derived from it."""
    from stack.environment import configured
    from stack.lineage import lineage

    lineage(configured(), kind, identity, as_json)


@app.command()
def lag(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again every second, until Ctrl-C.")] = False,
) -> None:
    """Show how far each stage is behind, since when, and whether that is a worry."""
    from stack.environment import configured
    from stack.lag import lag

    lag(configured(), as_json, watch)


@letters.command("list")
def list_letters(
    stage: OfStage = None,
    topic: OfTopic = None,
    reason: OfReason = None,
    state: Annotated[str | None, typer.Option(help="open, redriven or discarded.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="No more than so many, the latest first.")] = 50,
    as_json: Json = False,
) -> None:
    """Show what could not be processed, the latest first."""
    from stack.dead_letters import list_letters
    from stack.environment import configured

    wanted = {"stage": stage, "topic": topic, "reason": reason, "state": state, "limit": limit}
    list_letters(configured(), wanted, as_json)


@letters.command("show")
def show_letter(letter: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False) -> None:
    """Show one: its bytes, and every try at its record."""
    from stack.dead_letters import show
    from stack.environment import configured

    show(configured(), letter, as_json)


@letters.command("redrive")
def redrive_letters(
    ids: Ids = None,
    stage: OfStage = None,
    topic: OfTopic = None,
    reason: OfReason = None,
    limit: AtMost = 200,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send records through the pipeline again, once."""
    from stack.dead_letters import Chosen, redrive
    from stack.environment import configured

    redrive(configured(), Chosen(ids, stage, topic, reason), limit, dry_run, as_json)


@letters.command("discard")
def discard_letters(
    why: Annotated[str, typer.Option(help="Kept with the letters.")],
    ids: Ids = None,
    stage: OfStage = None,
    topic: OfTopic = None,
    reason: OfReason = None,
    limit: AtMost = 200,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Put letters aside. They stay, marked."""
    from stack.dead_letters import Chosen, discard
    from stack.environment import configured

    discard(configured(), Chosen(ids, stage, topic, reason), why, limit, dry_run, as_json)


@app.command()
def demo() -> None:
    """Start the stack, send it a conversation, and show the memory pack that comes out."""
    from stack.demo import main

    main()


def main() -> None:
    try:
        app()
    except StackError as error:
        sys.exit(f"elephantasm: {error}")


if __name__ == "__main__":
    main()
