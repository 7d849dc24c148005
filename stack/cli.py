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
