import os

from stack.directory import DataDirectory
from stack.errors import StackError
from stack.settings import Settings

LINES = 200


def logs(settings: Settings, name: str | None, follow: bool) -> None:
    """Hand over to tail, which does not come back."""
    directory = DataDirectory(settings.data_dir).logs
    known = sorted(path.stem for path in directory.glob("*.log"))
    if name and name not in known:
        raise StackError(f"There is no log of {name} in {directory}. There are: {', '.join(known) or 'none yet'}.")
    if not known:
        raise StackError(f"There are no logs in {directory} yet. `elephantasm up` starts the stack.")
    files = [str(directory / f"{each}.log") for each in ([name] if name else known)]
    os.execvp("tail", ["tail", f"--lines={LINES}", *(["-F"] if follow else []), *files])  # noqa: S606, S607
