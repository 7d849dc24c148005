"""The command line. What a command does is in the module of its name, imported when it runs."""

import sys
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
