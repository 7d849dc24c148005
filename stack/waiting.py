import time
from collections.abc import Callable

POLL_S = 0.05


def until(condition: Callable[[], bool], limit_s: float) -> bool:
    """Whether `condition` came true within `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True
