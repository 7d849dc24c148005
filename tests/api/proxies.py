"""A door in front of a server: open, shut (connections are refused) or stuck (nobody answers)."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]


class Door:
    """Listens once it is opened first, at `address`; `listen` starts the server that the door is."""

    def __init__(self, address: str, inside: Connect, listen: Callable[..., Awaitable[asyncio.Server]]) -> None:
        self.address, self.inside, self.listen = address, inside, listen
        self.server: asyncio.Server | None = None
        self.passage = asyncio.Event()
        self.guests: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self.passage.set()
        if self.server is None:
            self.server = await self.listen(self._welcome)

    def jam(self) -> None:
        """Whoever is connected, or connects, hears nothing until it is opened again."""
        self.passage.clear()

    async def shut(self) -> None:
        """Whoever is connected is thrown out, and nobody can connect."""
        if self.server is not None:
            self.server.close()
            self.server = None
        for guest in list(self.guests):
            guest.cancel()
        await asyncio.gather(*self.guests, return_exceptions=True)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        guest = asyncio.current_task()
        assert guest is not None
        self.guests.add(guest)
        guest.add_done_callback(self.guests.discard)
        there = await self.inside()
        try:
            await asyncio.gather(self._carry(reader, there[1]), self._carry(there[0], writer))
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()
            there[1].close()

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while chunk := await source.read(65_536):
            await self.passage.wait()
            target.write(chunk)
            await target.drain()
        target.close()


def to_postgres(socket: Path, folder: Path) -> Door:
    """A door in `folder` to the server that listens on `socket`."""
    return Door(
        f"postgresql://elephantasm@/elephantasm?host={quote(str(folder), safe='')}",
        lambda: asyncio.open_unix_connection(socket),
        lambda welcome: asyncio.start_unix_server(welcome, folder / socket.name),
    )


def to_port(port: int, door: int) -> Door:
    """A door on the port `door` to the server on `port`, both on 127.0.0.1."""
    return Door(
        f"127.0.0.1:{door}",
        lambda: asyncio.open_connection("127.0.0.1", port),
        lambda welcome: asyncio.start_server(welcome, "127.0.0.1", door),
    )
