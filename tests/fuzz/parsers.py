"""Every parser of text that comes from users, applications or servers, with inputs and what it may answer.

A parser either returns or raises what it says it raises. Any other exception ends a reconcile for a reason that nobody
can act on, or ends a thread that nobody waits for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pegbox.adapters import yamlfile
from pegbox.adapters.kube import answers, configmaps, environment, owners
from pegbox.adapters.prometheus import decode, promql
from pegbox.adapters.prometheus.transport import Answer, Server, Transport
from pegbox.api import budgets, environment_wire, formula, ledger_codec, promql_rules, status_told, translate, wire
from pegbox.api import status as status_api
from pegbox.core import budget, expression, fleet, freeze, requests, rules
from pegbox.live import document as live_document
from pegbox.live import knobs as live_knobs
from pegbox.model import settings_document, textpath, units
from pegbox.model.errors import InvalidInput, PegboxError
from pegbox.model.knobs import Knob, KnobType, Setting
from pegbox.model.observations import Missing
from pegbox.model.profile import Freeze, Purpose, Signal, SignalKind
from pegbox.model.reasons import Reason
from pegbox.ports import SignalQuery
from pegbox.runtime import reading, texts
from pegbox.runtime import settings as operator_settings
from tests.fuzz.making import SCALARS, VALUES, edited, edited_json, near
from tests.promql_text import selectors
from tests.unit.api.documents import CLASS, profile
from tests.unit.api.ledgers import full_ledger
from tests.unit.core.build import ledger, snapshot

HOSTILE_VALUE = """a"b\\'} + c{x!=`}"""
"""A label's value of a profile, which ends strings of every kind but the one that it is written in."""
ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Parser:
    """`feed` reads one input; `refusals` are the errors that its documentation names."""

    name: str
    inputs: SearchStrategy[Any]
    feed: Callable[[Any], object]
    refusals: tuple[type[Exception], ...] = (InvalidInput,)

    def take(self, value: Any) -> None:
        """Returns where the parser returns or refuses; anything else passes through."""
        try:
            self.feed(value)
        except self.refusals as error:
            assert len(str(error)) < 5000, "an error that long fits no condition and no Event"


def _units(value: tuple[Callable[[str, str], Fraction], str]) -> None:
    parse, text = value
    assert isinstance(parse(text, "f"), Fraction)


def _knob(value: tuple[KnobType, Any]) -> None:
    kind, raw = value
    assert kind.parse(kind.format(kind.parse(raw, "f")), "f") is not None


def _formula(text: str) -> None:
    formula.parse(text, "f").evaluate(Fraction(4))


def _budget(text: str) -> None:
    parsed = budget.parse(text)
    assert budget.parse(str(parsed)) == parsed or len(str(parsed)) > expression.MAX_CHARACTERS
    parsed.evaluate({name: Fraction(3) for name in parsed.names}, 2)


def _rule(text: str) -> None:
    rule = rules.parse(text)
    rule.holds({name: Fraction(3) for name in rule.names})


def _freeze(value: tuple[str, str]) -> None:
    schedule, zone = value
    freeze.parse(schedule, "f")
    freeze.in_force(Freeze("f", schedule, zone, Fraction(3600)), NOW)


def _class_query(text: str) -> None:
    """What the library lets pass, our own second line either takes or refuses; and it is filled in whole."""
    promql_rules.check(text, "expr")
    built = _confined(text)
    assert "$matchers" not in built and "$window" not in built


def _own_checks(text: str) -> None:
    promql.problems(Signal("s", SignalKind.RATE, Purpose.THROUGHPUT, text))
    promql.selector(text)
    promql.fill(text, 60, 'job="x"')
    _confined(text)


def _confined(text: str) -> str:
    """As it is sent: each selector has both confining matchers, also where nobody checked the class before."""
    wanted = {("namespace", "=~", "shop"), ("job", "=", HOSTILE_VALUE)}
    signal = Signal("s", SignalKind.RATE, Purpose.THROUGHPUT, text)
    query = SignalQuery("c", signal, 60, (("job", HOSTILE_VALUE),))
    built = promql.build(query, promql.Dialect(namespaces=("shop",)))
    free = [found for found in selectors(built) if found.alternatives or not wanted <= found.matchers]
    assert [found.name for found in free] == ["pegbox_pod_setting"], built
    return built


def _edit(value: tuple[str, str, str]) -> None:
    """A value that was read can be read again after another was written, and nothing else changed in length."""
    text, path, new = value
    old = configmaps.read_path(text, path)
    after = configmaps.write_path(text, path, new)
    assert configmaps.read_path(after, path) == new
    assert configmaps.read_path(configmaps.write_path(after, path, old), path) == old


def _merge(value: tuple[dict[str, Any], dict[str, Any]]) -> None:
    mine, knowledge = value
    translate.check_class(knowledge)
    translate.to_model(mine, knowledge)


def _ledger(state: str) -> None:
    """With the right sum, as somebody who means harm would write it."""
    digest = hashlib.sha256(state.encode(errors="replace")).hexdigest()
    read = ledger_codec.decode({**_LEDGER, "data": {**_LEDGER["data"], "state": state, "sha256": digest}})
    assert ledger_codec.decode(_encoded(read)) is not None


def _encoded(ledger: Any) -> dict[str, Any]:
    return ledger_codec.encode(ledger, namespace="shop", name="checkout", profile="checkout", written_at=NOW)


def _own_config_map(value: tuple[str, str]) -> None:
    """What stands in our ConfigMap after somebody edited it: the document, and the values at adoption."""
    document, originals = value
    annotations = {reading.ORIGINALS: originals}
    own = {"metadata": {"annotations": annotations}, "data": {settings_document.KEY: document}}
    found = reading.Objects(_SPEC_PROFILE, "default", _SPEC, own_config_map=own, document=reading.read_document(own))
    reading.adopted_before(found)


def _annotations(text: str) -> None:
    body = {"metadata": {"annotations": {f"pegbox.dev/{verb}": text for verb in reading.VERBS}}}
    for request in reading.requests(reading.Objects(body, "default", _SPEC)):
        assert request.token and len(request.token) <= 64 and len(request.argument) <= 1024


def _told(status: dict[str, Any]) -> None:
    """What is read back is what a breaker may be: the loop computes with it."""
    told = status_told.brakes(status)
    assert (told is None) == ("breaker" not in status)
    if told is not None:
        assert told.breaker.failures >= 0 and told.breaker.opened >= 0
        assert all(when is None or when.tzinfo is UTC for when in (told.paused_until, told.breaker.until))


def _fleet(text: str) -> None:
    """The Lease's line: what was read is written and read again as it is, and the breaker goes on from it."""
    found = fleet.of_text(text)
    assert fleet.of_text(fleet.to_text(found)) == replace(found, why=found.why[:512])
    for facts in (fleet.Facts(), fleet.Facts(sick="sick")):
        fleet.step(found, facts, fleet.Limits(), NOW)


def _environment(value: tuple[dict[str, Any], str]) -> None:
    """A spec that its definition lets pass, and annotations of any text."""
    body, noted = value
    wire.read(environment_wire.PodEnvironmentSpec, body["spec"], "spec")
    annotations = {reading.ORIGINALS: noted, reading.PARENTS: noted}
    body = {"metadata": {"annotations": annotations}, "spec": body["spec"]}
    for entry in environment.entries(body).values():
        environment.acts(entry, "1", named=True)
        for knob in _SPEC.space.knobs:
            _other_text((knob, entry["value"]))
    reading.noted(body, reading.PARENTS)
    reading.adopted_before(
        reading.Objects(_SPEC_PROFILE, "default", _SPEC, pod_environment=body, document=Missing(Reason.NO_DATA))
    )


def _other_text(value: tuple[Knob, str]) -> None:
    """A value of the knob, or a Missing that says nothing of the text."""
    knob, text = value
    found = texts.value(knob, f"{_SECRET}{text}", "key a", Reason.ENV_UNREADABLE, None)
    assert _SECRET not in str(found.detail if isinstance(found, Missing) else found)
    texts.value(knob, text, "key a", Reason.ENV_UNREADABLE, None)


def _spelt(text: str) -> None:
    """A path as steps, spelt, and read again."""
    steps = textpath.parse_path(text)
    assert textpath.steps(text) == steps
    spelling = textpath.spell(steps)
    assert len(spelling) > textpath.MAX_PATH or textpath.parse_path(spelling) == steps


def _try_argument(text: str) -> None:
    """What a person asks to try: values of knobs that have one now, and nothing else of the setting moves."""
    asked = requests.parse_assignments(_AT_REST, text, _IN_FORCE)
    wanted = _IN_FORCE.with_values(**asked)
    assert set(wanted.diff(_IN_FORCE)) <= set(asked)
    assert set(_SPEC.space.format(wanted)) == set(_IN_FORCE)


def _pause_argument(text: str) -> None:
    """The end of a pause: not before now, in the clock's own zone, and what a ledger keeps of it reads the same."""
    until = requests.pause_until(text, NOW)
    assert until >= NOW and until.tzinfo is UTC
    assert datetime.fromisoformat(until.isoformat()) == until


class _Fed(Transport):
    """Answers with what it is given."""

    def __init__(self, body: bytes, status: int) -> None:
        super().__init__(Server("http://127.0.0.1:9"))
        self._fed = status, body

    def _request(self, query: str, at: datetime | None) -> tuple[int, bytes]:
        return self._fed


_HISTOGRAM = Signal("s", SignalKind.HISTOGRAM, Purpose.LATENCY, "a", "b", "c")
_GAUGE = Signal("g", SignalKind.GAUGE, Purpose.BUSY, "a", knob="workers")


def _metrics_answer(value: tuple[str, int]) -> None:
    text, status = value
    answer = _Fed(text.encode(errors="replace"), status).ask("x", NOW)
    if isinstance(answer, Missing):
        assert len(answer.detail) <= 500
        return
    assert isinstance(answer, Answer)
    for signal in (_HISTOGRAM, _GAUGE):
        decode.rows(SignalQuery("c", signal, 60), answer.samples, NOW)
    series = decode.dated(answer.samples, NOW, 1e12)
    decode.acknowledgements(series, "pod")
    decode.setting_values(series, "pod")


def _server_answer(value: tuple[str, int]) -> None:
    text, status = value
    for verb in ("get", "apply", "json_patch", "evict"):
        error = answers.error_of(answers.Asked(f"{verb} x", "x", verb), status, text)
        assert isinstance(error, PegboxError)
        status_api.undeclared(str(error))


def _operator_settings(text: str) -> None:
    for document in yamlfile.load_all(text.encode(errors="surrogatepass"), "file", "f"):
        operator_settings.parse(document)


def _live_value(value: tuple[live_knobs.Knob[Any], str]) -> None:
    """What an application is given lies within what it declared."""
    knob, text = value
    assert knob.minimum <= knob.parse(text) <= knob.maximum


def _owner(text: str) -> None:
    """As ledgers record it: who stands for a field reads the same when it was written again."""
    found = owners.Owner.parse(text)
    assert owners.Owner.parse(str(found)) == found


def _live(text: str) -> None:
    found = live_document.parse(text.encode(errors="surrogatepass"))
    found.values_for("pod")


_SECRET = "hunter2\N{SNOWMAN}"
_SPEC_PROFILE = profile()
_SPEC = translate.to_model(_SPEC_PROFILE, CLASS)
_TEXTS = {  # of all but heap, which has no value yet
    "workers": "4", "pool": "20", "overflow": "15", "timeout": "30s", "memory": "512Mi", "cpu": "1", "share": "0.8",
    "tracing": "false", "level": "low",
}  # fmt: skip
_IN_FORCE = Setting({name: _SPEC.space[name].type.parse(text, name) for name, text in _TEXTS.items()})
_AT_REST = snapshot(_SPEC, ledger(_IN_FORCE))
_LEDGER = _encoded(full_ledger())
_DOCUMENT = json.loads(settings_document.render("u-1", 7, {"workers": "4", "timeout": "30s"}))
_DOCUMENT["cohorts"] = {"trial": {"pods": ["a"], "values": {"workers": "5"}}}
_BUDGET: dict[str, Any] = {
    "metadata": {"name": "db"},
    "spec": {"capacity": 100, "reserve": 10, "unit": "connections"},
    "status": {
        "claimed": 5,
        "claims": [{"uid": "a", "holder": "shop/a", "amount": 5, "expires": "2027-01-01T00:00:00Z", "trial": "None"}],
    },
}
_STATUS: dict[str, Any] = {
    "conditions": [
        {"type": "Ready", "status": "True", "reason": "Accepted", "message": "m", "observedGeneration": 1,
         "lastTransitionTime": "2026-01-01T00:00:00Z"}
    ],
    "tokens": [{"name": "try", "value": "a"}],
}  # fmt: skip
_BRAKED: dict[str, Any] = {
    "breaker": {"state": "Open", "failures": 2, "openings": 1, "until": "2026-01-01T00:00:00Z"},
    "pausedUntil": "9999-12-31T23:59:59Z",
}
_FLEET: dict[str, Any] = {
    "state": "HalfOpen", "opened": 3, "until": "2026-01-01T00:05:00+00:00", "since": "2026-01-01T00:00:00+02:00",
    "probe": "shop/checkout", "why": "harm in 3 profiles",
}  # fmt: skip
_ENVIRONMENT: dict[str, Any] = {
    "spec": {
        "profileUID": "u-1", "target": {"kind": "Deployment", "name": "checkout"}, "container": "app",
        "env": [{"name": "WORKERS", "value": "4"}, {"name": "POOL", "value": "8", "over": "2"}],
    },
}  # fmt: skip
_ANSWER: Mapping[str, Any] = {
    "status": "success",
    "data": {
        "resultType": "vector",
        "result": [
            {"metric": {"profile": "a/b", "setting": "1", "part": part, "pod": "p", "instance": "i", **more}, "value": [1.5, text]}
            for part, text, more in (
                ("bucket", "5", {"le": "0.5"}), ("sum", "1", {}), ("count", "5", {}), ("fresh", "1", {}), ("sound", "1", {}),
                ("value", "7", {"knob": "workers", "profile_uid": "u", "hash": "h"}), ("at", "1.7e9", {}), ("pods", "1", {}),
            )
        ],
        "stats": {"samples": {"totalQueryableSamples": 10}},
    },
    "warnings": ["partial"],
}  # fmt: skip
_REFUSAL: dict[str, Any] = {
    "kind": "Status",
    "message": 'Apply failed with 1 conflict: conflict with "helm": .data.a',
    "details": {"name": "a", "causes": [{"reason": "FieldManagerConflict", "field": ".data.a", "message": 'conflict with "helm"'}]},
}  # fmt: skip
_FORBIDDEN: dict[str, Any] = {
    "kind": "Status",
    "message": "Cannot evict pod as it would violate the pod's disruption budget.",
    "details": {"causes": [{"reason": "DisruptionBudget", "message": "The disruption budget web needs 1 healthy pods and has 1"}]},
}  # fmt: skip
_JSON = '{"pools": [{"size": 20, "name": "a"}], "on": true, "t": "5s", "f": -1.5e3, "a.b": {"n": 1}}'
_YAML = 'pools:\n- {size: 20, name: \'a\'}\non: true # c\nt: "5s"\nf: 1.5\nn: 0x10\n"a.b":\n  n: 1\n'
_QUERIES = [s[part] for s in CLASS["spec"]["signals"] for part in ("expr", "sumExpr", "countExpr") if part in s]
_QUERIES += [
    'rate(a{x!=\'{$matchers}\',$matchers}[$window]) + on() group_left() sum(rate(b{"pegbox\\x5fmatchers_stand_here"!="1"}[$window]))',
    'rate(a{"x"="{",$matchers}[$window]) + b{`c`=~`}`,$matchers}',
    "a{x='{$matchers}',$matchers} + rate({__name__=~'b.*',$matchers}[$window] offset 5m)",
]
_LIVE_KNOBS = (
    live_knobs.integer("n", default=8, minimum=-9, maximum=10**9),
    live_knobs.decimal("share", default=0.5, minimum=-1, maximum=1),
    live_knobs.duration("timeout", default="1s", minimum="1ms", maximum="7d"),
    live_knobs.quantity("memory", default="1Gi", minimum="1m", maximum="8Ti"),
)
_SETTINGS = (
    "metricsSources:\n- {name: a, url: 'http://a:9', headers: {X-Scope-OrgID: t}, timeoutSeconds: 3}\n"
    "watchNamespaces: [a]\nallowWrites: true\nhttp: {port: 8080}\nkubeQps: 5.5\n"
)
_SAMPLES = [file.read_text() for file in sorted((ROOT / "manifests").glob("samples/*.yaml"))]
_SAMPLE = yaml.safe_load((ROOT / "manifests/samples/full.yaml").read_text().split("---")[0])
_SAMPLE["spec"]["knobs"][1]["location"] = {"kind": "PodEnv", "key": "HTTP_POOL"}
_ITS_CLASS = yaml.safe_load((ROOT / "manifests/classes/python-worker.yaml").read_text())
"""With another class all of the sample's knobs would be unknown, and nothing else of it read."""
_BOMB = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n"
_STATUS_CODES = st.sampled_from([200, 400, 401, 403, 404, 409, 422, 429, 500, 503])
_QUANTITIES = near(["500ms", "1h30m", "250m", "512Mi", "99.9%", "0.8", "-1.5"])

_PLACES = ["pools[0].size", "on", "t", "f", '["a.b"].n']  # in both of these texts
PARSERS: tuple[Parser, ...] = (
    Parser(
        "units",
        st.tuples(
            st.sampled_from([units.parse_duration, units.parse_quantity, units.parse_decimal, units.parse_percent]),
            _QUANTITIES,
        ),
        _units,
    ),
    Parser(
        "knob-value",
        st.tuples(st.sampled_from(KnobType), _QUANTITIES | SCALARS.filter(lambda v: isinstance(v, str | int))),
        _knob,
    ),
    Parser("formula", near(["max(2, cpus)", "2 * cpus", "min(8, cpus + 1) - 1"]), _formula),
    Parser("budget", near(["pods * workers * (pool + overflow)", "pods * 2.5"]), _budget),
    Parser("rule", near(["pool <= workers * 4", "0 < share <= 1", "max(a, b) == c - 1"]), _rule),
    Parser(
        "freeze",
        st.tuples(near(["0 16 * * 5", "*/15 8-18 1,15 * 1-5"]), near(["UTC", "Europe/Berlin", "Europe", "../passwd"])),
        _freeze,
    ),
    Parser("class-query", near(_QUERIES), _class_query),
    Parser("class-query-own-checks", near(_QUERIES), _own_checks),
    Parser("path", near(["pools[0].size", 'servers["a.b"].n', "a-b.c"]), textpath.parse_path),
    Parser("json-edit", st.tuples(near([_JSON]), near(_PLACES), near(["7", "x"])) | st.tuples(st.just(_JSON), st.sampled_from(_PLACES), near(["7", "x"])), _edit),
    Parser("yaml-edit", st.tuples(near([_YAML]), near(_PLACES), near(["7", "x"])) | st.tuples(st.just(_YAML), st.sampled_from(_PLACES), near(["7", "x"])), _edit),
    Parser("profile", st.tuples(edited(profile(), "spec"), st.just(CLASS)), _merge),
    Parser("profile-sample", st.tuples(edited(_SAMPLE, "spec"), st.just(_ITS_CLASS)), _merge),
    Parser("class", st.tuples(st.just(profile()), edited(CLASS, "spec")), _merge),
    Parser("shared-budget", edited(_BUDGET, "spec", "status"), lambda body: budgets.facts(body, "a", NOW)),
    Parser("status", edited(_STATUS, "conditions"), status_api.read_conditions),
    Parser("status-told", edited(_BRAKED), _told, ()),
    Parser("fleet-line", edited_json(_FLEET), _fleet, ()),
    Parser("pod-environment", st.tuples(edited(_ENVIRONMENT, "spec").filter(lambda body: "spec" in body), edited_json({"workers": "4"})), _environment),
    Parser("text-of-others", st.tuples(st.sampled_from(_SPEC.space.knobs), near(["4", "250m", "30s", "true", "fast"])), _other_text, ()),
    Parser("path-spelling", near(["pools[0].size", 'servers["a.b"].n', "a-b.c", '["a\\"b"][1]']), _spelt),
    Parser("ledger", edited_json(json.loads(_LEDGER["data"]["state"])), _ledger),
    Parser("settings-document", edited_json(_DOCUMENT), settings_document.parse),
    Parser("settings-document-live", edited_json(_DOCUMENT), _live, (live_document.RejectedLoad,)),
    Parser(
        "live-value",
        st.tuples(st.sampled_from(_LIVE_KNOBS), near(["8", "0.8", "1h30m", "512Mi", "250m"])),
        _live_value,
        (live_document.RejectedLoad,),
    ),
    Parser("field-owner", near(["Apply helm", "Update/scale kubectl", "helm"]), _owner, ()),
    Parser("own-config-map", st.tuples(edited_json(_DOCUMENT), edited_json({"workers": "4"})), _own_config_map, ()),
    Parser("annotations", near(["token", "token workers=4,pool=8", "t 30m"]), _annotations, ()),
    Parser("try-argument", near(["workers=4,pool=8", "timeout=1m30s", "memory=1Gi, cpu=250m", "share=0.5,tracing=true,level=high", "heap=5"]), _try_argument),
    Parser("pause-argument", near(["30m", "7d", "2026-12-24T18:00:00Z", "2026-12-24T18:00:00+01:00", "9999-12-31T23:59:59-12:00"]), _pause_argument, (InvalidInput,)),
    Parser("metrics-answer", st.tuples(edited_json(dict(_ANSWER)), _STATUS_CODES), _metrics_answer, ()),
    Parser("server-answer", st.tuples(edited_json(_REFUSAL) | edited_json(_FORBIDDEN), _STATUS_CODES.filter(lambda s: s >= 400)), _server_answer, ()),
    Parser("yaml-file", near([*_SAMPLES, _BOMB]), lambda text: yamlfile.load_all(text.encode(errors="surrogatepass"), "file", "f")),
    Parser("operator-settings", near([_SETTINGS]), _operator_settings),
    Parser("operator-settings-values", edited(yaml.safe_load(_SETTINGS)) | VALUES, operator_settings.parse),
)  # fmt: skip
