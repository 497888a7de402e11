"""What proves who we are is in no output: no detail, log, status, Event or metric, however the other side fails."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from pegbox.adapters.prometheus.client import Pace, PrometheusSource
from pegbox.adapters.prometheus.transport import Server
from pegbox.adapters.telemetry import Telemetry
from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing
from pegbox.ports import CONFIG_MAP, EVENT, LEDGER, PROFILE
from pegbox.runtime.settings import parse
from pegbox.runtime.wiring import metrics_source
from tests.loop import documents
from tests.loop.world import make
from tests.unit.adapters.prometheus.test_client import AT, GOOD, QUERY, Asked, Reply, serving

TOKEN, TENANT, PASSWORD = "tok-3f9a1c77-planted", "tenant-8c2e-planted", "pw-5b1d-planted"
PLANTED = (TOKEN, TENANT, PASSWORD, "planted")


@dataclass(frozen=True)
class Failure:
    """How the server answers, and what the token file holds."""

    reply: Callable[[Asked], Reply]
    token: bytes = TOKEN.encode() + b"\n"


def echo(status: int, key: str = "error") -> Callable[[Asked], Reply]:
    """Says back whatever it was sent, as debug pages of proxies do."""

    def reply(asked: Asked) -> Reply:
        text = f"who are you? {json.dumps(asked.headers)}"
        data = {"resultType": "vector", "result": []}
        return Reply(
            status, json.dumps({"status": "error" if status != 200 else "success", "data": data, key: text}).encode()
        )

    return reply


def warn(asked: Asked) -> Reply:
    body = json.loads(GOOD.body) | {"warnings": [f"partial for {asked.headers}"]}
    return Reply(body=json.dumps(body).encode())


FAILURES = {
    "401 that echoes our headers": Failure(echo(401)),
    "403 that echoes our headers": Failure(echo(403)),
    "400 that echoes our headers": Failure(echo(400)),
    "422 that echoes our headers": Failure(echo(422)),
    "500 that echoes our headers": Failure(echo(500)),
    "an echo far into a long text": Failure(lambda asked: Reply(400, json.dumps({"error": "x" * 190 + str(asked.headers) * 50}).encode())),
    "an echo that is no text": Failure(lambda asked: Reply(400, json.dumps({"error": [asked.headers]}).encode())),
    "a warning that echoes them": Failure(warn),
    "no JSON": Failure(lambda asked: Reply(200, str(asked.headers).encode())),
    "a redirect with them in the address": Failure(lambda asked: Reply(302, b"", {"Location": f"http://x/{asked.headers.get('Authorization')}"})),
    "a token file of two lines": Failure(lambda _: GOOD, f"{TOKEN}\n{TOKEN}\n".encode()),
    "a token file with a header in it": Failure(lambda _: GOOD, f"{TOKEN}\r\nX-Admin: 1".encode()),
    "a token file of letters beyond ASCII": Failure(lambda _: GOOD, f"{TOKEN}\u2026".encode()),
    "a token file of other bytes": Failure(lambda _: GOOD, TOKEN.encode() + b"\xff\xfe"),
    "an empty token file": Failure(lambda _: GOOD, b""),
    "a token file without end": Failure(lambda _: GOOD, TOKEN.encode() * 1000),
}  # fmt: skip


def server_of(url: str, directory: Path, token: bytes) -> Server:
    file = directory / "token"
    file.write_bytes(token)
    return Server(url, token_file=str(file), headers={"X-Scope-OrgID": TENANT})


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_a_failing_source_says_nothing_of_it(
    failure: Failure, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving() as opened:
        opened.reply = failure.reply
        server = server_of(opened.url, tmp_path, failure.token)
        source = PrometheusSource(server, pace=Pace(reuse=0.0))
        telemetry = Telemetry()
        telemetry.watch_source(lambda: source.usage)
        answers = [await source.fetch(QUERY, AT), await source.acknowledgements("shop", AT), await source.check()]
        source.close()
    assert isinstance(answers[0], Missing)
    said = [repr(answers), caplog.text, repr(server), generate_latest(telemetry.registry).decode(), repr(source.usage)]
    assert not [(secret, text) for secret in PLANTED for text in said if secret in text]


async def test_the_server_does_get_it(tmp_path: Path) -> None:
    """Or nothing would be proven above."""
    with serving() as opened:
        source = PrometheusSource(server_of(opened.url, tmp_path, TOKEN.encode() + b"\n"))
        await source.fetch(QUERY, AT)
        source.close()
        (asked,) = opened.asked
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["X-Scope-OrgID"] == TENANT


async def test_what_is_hidden_is_all_of_it_and_the_rest_is_said(tmp_path: Path) -> None:
    with serving() as opened:
        opened.reply = lambda _: Reply(
            401, json.dumps({"error": f"bad token Bearer {TOKEN} of {TENANT}, renew it"}).encode()
        )
        source = PrometheusSource(server_of(opened.url, tmp_path, TOKEN.encode()))
        answer = await source.check()
        source.close()
    assert isinstance(answer, Missing)
    assert answer.detail.endswith("answered 401: bad token (hidden) of (hidden), renew it")


async def test_nor_do_conditions_events_and_objects(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The whole loop on the fake API server, its metrics from a server that echoes what it is sent."""
    caplog.set_level(logging.DEBUG)
    with serving() as opened:
        opened.reply = echo(401)
        world = await make()
        source = PrometheusSource(server_of(opened.url, tmp_path, TOKEN.encode()), pace=Pace(reuse=0.0))
        world.reconciler.sources = {"default": source}
        await world.add(documents.profile("checkout", documents.hot()), workers=2)
        for _ in range(3):
            await world.operator(f"{world.namespace}/checkout")
        source.close()
        assert opened.asked, "the source was never asked"
    objects = [await world.outside.list(kind) for kind in (PROFILE, LEDGER, CONFIG_MAP, EVENT)]
    said = json.dumps(objects) + repr(world.events.__dict__) + caplog.text
    assert "answered 401" in said, "the failure itself is told"
    assert not [secret for secret in PLANTED if secret in said]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param({"url": f"http://user:{PASSWORD}@prometheus:9090"}, id="a password in the address"),
        pytest.param({"url": f"http://{PASSWORD}@prometheus:9090"}, id="a user in the address"),
        pytest.param({"url": f"ftp://{PASSWORD}"}, id="an address that is none"),
        pytest.param({"url": f"http://{PASSWORD}:99999"}, id="an address with a port that is none"),
        pytest.param({"headers": {"Authorization": f"Bearer {TOKEN}"}}, id="an Authorization header"),
        pytest.param({"headers": {"cookie": TOKEN}}, id="a cookie"),
        pytest.param({"headers": {"X-Api-Key": TOKEN}}, id="an API key"),
        pytest.param({"headers": [TOKEN]}, id="headers that are a list"),
        pytest.param({"headers": {"X-Scope-OrgID": [TENANT]}}, id="a header that is a list"),
        pytest.param({"token": TOKEN}, id="a field that does not exist"),
        pytest.param({"tokenFile": {"value": TOKEN}}, id="a token in place of its file's name"),
        pytest.param({"insecure": TOKEN}, id="a token where a switch stands"),
        pytest.param(TOKEN, id="a source that is a text"),
    ],
)
def test_settings_take_secrets_by_reference_only_and_never_repeat_them(source: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse({"metricsSources": [source]})
    assert not [secret for secret in PLANTED if secret in str(refused.value)]
    assert refused.value.remedy


def test_a_tenants_name_is_no_secret_and_may_stand_in_a_header() -> None:
    (source,) = parse({"metricsSources": [{"headers": {"X-Scope-OrgID": "team-a"}}]}).metricsSources
    assert source.headers == {"X-Scope-OrgID": "team-a"}
    assert "team-a" not in repr(source)
    metrics_source(source).close()


SECRET = "hunter2-planted"
"""What stands where a profile points. Its author need not be allowed to read it."""


@dataclass(frozen=True)
class Place:
    """A knob's type and place, and objects that hold the secret there. `said` must be told: where, and what was expected."""

    said: str
    type: str = "Integer"
    path: str = ""
    text: str = ""  # of the key `app.yaml` of their ConfigMap
    own: str = ""  # key of our own ConfigMap, which somebody edited
    variable: str = ""


def typed(kind: str, said: str, text: str = SECRET) -> dict[str, Place]:
    """The same text in each place, for a knob of this type."""
    return {
        f"{kind}, a key": Place(said, kind, text=text),
        f"{kind}, a path in YAML": Place(said, kind, "db.password", f"db:\n  password: '{text}'\n"),
        f"{kind}, a path in JSON": Place(said, kind, "db.password", json.dumps({"db": {"password": text}})),
        f"{kind}, a variable": Place(said, kind, variable=text),
        f"{kind}, our ConfigMap": Place("ConfigUnreadable", kind, own="CACHE", text=text),
    }


PLACES = {
    **typed("Integer", "write a plain decimal number"),
    **typed("Decimal", "write a plain decimal number"),
    **typed("Duration", "write a duration"),
    **typed("Bytes", "write a quantity"),
    **typed("Cpu", "write a quantity"),
    **typed("Boolean", "holds no Boolean for knob cache"),
    **typed("Choice", "write one of slow, fast"),
    **{f"long: {name}": place for name, place in typed("Integer", "write a text of at most", SECRET * 9000).items() if "key" in name},
    "YAML that ends early": Place("neither JSON nor YAML, line", path="a", text=f"a: [{SECRET}"),
    "YAML with a tab": Place("neither JSON nor YAML, line", path="a", text=f"{SECRET}: b\n\t{SECRET}: c"),
    "YAML with a sign that starts nothing": Place("neither JSON nor YAML, line", path="a", text=f"a: %{SECRET}\n%{SECRET} b"),
    "YAML with a tag of nobody": Place("neither JSON nor YAML, line", path="a", text=f"a: !{SECRET}!x 1"),
    "YAML with a tag": Place("has a tag", path="a", text=f"a: !{SECRET} 1"),
    "YAML with an anchor": Place("anchor", path="a", text=f"a: &{SECRET} 1"),
    "YAML with an alias": Place("anchor", path="b", text=f"a: &{SECRET} 1\nb: *{SECRET}"),
    "YAML of two documents": Place("2 YAML documents", path="a", text=f"a: {SECRET}\n---\na: 1"),
    "YAML on several lines": Place("several lines", path="a", text=f"a: |\n  {SECRET}\n"),
    "JSON that ends early": Place("neither JSON nor YAML", path="a", text=f'{{"a": "{SECRET}", "b": '),
    "JSON with half of a character": Place("mend|surrogate|decimal", path="a", text=f'{{"a": "{SECRET}\\ud800"}}'),
    "a path to more than one value": Place("point at one string", path="db", text=f"db: {{password: {SECRET}}}"),
    "a path that leads nowhere": Place("no such value", path="db.user", text=f"db: {{password: {SECRET}}}"),
    "a key that stands twice": Place("stands 2 times", path="a", text=f"a: {SECRET}\na: {SECRET}"),
}  # fmt: skip


def settings(**changes: object) -> str:
    body = {"version": 1, "profileUID": "u", "generation": 1, "hash": "h", "values": {}, "cohorts": {}}
    return json.dumps(body | changes)


DOCUMENTS = {
    "no JSON": SECRET,
    "another version": settings(version=SECRET),
    "a generation that is none": settings(generation=SECRET),
    "a uid that is a list": settings(profileUID=[SECRET]),
    "values that are a text": settings(values=SECRET),
    "a name that is too long": settings(values={SECRET * 9: "1"}),
    "a value that is a list": settings(values={"cache": [SECRET]}),
    "cohorts that are a text": settings(cohorts=SECRET),
    "a cohort without pods": settings(cohorts={SECRET: {}}),
    "a value that is no number": settings(values={"cache": SECRET}),
}


async def told(class_: dict[str, Any], knob: dict[str, Any], body: dict[str, Any] | None, variable: str = "") -> str:
    """All that a profile with this knob makes the operator say, over some looks and after its mode and mind changed."""
    world = await make({"service": class_})
    target = documents.deployment()
    if variable:
        target = documents.with_variables(target, {"name": "CACHE", "value": variable})
    await world.add(documents.profile("checkout", knob, documents.hot(), conflictPolicy="Take"), target, workers=2)
    if body is not None:
        await world.apply(body)
    for _ in range(4):
        await world.wake()
        world.clock.skip(30)
    await world.annotate("try", "cache=3")
    await world.wake()
    await world.edit(mode="Recommend")
    await world.wake()
    objects = [await world.outside.list(kind) for kind in (PROFILE, LEDGER, EVENT)]
    metrics = generate_latest(world.reconciler.telemetry.registry).decode()
    return json.dumps([[body | {"spec": {}} if body["kind"] == "PerformanceProfile" else body for body in kind] for kind in objects]) + repr(world.events.__dict__) + metrics  # fmt: skip


def with_cache(kind: str, location: dict[str, str], effect: str) -> dict[str, Any]:
    """The class, with the knob `cache` of this type there."""
    class_ = copy.deepcopy(documents.CLASS)
    limits: dict[str, Any] = {"choices": ["slow", "fast"]} if kind == "Choice" else {"min": "1", "max": "64"}
    if kind == "Duration":
        limits = {"min": "1s", "max": "64s"}
    knob = {"name": "cache", "type": kind, "location": location, "effect": effect}
    knob |= {} if kind == "Boolean" else limits
    knobs = class_["spec"]["knobs"]
    class_["spec"]["knobs"] = [knob if each["name"] == "cache" else each for each in knobs]
    return class_


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_what_stands_where_a_profile_points_is_said_nowhere(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    knob: dict[str, Any] = {"name": "cache"}
    if place.variable:
        class_ = with_cache(place.type, {"kind": "PodEnv", "key": "CACHE"}, "Restart")
        said = await told(class_, knob, None, place.variable)
    elif place.own:
        class_ = with_cache(place.type, {"kind": "Env", "key": place.own}, "Restart")
        said = await told(class_, knob, documents.config_map("checkout-pegbox", **{place.own: place.text}))
    else:
        kind = "ConfigMapPath" if place.path else "ConfigMapKey"
        where = {"configMap": "db-config", "key": "app.yaml"} | ({"path": place.path} if place.path else {})
        class_ = with_cache(place.type, {"kind": kind}, "Hot")
        said = await told(
            class_, knob | {"location": where}, documents.config_map("db-config", **{"app.yaml": place.text})
        )
    said += caplog.text
    assert any(each in said for each in place.said.split("|")), "what is wrong is told"
    assert "planted" not in said


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_nor_is_what_somebody_wrote_into_our_document(text: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    body = documents.config_map("checkout-pegbox", **{"settings.json": text})
    said = await told(with_cache("Integer", {"kind": "Settings"}, "Hot"), {"name": "cache"}, body)
    assert "planted" not in said + caplog.text


async def test_a_value_of_a_declared_knob_is_told_wherever_it_stands() -> None:
    """Or nothing would be proven above, and nobody could see what is tuned."""
    for kind, text in {"Integer": "7", "Duration": "7s", "Boolean": "true", "Choice": "fast"}.items():
        body = documents.config_map("db-config", **{"app.yaml": f"a: '{text}'"})
        where = {"configMap": "db-config", "key": "app.yaml", "path": "a"}
        said = await told(
            with_cache(kind, {"kind": "ConfigMapPath"}, "Hot"), {"name": "cache", "location": where}, body
        )
        assert f'"{text}"' in said
