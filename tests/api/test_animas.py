"""Animas: registered and changed through the log, found by name."""

import uuid

import httpx
import orjson

from streams.positions import anima_of
from tests.api.conftest import Anima, LogView


async def test_an_anima_is_derived_from_its_key(http: httpx.AsyncClient, log: LogView, anima: Anima) -> None:
    assert anima.id == str(anima_of(anima.key.encode()))
    (record,) = await log.since(anima, 0)
    assert orjson.loads(record.value or b"")["kind"] == "configure"


async def test_without_a_key_the_id_is_the_key(http: httpx.AsyncClient) -> None:
    answer = await http.post("/animas", json={"name": "Nameless", "description": "Has no key."})
    assert answer.status_code == 201
    assert answer.json()["key"] == answer.json()["id"]
    assert (await http.get(f"/animas/{answer.json()['id']}")).json() == answer.json()


async def test_a_key_is_registered_once(http: httpx.AsyncClient, log: LogView, anima: Anima) -> None:
    end = await log.end(anima)
    answer = await http.post("/animas", json={"name": "Another", "key": anima.key})
    assert answer.status_code == 409
    assert anima.id in answer.json()["detail"]
    assert await log.since(anima, end) == []


async def test_search_takes_the_beginning_of_a_name_literally(http: httpx.AsyncClient) -> None:
    mark = uuid.uuid4().hex
    for name in (f"{mark} 100% Wool", f"{mark} 100 Linen", f"{mark}_Silk"):
        await http.post("/animas", json={"name": name})

    async def names(name: str) -> list[str]:
        return [anima["name"] for anima in (await http.get("/animas/search", params={"name": name})).json()]

    assert await names(f"{mark} 100%") == [f"{mark} 100% Wool"]
    assert await names(f"{mark}_") == [f"{mark}_Silk"]
    assert await names(mark.upper()) == [f"{mark} 100 Linen", f"{mark} 100% Wool", f"{mark}_Silk"]
    listed = await http.get("/animas/search", params={"name": mark, "limit": 1, "offset": 1})
    assert [anima["name"] for anima in listed.json()] == [f"{mark} 100% Wool"]


async def test_only_what_is_given_changes(http: httpx.AsyncClient, log: LogView, anima: Anima) -> None:
    path = f"/animas/{anima.id}"
    assert (await http.patch(path, json={"description": "Roasts coffee."})).json()["name"] == anima.key
    assert (await http.patch(path, json={"name": "Wren"})).json()["description"] == "Roasts coffee."
    assert (await http.patch(path, json={"description": None})).json()["description"] is None
    end = await log.end(anima)
    assert (await http.patch(path, json={})).json()["name"] == "Wren"
    assert await log.since(anima, end) == []
