"""Query texts. Pure: the same SignalQuery and dialect always give the same text.

One text per SignalQuery. Its inner vectors are the parts of the answer (bucket, sum, count, good, all, value)
with two more that say how far the answer can be relied on:

    fresh   pods whose newest sample is younger than half of the window
    sound   of these, pods with at least MINIMUM_SCRAPES samples in the window

Each part is reduced to one series per pod (and `le`), then joined once with `pegbox_pod_setting`, then summed
on the server: the number of rows does not depend on the number of pods.

Two things would count events twice, and both are removed before the sum. A second exporter of
`pegbox_pod_setting` (takeover, HA pair): `topk by (pod) (1, timestamp(...))` keeps the freshest series, so
that the join stays many-to-one for everybody. A second scrape of the same endpoint (two jobs, two Prometheus
replicas): `max without (duplicate labels)`. `instance` is not among these: two containers of one pod are two
instances, and their events add up.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from pegbox.adapters.prometheus import confined
from pegbox.adapters.prometheus.confined import Join, Matcher
from pegbox.model.errors import InvalidInput
from pegbox.model.profile import Purpose, Signal, SignalKind
from pegbox.ports import SignalQuery

MINIMUM_SCRAPES = 4
"""A rate over fewer samples is mostly extrapolation."""
REMEMBERED = 4096
"""Texts that are kept, with their proof: the same few questions are asked at every look."""
MOST_BUCKETS = 200
"""Of one histogram of one profile: the server cuts what has more, so that nobody else's answer grows by it."""
MOST_SERIES = 4
"""Acknowledgements of one instance: it has one, and for a moment the one before."""
LONGEST_LABEL = 64
"""Characters of a profile's uid and of a hash."""
MAX_SCOPE_PODS = 200
"""Cap for queries that name pods: beyond it the text outgrows what proxies let through."""

POD_SETTING = "pegbox_pod_setting"
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_PLACEHOLDER = re.compile(r"\$(\w*)(\s*,)?")
_LEXEME = re.compile(r"""[a-zA-Z_:][a-zA-Z0-9_:]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`|[\s\S]""")
_PAIRS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between servers and scrape configurations, not between classes.

    `namespaces` narrows every query of an install that sees only some (tenants); empty: all.
    `duplicate_labels` differ between scrapes of one endpoint; add `service` and `endpoint` where several
    Services select the same pods under prometheus-operator. `own_labels` are what a scrape adds to the series of
    the operator itself, such as its namespace: anybody who exports metrics can name them `pegbox_pod_setting`, but
    not where they were scraped. Empty: every exporter is believed.
    """

    namespace_label: str = "namespace"
    pod_label: str = "pod"
    duplicate_labels: tuple[str, ...] = ("job", "prometheus_replica")
    namespaces: tuple[str, ...] = ()
    own_labels: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        own = tuple(name for name, _ in self.own_labels)
        for name in (self.namespace_label, self.pod_label, *self.duplicate_labels, *own):
            label(name)


@dataclass(frozen=True, slots=True)
class Scope:
    """Pods named by the query itself, for where Prometheus does not scrape Pegbox. Rows carry no setting."""

    profile: str
    namespace: str
    pods: str  # an RE2 expression, anchored by the server


def scope_of_pods(profile: str, namespace: str, pods: tuple[str, ...]) -> Scope:
    """Raises InvalidInput for none or more than MAX_SCOPE_PODS pods."""
    if not 0 < len(pods) <= MAX_SCOPE_PODS:
        raise InvalidInput("pods", len(pods), f"name 1 to {MAX_SCOPE_PODS} pods, or let Prometheus scrape the operator")
    return Scope(profile, namespace, "|".join(escape_regex(pod) for pod in sorted(pods)))


def scope_of_deployment(profile: str, namespace: str, name: str) -> Scope:
    """The pods of a Deployment by the form of their names: template hash, then five characters."""
    return Scope(profile, namespace, f"{escape_regex(name)}-[a-z0-9]+-[a-z0-9]{{5}}")


def label(name: str) -> str:
    """The name, checked: label names cannot be quoted in every supported server. Raises InvalidInput."""
    if not _LABEL.fullmatch(name) or name == "__name__":
        raise InvalidInput("label", name, "use letters, digits and _, not starting with a digit")
    return name


def quote(value: str) -> str:
    """A PromQL string literal. Control characters are escaped as well: some proxies cut at them."""
    out = []
    for character in value:
        if character in '\\"':
            out.append("\\" + character)
        elif character == "\n":
            out.append("\\n")
        elif ord(character) < 0x20 or ord(character) == 0x7F:
            out.append(f"\\x{ord(character):02x}")
        else:
            out.append(character)
    return '"' + "".join(out) + '"'


def escape_regex(value: str) -> str:
    """The RE2 expression that matches exactly this text. Python's re.escape also escapes what RE2 refuses."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", value)


def matchers(pairs: tuple[tuple[str, str], ...]) -> str:
    """Equality matchers, escaped, in the order given. Raises InvalidInput for a label name."""
    return written(_equal(pairs))


def written(matching: tuple[Matcher, ...]) -> str:
    """As they stand between braces. Raises InvalidInput for a label name."""
    return ",".join(f"{label(name)}{operator}{quote(value)}" for name, operator, value in matching)


def _equal(pairs: tuple[tuple[str, str], ...]) -> tuple[Matcher, ...]:
    return tuple(Matcher(name, "=", value) for name, value in pairs)


def fill(expression: str, window: int, matching: str) -> str:
    """The expression with both placeholders filled in, in one pass: values are never scanned again.

    A comma after `$matchers` goes with it where there are no matchers. Raises InvalidInput for a window
    below one second and for any other `$`.
    """
    if window < 1:
        raise InvalidInput("window", window, "use at least 1 second")

    def replace(found: re.Match[str]) -> str:
        name, comma = found.group(1), found.group(2) or ""
        if name == "window":
            return f"{window}s{comma}"
        if name == "matchers":
            return matching + comma if matching else ""
        raise InvalidInput("expr", f"${name}", "only $window and $matchers are filled in")

    return _PLACEHOLDER.sub(replace, expression)


def problems(signal: Signal) -> tuple[str, ...]:
    """Why the expressions of a class's signal cannot be used, as sentences; empty when nothing was found.

    A light check without a server: balanced brackets outside of strings, both placeholders, nothing else to
    fill in, a selector to read freshness from. The server has the last word.
    """
    return tuple(
        f"signal {signal.name}, {name}: {problem}" for name, text in _expressions(signal) for problem in _problems(text)
    )


def _expressions(signal: Signal) -> list[tuple[str, str]]:
    found = [("expr", signal.expr)]
    if signal.kind is SignalKind.HISTOGRAM:
        found.append(("sum_expr", signal.sum_expr))
    if signal.kind in (SignalKind.HISTOGRAM, SignalKind.RATIO):
        found.append(("count_expr", signal.count_expr))
    return found


def _problems(text: str) -> list[str]:
    if not text.strip():
        return ["is empty; write PromQL with $window and $matchers"]
    names = {name for name, _ in _PLACEHOLDER.findall(text)}
    found = [f"lacks ${name}" for name in ("window", "matchers") if name not in names]
    found += [
        f"${name} is not filled in; only $window and $matchers are"
        for name, _ in _PLACEHOLDER.findall(text)
        if name not in ("window", "matchers")
    ]
    found += _unbalanced(text)
    if "$matchers" in text and not found and not selector(text):
        found.append("$matchers must stand in the braces of a metric: name{$matchers}")
    return found


def _unbalanced(text: str) -> list[str]:
    stack: list[str] = []
    for lexeme in _LEXEME.findall(text):
        if lexeme in "([{" and len(lexeme) == 1:
            stack.append(lexeme)
        elif lexeme in _PAIRS and (not stack or stack.pop() != _PAIRS[lexeme]):
            return [f"has a {lexeme} that closes nothing"]
        elif lexeme in ('"', "'", "`"):
            return [f"has a {lexeme} that is never closed"]
        elif lexeme == "#":
            return ["has a comment, which would swallow what follows; remove it"]
    return [f"has a {stack[-1]} that is never closed"] if stack else []


def selector(expression: str) -> str:
    """The first `name{... $matchers ...}` of an expression, "" where there is none."""
    lexemes: list[str] = _LEXEME.findall(expression)
    for start, lexeme in enumerate(lexemes):
        if lexeme != "{":
            continue
        name = start - 1
        while name >= 0 and lexemes[name].isspace():
            name -= 1
        end = next((i for i in range(start, len(lexemes)) if lexemes[i] == "}"), -1)
        body = lexemes[start : end + 1]
        if end < 0 or name < 0 or not re.match(r"[a-zA-Z_:]", lexemes[name]):
            continue
        if any(a == "$" and b == "matchers" for a, b in itertools.pairwise(body)):
            return lexemes[name] + "".join(body)
    return ""


@lru_cache(REMEMBERED)
def build(query: SignalQuery, dialect: Dialect) -> str:
    """The text whose rows are (profile, cohort, setting, part, le); for offered load (profile, part).

    Raises InvalidInput where a label, a placeholder or the window cannot be used, or a selector is not confined.
    """
    joined = ("profile",) if query.signal.purpose is Purpose.LOAD else ("profile", "cohort", "setting")
    matching = _matching(query, dialect)
    inner = _parts(query, dialect, written(matching))
    inner = f'label_replace({inner}, "target_namespace", "$1", {quote(dialect.namespace_label)}, "(.*)")'
    inner = f'label_replace({inner}, "target_pod", "$1", {quote(dialect.pod_label)}, "(.*)")'
    ours = _equal((("class", query.class_name), *dialect.own_labels))
    pods = f"{POD_SETTING}{{{written(ours)}}}"
    labels = ", ".join(joined)
    rows = (
        f"sum by ({labels}, part, le) ({inner}"
        f" * on (target_namespace, target_pod) group_left ({labels})"
        f" (0 * topk by (target_namespace, target_pod) (1, timestamp({pods})) + 1))"
    )
    # Pods name their buckets as they like. One more than may be: so it is seen that something was cut.
    cut = f"topk by ({labels}, part) ({MOST_BUCKETS + 1}, {rows})"
    text = cut if query.signal.kind is SignalKind.HISTOGRAM else rows
    confined.prove(text, frozenset(matching), query.class_name, Join(POD_SETTING, frozenset(ours)))
    return text


@lru_cache(REMEMBERED)
def build_for_scope(query: SignalQuery, dialect: Dialect, scope: Scope) -> str:
    """The text whose rows are (part, le) of the pods that the scope names; raises InvalidInput like build."""
    of_scope = (Matcher(dialect.namespace_label, "=", scope.namespace), Matcher(dialect.pod_label, "=~", scope.pods))
    matching = of_scope + _equal(query.matchers)
    text = f"sum by (part, le) ({_parts(query, dialect, written(matching))})"
    confined.prove(text, frozenset(matching), query.class_name)
    return text


def build_acknowledgements(namespace: str, dialect: Dialect) -> str:
    """`pegbox_settings_generation` per pod, instance, profile and hash: of each instance the freshest few."""
    told = f"{dialect.namespace_label}={quote(namespace)},{_short('profile_uid')},{_short('hash')}"
    source = f"pegbox_settings_generation{{{told}}}"
    each = f"{dialect.pod_label}, instance"
    by = f"{each}, profile_uid, hash"
    newest = f"topk by ({each}) ({MOST_SERIES}, max by ({by}) (timestamp({source})))"
    return _dated(f"max by ({by}) ({source}) and {newest}", newest)


def build_setting_values(namespace: str, knobs: Collection[str], dialect: Dialect) -> str:
    """`pegbox_setting_value` per pod, instance and knob, of the knobs that are named."""
    names = "|".join(escape_regex(name) for name in sorted(knobs))
    source = f"pegbox_setting_value{{{dialect.namespace_label}={quote(namespace)},knob=~{quote(names)}}}"
    by = f"{dialect.pod_label}, instance, knob"
    return _dated(f"max by ({by}) ({source})", f"max by ({by}) (timestamp({source}))")


def _short(name: str) -> str:
    """A pod may write books into a label; ours are short."""
    return f'{name}=~".{{0,{LONGEST_LABEL}}}"'


def _dated(value: str, at: str) -> str:
    """A metric's value and scrape time: parts "value" and "at"."""
    return f'label_replace({value}, "part", "value", "", "") or label_replace({at}, "part", "at", "", "")'


def _matching(query: SignalQuery, dialect: Dialect) -> tuple[Matcher, ...]:
    """What confines a question: the namespaces of the install and the labels of the profile."""
    names = "|".join(escape_regex(name) for name in dialect.namespaces)
    tenant = (Matcher(dialect.namespace_label, "=~", names),) if names else ()
    return tenant + _equal(query.matchers)


def _parts(query: SignalQuery, dialect: Dialect, matching: str) -> str:
    """All parts as one vector: one series per pod (and `le`), told apart by the label `part`.

    An expression with an open bracket would swallow what stands around it: refused before it is filled in.
    """
    signal, window = query.signal, query.window
    for problem in problems(signal):
        raise InvalidInput("class", query.class_name, problem)
    pod = f"{dialect.namespace_label}, {dialect.pod_label}"
    without = f"max without ({', '.join(dialect.duplicate_labels)})" if dialect.duplicate_labels else ""

    def per_pod(expression: str, operator: str = "sum", more: str = "") -> str:
        text = fill(expression, window, matching)
        return f"{operator} by ({pod}{more}) ({without} ({text}))"

    match signal.kind:
        case SignalKind.HISTOGRAM:
            parts = {
                "bucket": per_pod(signal.expr, more=", le"),
                "sum": per_pod(signal.sum_expr),
                "count": per_pod(signal.count_expr),
            }
        case SignalKind.RATIO:
            parts = {"good": per_pod(signal.expr), "all": per_pod(signal.count_expr)}
        case SignalKind.RATE:
            parts = {"value": per_pod(signal.expr)}
        case SignalKind.GAUGE:
            parts = {"value": per_pod(signal.expr, "avg"), "pods": per_pod(signal.expr, "group")}
    source = selector(signal.count_expr or signal.expr)
    source = fill(source, window, matching)
    limit = f"{window / 2:g}"
    fresh = f"(time() - max by ({pod}) (timestamp({source})) <= {limit})"
    scrapes = f"(max by ({pod}) (count_over_time({source}[{window}s])) >= {MINIMUM_SCRAPES})"
    parts["fresh"] = f"group by ({pod}) {fresh}"
    parts["sound"] = f"group by ({pod}) ({scrapes} and on ({pod}) {fresh})"
    return "(" + " or ".join(f'label_replace({text}, "part", "{name}", "", "")' for name, text in parts.items()) + ")"
