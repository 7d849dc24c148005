"""aiokafka's own tasks. When one ends by an error (0.14.0) nobody is told: the consumer would be silent for ever."""

from typing import Any


def require_alive(consumer: Any) -> None:
    """Raises what ended a task of this aiokafka consumer, once it has been started and subscribed.

    The coordinator's is looked at by `getmany`, too; the fetcher's and the client's, which asks for metadata, are not.
    """
    consumer._coordinator.check_errors()
    for task in (consumer._fetcher.error_future, consumer._client._sync_task):
        if task is not None and task.done():
            task.result()
            raise RuntimeError(f"a task of aiokafka has ended: {task!r}")
