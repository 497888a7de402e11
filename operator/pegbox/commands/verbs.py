"""`pegbox try | rollback | reset | pause | resume`: an annotation with a fresh token, and the operator's answer."""

from __future__ import annotations

import asyncio
import secrets
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pegbox.adapters.kube.patches import annotated
from pegbox.commands import opening
from pegbox.commands.output import Exit
from pegbox.core import freeze
from pegbox.model import units
from pegbox.model.errors import InvalidInput, NotAvailable, NotFound, WriteConflict
from pegbox.model.reasons import Reason
from pegbox.ports import PROFILE, Clock, Cluster, Object, Ref

PREFIX = "pegbox.dev/"
NEEDS_AUTO = frozenset({"try", "rollback"})
TRIES = 5  # other writers move the profile's resourceVersion
POLL = 1.0  # seconds
MAX_ARGUMENT = 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: `token` tells it from any earlier one of the same verb."""

    ref: Ref
    verb: str
    argument: str
    token: str

    @property
    def text(self) -> str:
        return f"{self.token} {self.argument}".strip()


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    code: Exit


def main(arguments: Namespace) -> int:
    """Raises InvalidInput, NotAvailable, Refused."""
    namespace, name = arguments.key
    asked = Asked(Ref(PROFILE, namespace, name), arguments.verb, arguments.argument, secrets.token_hex(4))
    check(asked)
    return asyncio.run(_main(arguments, asked))


async def _main(arguments: Namespace, asked: Asked) -> int:
    from pegbox.adapters.clock import SystemClock

    async with opening.cluster(arguments) as cluster:
        await request(cluster, asked)
        print(f"{asked.verb} asked of {asked.ref.namespace}/{asked.ref.name}, token {asked.token}", flush=True)
        if not arguments.wait:
            return Exit.OK
        answer = await wait(cluster, SystemClock(), asked, arguments.wait)
    print(answer.text)
    return answer.code


def check(asked: Asked) -> None:
    """What can be told without the cluster. Raises InvalidInput."""
    if asked.verb == "pause" and asked.argument:
        if "T" in asked.argument:
            freeze.moment(asked.argument, "DURATION|TIME")
        else:
            units.parse_duration(asked.argument, "DURATION|TIME")
    if asked.verb != "try":
        return
    if len(asked.argument) > MAX_ARGUMENT:
        raise InvalidInput("KNOB=VALUE", f"{len(asked.argument)} characters", f"write at most {MAX_ARGUMENT}")
    for part in asked.argument.split(","):
        name, sign, value = part.strip().partition("=")
        if not (name and sign and value):
            raise InvalidInput("KNOB=VALUE", part, "write knob=value, and commas between several")


async def request(cluster: Cluster, asked: Asked) -> None:
    """Write the annotation, on the version that was looked at. Raises InvalidInput where it would be refused."""
    for _ in range(TRIES):
        try:
            profile = await cluster.get(asked.ref)
        except NotFound as error:
            key = f"{asked.ref.namespace}/{asked.ref.name}"
            raise InvalidInput("NAMESPACE/NAME", key, "no such PerformanceProfile: see kubectl get perfp -A") from error
        _refuse(profile, asked)
        try:
            await cluster.json_patch(asked.ref, annotated(profile, PREFIX + asked.verb, asked.text))
            return
        except WriteConflict:
            continue
    raise NotAvailable(f"{asked.ref}: other writers kept changing it: try again")


def _refuse(profile: Object, asked: Asked) -> None:
    """What the operator is sure to refuse is told at once."""
    mode = profile.get("spec", {}).get("mode", "Recommend")
    if asked.verb in NEEDS_AUTO and mode != "Auto":
        raise InvalidInput("spec.mode", mode, f"{asked.verb} writes to the workload: set mode Auto first")
    if profile["metadata"].get("deletionTimestamp"):
        raise InvalidInput("NAMESPACE/NAME", str(asked.ref), "the profile is being deleted: wait, and apply it again")
    known = [knob["name"] for knob in (profile.get("status") or {}).get("knobs", [])]
    for part in asked.argument.split(",") if asked.verb == "try" and known else ():
        name = part.strip().partition("=")[0]
        if name not in known:
            raise InvalidInput("KNOB=VALUE", part.strip(), f"the profile has these knobs: {', '.join(known)}")


async def wait(cluster: Cluster, clock: Clock, asked: Asked, seconds: float) -> Answer:
    """The operator's answer; for try and rollback also how it ended, if that is within the time."""
    end = clock.monotonic() + seconds
    taken = began = False
    text = ""
    while True:
        try:
            status = (await cluster.get(asked.ref)).get("status") or {}
        except NotFound:
            return Answer("the profile was deleted meanwhile", Exit.FOUND)
        if _tokens(status).get(asked.verb) == asked.token:
            taken = True
            began = began or bool(status.get("trial"))
            text = str(status.get("why", ""))
            refused = text.startswith(f"{Reason.REQUEST_REFUSED.value}:")
            if refused or asked.verb not in NEEDS_AUTO or not status.get("trial"):
                return Answer(_outcome(status, asked, began), Exit.FOUND if refused else Exit.OK)
        if clock.monotonic() >= end:
            break
        await clock.sleep(min(POLL, max(0.0, end - clock.monotonic())))
    if taken:
        return Answer(f"under way after {seconds:g} s: {text}", Exit.OK)
    return Answer(f"not taken up within {seconds:g} s: is the operator running? pegbox doctor tells", Exit.FOUND)


def _outcome(status: Mapping[str, Any], asked: Asked, began: bool) -> str:
    """`began`: a trial was seen under way, so that the last one is this one and no older."""
    last = status.get("lastTrial")
    setting = ", ".join(f"{v['name']}={v['value']}" for v in status.get("setting", []))
    lines = [str(status.get("why", ""))]
    if asked.verb == "try" and last and began:
        lines.append(f"trial {last['id']}: {last['state']}: {last.get('why', '')}")
    if asked.verb in NEEDS_AUTO and setting:
        lines.append(f"in force: {setting}")
    if status.get("next"):
        lines.append(f"next: {status['next']}")
    return "\n".join(lines)


def _tokens(status: Mapping[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in status.get("tokens", [])}
