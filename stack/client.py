"""The API as the command line calls it, with the standard library; errors become sentences."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from stack.errors import StackError
from stack.readiness import api_address
from stack.settings import Settings
from streams.positions import anima_of

TIMEOUT_S = 60.0
PATIENCE_S = 120.0


class NotFound(StackError):
    """The API answered 404."""


class Client:
    """Asks again after 503, for `patience_s` seconds."""

    def __init__(self, settings: Settings, patience_s: float = PATIENCE_S) -> None:
        self.patience_s = patience_s
        self.base = f"http://{api_address(settings)}:{settings.api_port}/api"

    def get(self, path: str, **query: Any) -> Any:
        given = {name: value for name, value in query.items() if value is not None}
        url = f"{self.base}{quote(path)}" + (f"?{urlencode(given)}" if given else "")
        return self._call(urllib.request.Request(url))  # noqa: S310

    def post(self, path: str, body: Any) -> Any:
        content = json.dumps(body).encode()
        return self._call(urllib.request.Request(f"{self.base}{path}", content, {"Content-Type": "application/json"}))  # noqa: S310

    def _call(self, request: urllib.request.Request) -> Any:
        """Comes back after 503 as the answer says, for a while. Raises StackError."""
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
                    return json.load(response)
            except urllib.error.HTTPError as error:
                detail = _detail(error)
                if error.code != 503 or time.monotonic() > deadline:
                    kind = NotFound if error.code == 404 else StackError
                    raise kind(f"the API answered {error.code}: {detail}") from None
                time.sleep(float(error.headers.get("Retry-After", 1)))
            except OSError as error:
                reason = getattr(error, "reason", error)
                raise StackError(f"no API at {self.base} ({reason}); `elephantasm up` starts one") from None


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        detail = json.load(error)["detail"]
    except (ValueError, KeyError):
        return str(error.reason)
    if isinstance(detail, list):
        return "; ".join(f"{fault['field']}: {fault['reason']}" for fault in detail)
    return str(detail)


def anima_id(client: Client, named: str) -> str:
    """The id of an anima given by id, key or exact name. Raises StackError."""
    readings: tuple[Callable[[str], UUID], ...] = (lambda key: anima_of(key.encode()), UUID)
    for reading in readings:
        with suppress(ValueError, NotFound):
            return str(client.get(f"/animas/{reading(named)}")["id"])
    matches = [anima["id"] for anima in client.get("/animas/search", name=named) if anima["name"] == named]
    if not matches:
        raise StackError(f"no anima has the id, key or name {named!r}; `curl {client.base}/animas` lists them")
    if len(matches) > 1:
        raise StackError(f"several animas are named {named!r}; give one of the ids {', '.join(matches)}")
    return str(matches[0])
