"""What Prometheus gets is what the API says."""

from typing import Any
from uuid import uuid4

import httpx
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from stack.embedded import Stack
from tests.api.conftest import Anima, MakeWorld, Serve, connected, eventually, on_stack, publish
from tests.api.test_lag import KEY, VALID
from tests.conftest import free_port

Labels = frozenset[tuple[str, str]]


class Scraped:
    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}

    def __getitem__(self, name: str) -> dict[Labels, float]:
        """The samples of a name by their labels."""
        samples = [sample for family in self.families.values() for sample in family.samples if sample.name == name]
        found = {frozenset(sample.labels.items()): sample.value for sample in samples}
        assert len(found) == len(samples)
        return found


def by(**labels: str) -> Labels:
    return frozenset(labels.items())


async def scrape(http: httpx.AsyncClient) -> Scraped:
    answer = await http.get(str(http.base_url.copy_with(path="/metrics")))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scraped(answer.text)


async def test_lag_is_what_the_api_says(make_world: MakeWorld, serve: Serve) -> None:
    world = await make_world(lag_window_s=1.0)
    http = await connected(await serve(world.settings))
    await publish(world.settings, KEY, *[VALID] * 7)

    async def judged() -> bool:
        return bool((await http.get("/lag")).json()["stages"]["sink"]["verdict"] == "STOP")

    await eventually(judged)
    before, scraped, after = (await http.get("/lag")).json(), await scrape(http), (await http.get("/lag")).json()
    assert scraped["elephantasm_lag_window_complete_ratio"] == {by(): 1}
    lag, seconds, age = (
        scraped[name]
        for name in (
            "kafka_consumergroup_group_lag", "kafka_consumergroup_group_lag_seconds", "elephantasm_commit_age_seconds",
        )
    )  # fmt: skip
    assert sum(lag.values()) == 28
    assert len(lag) == len(seconds) == len(age) == len(before["partitions"])
    for one, later in zip(before["partitions"], after["partitions"], strict=True):
        labels = by(group=one["group"], topic=one["topic"], partition=str(one["partition"]))
        assert lag[labels] == one["lag"]
        assert one["seconds"] <= seconds[labels] <= later["seconds"]
        assert one["commit_age_s"] <= age[labels] <= later["commit_age_s"]
    for stage in before["stages"].values():
        told = {verdict: scraped["elephantasm_group_verdict"][by(group=stage["group"], verdict=verdict)]
                for verdict in ("OK", "WARN", "STOP", "STALL", "REWIND")}  # fmt: skip
        assert told == {verdict: verdict == stage["verdict"] for verdict in told}
        assert scraped["elephantasm_group_members"][by(group=stage["group"])] == stage["members"] == 0
    assert scraped["elephantasm_reachable"] == {by(server="kafka"): 1, by(server="postgres"): 1}
    assert list(scraped["elephantasm_build_info"].values()) == [1]


async def test_dead_letters_are_counted_by_stage(make_world: MakeWorld, serve: Serve) -> None:
    world = await make_world()
    world.stage("sink")
    http = await connected(await serve(world.settings))
    await publish(world.settings, KEY, b"{no json", b"\xff")

    async def counted() -> Any:
        found = (await scrape(http))["elephantasm_dead_letters_open"]
        return found if found[by(stage="sink")] else None

    found = await eventually(counted)
    assert found == {by(stage=name): 2 * (name == "sink") for name in ("score", "synthesize", "sink", "index", "embed")}


def count(scraped: Scraped, **labels: str) -> float:
    return scraped["http_request_duration_seconds_count"].get(by(**labels), 0)


UNKNOWN = {"method": "GET", "route": "/api/memory-packs/{pack_id}", "status": "404"}


async def test_requests_are_those_of_every_process_that_serves_the_port(stack: Stack, http: httpx.AsyncClient) -> None:
    assert stack.settings.api_processes > 1
    base = f"http://127.0.0.1:{stack.settings.api_port}/api"
    before = count(await scrape(http), **UNKNOWN)
    for _ in range(30):  # a connection each, so that both have some
        async with httpx.AsyncClient(base_url=base) as client:
            await client.get(f"/memory-packs/{uuid4()}")
    for _ in range(10):
        async with httpx.AsyncClient(base_url=base, timeout=30) as client:
            assert count(await scrape(client), **UNKNOWN) - before == 30


async def test_requests_are_told_apart_by_template_method_and_status_and_by_nothing_else(
    stack: Stack, http: httpx.AsyncClient, anima: Anima
) -> None:
    for method, path in (
        ("GET", f"/animas/{anima.id}"), ("GET", f"/animas/{anima.key}"), ("PUT", "/healthz"),
        ("GET", "/nothing/here"), ("PROPFIND", f"/coffee/{anima.key}"),
    ):  # fmt: skip
        await http.request(method, path)
    found = (await scrape(http))["http_request_duration_seconds_count"]
    for method, route, status in (
        ("GET", "/api/animas/{anima_id}", "200"), ("GET", "/api/animas/{anima_id}", "422"), ("GET", "none", "404"),
        ("PUT", "/api/healthz", "405"), ("other", "none", "404"), ("POST", "/api/animas", "201"),
    ):  # fmt: skip
        assert found[by(method=method, route=route, status=status)] >= 1
    templates = {*(await http.get(f"http://127.0.0.1:{stack.settings.api_port}/openapi.json")).json()["paths"], "none"}
    assert {dict(labels)["route"] for labels in found} <= templates


async def test_what_a_server_that_is_away_would_tell_is_left_out(stack: Stack, serve: Serve) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    scraped = await scrape(await serve(on_stack(stack, kafka=nowhere)))
    assert scraped["elephantasm_reachable"] == {by(server="kafka"): 0, by(server="postgres"): 1}
    assert "kafka_consumergroup_group_lag" not in scraped.families
    assert "elephantasm_group_verdict" not in scraped.families
    assert "elephantasm_dead_letters_open" in scraped.families
    database = SecretStr(f"postgresql://nobody@{nowhere}/nothing")
    scraped = await scrape(await connected_to_kafka(await serve(on_stack(stack, database=database))))
    assert scraped["elephantasm_reachable"] == {by(server="kafka"): 1, by(server="postgres"): 0}
    assert "kafka_consumergroup_group_lag" in scraped.families
    assert "elephantasm_dead_letters_open" not in scraped.families


async def connected_to_kafka(http: httpx.AsyncClient) -> httpx.AsyncClient:
    async def reached() -> bool:
        return (await http.get("/lag")).status_code == 200

    await eventually(reached)
    return http
