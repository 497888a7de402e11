"""Deploys: which change of the pod template is somebody's, and which one is ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pegbox.core.deploys import came, noted
from pegbox.core.transitions import deployed
from pegbox.model.trials import Intent, Ledger
from tests.unit.core.build import ENV, HOT, T0, intent, ledger, setting, spec, under_way, workload

RESTARTS = intent(parent=setting(threads=4), stages=(setting(threads=5),), template="t1")


@pytest.mark.parametrize("recorded", [ledger(template="t1"), intent(template="t1")], ids=["a ledger", "an intent"])
@pytest.mark.parametrize(
    ("revision", "template", "deployed"),
    [
        pytest.param("r1", "t1", False, id="nothing changed"),
        pytest.param("r2", "t2", True, id="another template, rolled out under another name"),
        pytest.param("", "t2", True, id="another template, which its controller has not seen"),
        pytest.param("r2", "t1", False, id="another name for the same: a rollout of ours"),
        pytest.param("", "t1", False, id="a rollout of ours that its controller has not seen"),
        pytest.param("r1", "t2", False, id="another template of the same name: a newer server's defaults, or paused"),
    ],
)
def test_a_deploy_is_another_template(recorded: Ledger | Intent, revision: str, template: str, deployed: bool) -> None:
    assert came(recorded, workload(revision=revision, template=template)) is deployed


@pytest.mark.parametrize(
    ("revision", "deployed"),
    [
        pytest.param("r1", False, id="the same name"),
        pytest.param("r2", True, id="another name"),
        pytest.param("", False, id="no name yet"),
    ],
)
def test_of_a_ledger_of_before_the_controllers_name_decides(revision: str, deployed: bool) -> None:
    assert came(ledger(), workload(revision=revision, template="t1")) is deployed


def named(found: Ledger | Intent | None) -> tuple[str, str]:
    assert found is not None
    return found.revision, found.template


KNOWN = under_way(RESTARTS, template="t1")
HALF = under_way(replace(RESTARTS, template=""))  # as a release before left it
NOTES = [
    ("a name is learned", KNOWN, ("r2", "t1"), ("r2", "t1")),
    ("a deploy is no name", KNOWN, ("r2", "t2"), ("r1", "t1")),
    ("no name yet", KNOWN, ("", "t1"), ("r1", "t1")),
    ("of before: the same name, so what stands was recorded", HALF, ("r1", "t1"), ("r1", "t1")),
    ("of before: a restart of ours may be why it is another", HALF, ("r2", "t1"), ("r2", "t1")),
    ("of before: a deploy that its controller has not seen is not taken for it", HALF, ("", "t2"), ("r1", "")),
]


@pytest.mark.parametrize(("memory", "now", "after"), [r[1:] for r in NOTES], ids=[r[0] for r in NOTES])
def test_what_a_ledger_calls_the_template(memory: Ledger, now: tuple[str, str], after: tuple[str, str]) -> None:
    found = noted(spec(ENV).space, memory, workload(revision=now[0], template=now[1]))
    assert (named(found), named(found.intent)) == (after, after)


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(replace(RESTARTS, template="", in_force_at=RESTARTS.started_at), id="in force"),
        pytest.param(intent(template=""), id="nothing to restart"),
    ],
)
def test_of_before_where_nothing_of_ours_renames_it_another_name_is_a_deploy(item: Intent) -> None:
    now = workload(revision="r2", template="t2")
    found = noted(spec(ENV, HOT).space, under_way(item), now)
    assert found.intent is not None
    assert came(found.intent, now) and came(found, now)


# A Deployment and its ReplicaSets are two reads: the template of one, and the name of the other.

APART = [
    ("a deploy between the reads is no name of the template before", KNOWN, ("r2", "t1", "t2"), ("r1", "t1")),
    ("twin: a rollout of ours between them is one", KNOWN, ("r2", "t1", "t1"), ("r2", "t1")),
    ("a paused Deployment was edited: what is rolled out stands", KNOWN, ("r1", "t2", "t1"), ("r1", "t1")),
    ("nothing was recorded, and it is paused: what pods run", Ledger("u-1"), ("r1", "t2", "t1"), ("r1", "t1")),
    ("nothing was recorded", Ledger("u-1"), ("r1", "t1", "t1"), ("r1", "t1")),
]


@pytest.mark.parametrize(("memory", "now", "after"), [r[1:] for r in APART], ids=[r[0] for r in APART])
def test_a_name_counts_with_the_template_that_it_stands_for(
    memory: Ledger, now: tuple[str, str, str], after: tuple[str, str]
) -> None:
    revision, template, rolled_out = now
    seen = workload(revision=revision, template=template, rolled_out=rolled_out)
    found = noted(spec(ENV).space, memory, seen)
    assert named(found) == after
    assert found.intent is None or named(found.intent) == after
    assert not came(found, seen)
    assert came(found, workload(revision="r3", template="t3"))


@pytest.mark.parametrize(
    ("now", "after"),
    [
        pytest.param(("r2", "t2", "t2"), ("r2", "t2"), id="as it stands"),
        pytest.param(("", "t2", "t1"), ("", "t2"), id="its controller has not seen it"),
        pytest.param(("r3", "t2", "t3"), ("r3", "t3"), id="the next deploy came between the reads"),
    ],
)
def test_a_deploy_is_recorded_with_the_name_that_goes_with_it(
    now: tuple[str, str, str], after: tuple[str, str]
) -> None:
    revision, template, rolled_out = now
    seen = workload(revision=revision, template=template, rolled_out=rolled_out)
    assert named(deployed(ledger(template="t1"), seen, T0)) == after
