"""The API's processes: one on a socket that the process manager opened, or several of uvicorn's own."""

import socket

import uvicorn

from stack.settings import Settings

APPLICATION = "api.app:create_app"


def serve(settings: Settings, fd: int | None) -> None:
    options = {"factory": True, "log_level": settings.log_level, "access_log": False, "timeout_graceful_shutdown": 15}
    if fd is None:
        uvicorn.run(
            APPLICATION,
            host=settings.api_host,
            port=settings.api_port,
            workers=settings.api_processes,
            **options,  # type: ignore[arg-type]
        )
        return
    server = uvicorn.Server(uvicorn.Config(APPLICATION, **options))  # type: ignore[arg-type]
    server.run(sockets=[socket.socket(fileno=fd)])
