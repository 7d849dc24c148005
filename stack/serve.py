"""The API's processes: one on a socket that the process manager opened, or several of uvicorn's own."""

import os
import socket
import tempfile
from typing import Any

import uvicorn

from stack.directory import DataDirectory
from stack.settings import Settings

APPLICATION = "api.app:create_app"
# Names the directory in which processes that serve one port keep their counts, so that each can tell those of all.
# prometheus_client reads it when it is imported, which is later.
SHARED = "PROMETHEUS_MULTIPROC_DIR"


def serve(settings: Settings, fd: int | None) -> None:
    if fd is not None:
        shared = DataDirectory(settings.data_dir).counts
        shared.mkdir(parents=True, exist_ok=True)
        os.environ[SHARED] = str(shared)
        server = uvicorn.Server(uvicorn.Config(APPLICATION, **_options(settings)))
        server.run(sockets=[socket.socket(fileno=fd)])
    elif settings.api_processes == 1:
        _listen(settings)
    else:
        with tempfile.TemporaryDirectory(prefix="elephantasm-") as counts:
            os.environ[SHARED] = counts
            _listen(settings)


def _listen(settings: Settings) -> None:
    uvicorn.run(
        APPLICATION,
        host=settings.api_host,
        port=settings.api_port,
        workers=settings.api_processes,
        **_options(settings),
    )


def _options(settings: Settings) -> dict[str, Any]:
    return {"factory": True, "log_level": settings.log_level, "access_log": False, "timeout_graceful_shutdown": 15}
