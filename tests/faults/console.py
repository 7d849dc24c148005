"""What a run says while it lasts."""

import time

from rich.console import Console

progress = Console(stderr=True, highlight=False)
started = time.monotonic()


def say(text: str) -> None:
    progress.print(f"{time.monotonic() - started:6.0f} s  {text}", markup=False, soft_wrap=True)
