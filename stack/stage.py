from stack.errors import StackError
from stack.logging import configure
from stack.processes import STAGES
from stack.settings import Settings


def run(name: str, settings: Settings) -> None:
    """Until a signal ends it."""
    if name not in STAGES:
        raise StackError(f"There is no stage {name}. There are: {', '.join(STAGES)}.")
    configure(settings.log_level)
    from streams.topology import run

    run(name, settings)
