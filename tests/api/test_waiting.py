"""`settled` waits for every stage, and says so when that takes too long."""

from tests.api.conftest import MakeWorld, Serve, connected, new_anima


async def test_what_is_not_settled_in_time_is_asked_for_again_later(make_world: MakeWorld, serve: Serve) -> None:
    world = await make_world(settled_timeout_s=0.5)
    world.stage("sink")
    http = await connected(await serve(world.settings))
    anima = await new_anima(await connected(await serve(world.settings.model_copy(update={"after_timeout_s": 60.0}))))
    posted = await http.post("/events", json=anima.event())
    asked = {"anima_id": anima.id, "query": "kettle", "after": posted.json()["position"]}
    assert (await http.post("/packs/compile", json=asked)).status_code == 200
    late = await http.post("/packs/compile", json=asked | {"settled": True})
    assert late.status_code == 503
    assert int(late.headers["Retry-After"]) >= 1
    assert "score" in late.json()["detail"]
    for stage in ("score", "synthesize", "index", "embed"):
        world.stage(stage)
    patient = await connected(await serve(world.settings.model_copy(update={"settled_timeout_s": 60.0})))
    assert (await patient.post("/packs/compile", json=asked | {"settled": True})).status_code == 200
