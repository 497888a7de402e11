"""Claims of the docs: they agree with the code, their links lead somewhere, their examples run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from pegbox.live import RejectReason, parse, values_hash
from pegbox.model import settings_document, units
from pegbox.model.decisions import ConditionType
from pegbox.model.knobs import values_hash as operators_hash
from pegbox.model.profile import Guards
from pegbox.model.reasons import Reason
from pegbox.runtime.points import Point
from tests.shipped import documents

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINKED = sorted([*PAGES, *(ROOT / "dev").rglob("README.md"), *(ROOT / "examples").rglob("README.md")])
FORBIDDEN = ("phase", "phases", "magic", "AI", "optimal", "helper", "helpers", "utils", "info")
# The one place that may name them: it says that they are not used.
WORD_LIST = ("docs/glossary.md", "## Not used")


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    """From a heading to the next one of its level or above."""
    level = title.count("#")
    found = re.search(rf"^{re.escape(title)}\n(.*?)(?=^#{{1,{level}}} |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"no heading {title!r}"
    return found[1]


def table_rows(page: str) -> dict[str, str]:
    """First cell, where it is one `code` word -> the whole row. A cell that stands twice is an error."""
    rows: dict[str, str] = {}
    for line in page.splitlines():
        found = re.match(r"\| `([^`]+)` \|", line)
        if found:
            assert found[1] not in rows, f"{found[1]} stands twice"
            rows[found[1]] = line
    return rows


def fenced(page: str, mark: str) -> str:
    """The code block behind `<!-- test: mark -->`."""
    found = re.search(rf"<!-- test: {mark} -->\n```\w+\n(.*?)```", page, re.DOTALL)
    assert found, f"no block marked {mark}"
    return found[1]


def anchors(page: str) -> set[str]:
    """As GitHub makes them: lower case, spaces to hyphens, other signs dropped."""
    prose = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def broken_links(page: Path, content: str) -> list[str]:
    out = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", content, flags=re.DOTALL)):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or not file.is_relative_to(ROOT):
            out.append(f"{target}: no such file")
        elif anchor and anchor not in anchors(content if file == page else file.read_text(encoding="utf-8")):
            out.append(f"{target}: no such heading")
    return out


def unwanted_words(content: str) -> list[str]:
    found = [w for w in FORBIDDEN if re.search(rf"\b{w}\b", content, 0 if w == "AI" else re.IGNORECASE)]
    others = re.sub(r"\b(field|controller)[ -]managers?\b", "", content, flags=re.IGNORECASE)
    return found + re.findall(r"\bmanagers?\b", others, re.IGNORECASE)


def walk(schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """(path, schema, required) of every field, as `slos[].name`."""
    for name, child in (schema.get("properties") or {}).items():
        path = f"{prefix}.{name}" if prefix else name
        inner = child
        if child.get("type") == "array":
            path, inner = f"{path}[]", child["items"]
        yield path, child, name in (schema.get("required") or ())
        yield from walk(inner, path)


def definition(kind: str) -> Mapping[str, Any]:
    for file in (ROOT / "crds").glob("*.yaml"):
        (crd,) = documents(file)
        if crd["spec"]["names"]["kind"] == kind:
            properties: Mapping[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
            return properties
    raise AssertionError(f"no CRD of {kind}")


KINDS = (
    ("PerformanceProfile", "spec"),
    ("PerformanceClass", "spec"),
    ("SharedBudget", "spec"),
    ("TuningLedger", "data"),
    ("PodEnvironment", "spec"),
)


# --- the API


@pytest.mark.parametrize(("kind", "part"), KINDS, ids=[k for k, _ in KINDS])
def test_the_api_page_has_every_field_and_no_other(kind: str, part: str) -> None:
    described = table_rows(section(section(text("docs/api.md"), f"## {kind}"), f"### {part.title()}"))
    assert set(described) == {path for path, _, _ in walk(definition(kind)[part])}


@pytest.mark.parametrize(("kind", "part"), KINDS, ids=[k for k, _ in KINDS])
def test_the_api_page_states_defaults_and_choices_as_the_crd_does(kind: str, part: str) -> None:
    described = table_rows(section(section(text("docs/api.md"), f"## {kind}"), f"### {part.title()}"))
    for path, schema, required in walk(definition(kind)[part]):
        cells = [cell.strip() for cell in described[path].strip("|").split(" | ")]
        default, values = cells[1], cells[2]
        plain = schema.get("default")
        if required:
            assert default == "required", path
        elif plain is None or plain == [] or (schema.get("type") == "object" and part == "data"):
            assert default == "–", path
        elif path not in ("guards",):
            written = "{}" if plain == {} or isinstance(plain, dict) else str(plain)
            assert default in (f"`{written}`", "–") and (default != "–" or kind == "TuningLedger"), path
        choices = (schema.get("items") or {}).get("enum") or schema.get("enum") or []
        assert set(re.findall(r"`([^`]+)`", values)) >= set(choices), path
        for bound in ("minimum", "maximum"):
            if bound in schema and part == "spec":
                assert str(schema[bound]) in values, f"{path}: {bound}"


@pytest.mark.parametrize("kind", ["PerformanceProfile", "SharedBudget"])
def test_the_api_page_has_every_top_field_of_status(kind: str) -> None:
    described = table_rows(section(section(text("docs/api.md"), f"## {kind}"), "### Status"))
    top = {path for path, _, _ in walk(definition(kind)["status"]) if "." not in path}
    assert set(described) == top


def test_the_api_page_states_the_guards_that_are_built_in() -> None:
    rows = table_rows(section(section(text("docs/api.md"), "## PerformanceProfile"), "### Spec"))
    for item in fields(Guards):
        head, *rest = item.name.split("_")
        row = rows[f"guards.{head}{''.join(part.title() for part in rest)}"]
        said = re.search(r"Built-in: ([^ |]+)\.", row)
        assert said, item.name
        value = getattr(Guards(), item.name)
        if item.name in ("max_step", "error_budget_share"):
            assert units.parse_percent(said[1]) == value
        elif isinstance(value, Fraction):
            assert units.parse_duration(said[1]) == value
        else:
            assert int(said[1]) == value


# --- the runbook


def test_the_runbook_has_every_reason_and_no_other() -> None:
    rows = table_rows(section(text("docs/runbook.md"), "## Reasons"))
    assert set(rows) == {reason.value for reason in Reason}


def test_every_reason_has_a_remedy() -> None:
    rows = table_rows(section(text("docs/runbook.md"), "## Reasons"))
    for name, row in rows.items():
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 3 and all(cells), name


def test_the_runbook_has_every_condition() -> None:
    page = section(text("docs/runbook.md"), "## Conditions")
    assert set(re.findall(r"^\| (\w+) \|", page, re.MULTILINE)) >= {kind.value for kind in ConditionType}


def test_words_in_capitals_that_look_like_reasons_are_reasons() -> None:
    guards = section(text("docs/architecture.md"), "## Guards")
    known = {reason.value for reason in Reason}
    for line in re.findall(r"^\| [a-z-]+ \| (.+) \|$", guards, re.MULTILINE):
        for word in re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", line):
            assert word in known, word


def test_the_architecture_names_every_kind_of_kill_point() -> None:
    page = (
        section(text("docs/architecture.md"), "## Kill points")
        .lower()
        .replace("-", " ")
        .replace("configmap", "config map")
    )
    for point in Point:
        assert point.value.partition("-")[2].replace("-", " ") in page, point.value


# --- links and words


@pytest.mark.parametrize("page", LINKED, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_words_that_are_not_used_are_absent(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    if str(page.relative_to(ROOT)) == WORD_LIST[0]:
        content = content.replace(section(content, WORD_LIST[1]), "")
    assert unwanted_words(content) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_page_names_a_machine(page: Path) -> None:
    """Paths that only one machine has, and hosts of registries."""
    content = page.read_text(encoding="utf-8")
    assert (
        re.findall(r"/work\b|\.\./shared|/root/|/home/\w+|pypi\.|proxy\.|deb\.debian|docker\.io|ghcr\.|quay\.", content)
        == []
    )


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("The last phase.", ["phase"]),
        ("AI inside", ["AI"]),
        ("it said so again", []),
        ("information", []),
        ("a field manager and the controller manager", []),
        ("the connection manager", ["manager"]),
    ],
    ids=["a word", "capitals", "inside a word", "a longer word", "allowed managers", "another manager"],
)
def test_the_word_check_can_fail(content: str, found: list[str]) -> None:
    assert unwanted_words(content) == found


@pytest.mark.parametrize(
    ("content", "broken"),
    [
        ("[x](api.md)", 0),
        ("[x](gone.md)", 1),
        ("[x](api.md#spec)", 0),
        ("[x](api.md#gone)", 1),
        ("[x](../../../etc)", 1),
    ],
    ids=["a file", "no file", "a heading", "no heading", "outside"],
)
def test_the_link_check_can_fail(content: str, broken: int) -> None:
    assert len(broken_links(ROOT / "docs" / "x.md", content)) == broken


# --- the README


def test_the_readme_needs_exactly_two_commands_of_make() -> None:
    assert set(re.findall(r"\bmake ([a-z-]+)", text("README.md"))) == {"demo", "test"}


def test_the_readme_shows_the_smallest_profile_that_is_shipped() -> None:
    block = re.search(r"```yaml\n(.*?)```", text("README.md"), re.DOTALL)
    assert block and (yaml.safe_load(block[1]),) == documents(ROOT / "manifests/samples/smallest.yaml")


def test_the_readme_says_what_it_is_in_five_lines() -> None:
    first = text("README.md").split("\n\n")[1]
    assert len(first.splitlines()) <= 5


@pytest.mark.parametrize("page", LINKED, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", text("Makefile"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)) <= {
        pair for name in targets for pair in ((name, ""), ("", name))
    }


# --- the settings document


def test_the_example_document_is_valid_for_both_sides() -> None:
    raw = fenced(text("docs/settings-document.md"), "document")
    document = parse(raw.encode())
    assert not settings_document.parse(raw).foreign
    overlaid = document.values_for("checkout-7d9c-x2x4p")
    assert overlaid["worker_count"] == "9"
    assert f"here `{values_hash(overlaid)}`" in text("docs/settings-document.md")


def test_the_example_of_the_hash_is_worked_right() -> None:
    page = text("docs/settings-document.md")
    values = json.loads(fenced(page, "canonical"))
    assert values == json.loads(fenced(page, "document"))["values"]
    assert f"gives `{values_hash(values)}`" in page and operators_hash(values) == values_hash(values)


def test_the_settings_page_has_every_refusal_and_no_other() -> None:
    rows = table_rows(section(text("docs/settings-document.md"), "## Refusals"))
    assert set(rows) == {reason.value for reason in RejectReason}


def test_the_pseudo_code_has_every_refusal_that_a_document_can_have() -> None:
    code = section(text("docs/settings-document.md"), "## A reader in pseudo-code")
    named = set(re.findall(r"refuse\((\w+)\)", code)) - {"reason"}
    assert named == {reason.value for reason in RejectReason} - {"Unreadable"}


HARNESS = """

import os
import pathlib

from prometheus_client import generate_latest

from pegbox.live import values_hash


def document(generation, values):
    body = {"version": 1, "profileUID": "uid", "generation": generation, "hash": values_hash(values), "values": values}
    path = pathlib.Path(os.environ["PEGBOX_SETTINGS"])
    new = path.with_suffix(".new")
    new.write_text(__import__("json").dumps(body))
    new.replace(path)


async def check():
    app = App()
    await app.start()
    assert (app.workers.alive, app.pool.limit, app.live.generation) == (4, 2, 0)
    assert app.offer("one")
    document(1, {"worker_count": "8", "http_pool": "6"})
    assert app.live.refresh()
    for _ in range(20):
        await asyncio.sleep(0)
    assert (app.workers.alive, app.pool.limit, app.queue.capacity) == (8, 6, 100)
    said = generate_latest().decode()
    assert 'pegbox_settings_generation{hash="%s",profile_uid="uid"} 1.0' % values_hash(
        {"worker_count": "8", "http_pool": "6"}
    ) in said, said
    assert 'pegbox_tasks_total{outcome="success"} 1.0' in said and "pegbox_workers_limit 8.0" in said
    document(2, {"worker_count": "800"})
    assert not app.live.refresh() and app.live.generation == 1
    assert 'pegbox_settings_rejected_total{reason="BadValue"} 1.0' in generate_latest().decode()
    await app.stop()


asyncio.run(check())
print("ran")
"""


def test_the_example_in_python_runs(tmp_path: Path) -> None:
    """As a program of its own: it registers its metrics with the process."""
    program = fenced(text("docs/settings-document.md"), "live") + HARNESS
    environment = {
        "PEGBOX_SETTINGS": str(tmp_path / "settings.json"),
        "PYTHONPATH": str(ROOT / "operator"),
        "PATH": "/usr/bin:/bin",
    }
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr


def test_the_metrics_of_the_shipped_class_are_described() -> None:
    page = section(text("docs/settings-document.md"), "## Metrics")
    class_ = text("manifests/classes/python-worker.yaml")
    queried = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bpegbox_[a-z_]+", class_)}
    described = set(re.findall(r"\bpegbox_[a-z_]+", page))
    assert queried <= described


# --- the changelog


def test_the_changelog_has_the_version_of_the_package() -> None:
    version = re.search(r'^version = "(.+)"$', text("pyproject.toml"), re.MULTILINE)
    assert version and re.search(rf"^## \[{re.escape(version[1])}\]", text("CHANGELOG.md"), re.MULTILINE)
