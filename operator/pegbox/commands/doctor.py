"""`pegbox doctor`: looks at everything that Pegbox needs, and says of each finding what to do about it."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pegbox.commands import doctor_install, doctor_profile, doctor_signals, opening, output
from pegbox.commands.explain import source_name
from pegbox.commands.findings import Finding, Level, bad, note, ok
from pegbox.commands.output import Exit
from pegbox.commands.windows import ScopedSource
from pegbox.model.errors import NotAvailable, Refused
from pegbox.ports import PROFILE, Cluster, Object
from pegbox.runtime.settings import Settings

LEASE_NAMESPACE = "pegbox-system"


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at. `sources` by name; `scrapes` the stated scrape interval of each, in seconds."""

    cluster: Cluster
    sources: Mapping[str, ScopedSource] = field(default_factory=dict)
    namespace: str = ""
    lease_namespace: str = LEASE_NAMESPACE
    allow_writes: bool = False
    scrapes: Mapping[str, float] = field(default_factory=dict)


def main(arguments: Namespace) -> int:
    """Raises NotAvailable where the API server cannot be asked, InvalidInput for the arguments."""
    found = asyncio.run(_main(arguments))
    found_wrong = any(f.level is Level.FINDING for f in found)
    if arguments.json:
        output.show_json(
            [{"about": f.about, "level": f.level.value, "text": f.text, "remedy": f.remedy} for f in found]
        )
    else:
        output.show(text(found))
    return Exit.FOUND if found_wrong else Exit.OK


async def _main(arguments: Namespace) -> list[Finding]:
    settings = opening.settings_of(arguments)
    async with opening.cluster(arguments) as cluster:
        with opening.sources(settings) as sources:
            return await examine(patient(cluster, sources, settings, arguments), datetime.now(UTC))


def patient(
    cluster: Cluster, sources: Mapping[str, ScopedSource], settings: Settings | None, arguments: Namespace
) -> Patient:
    """The scrape interval is known only from the operator's settings; --prometheus states none."""
    if settings is None or arguments.config is None:
        return Patient(cluster, sources, arguments.namespace)
    return Patient(
        cluster,
        sources,
        arguments.namespace,
        settings.leaderElection.namespace,
        settings.allowWrites,
        {item.name: item.scrapeSeconds for item in settings.metricsSources},
    )


async def examine(on: Patient, now: datetime) -> list[Finding]:
    """Raises NotAvailable where the API server cannot be asked at all."""
    definitions = await doctor_install.definitions(on.cluster)
    profiles, listed = await _profiles(on)
    writes = on.allow_writes or any(p.get("spec", {}).get("mode") == "Auto" for p in profiles)
    found = await doctor_install.rights(on.cluster, on.namespace, on.lease_namespace, writes=writes)
    found += definitions
    found += await doctor_install.servers(on.sources)
    found += listed
    for profile in profiles:
        found += await _profile(on, profile, now)
    return list(dict.fromkeys(found))  # profiles of one class share its findings


async def _profiles(on: Patient) -> tuple[list[Object], list[Finding]]:
    where = f"namespace {on.namespace}" if on.namespace else "any namespace"
    try:
        found = await on.cluster.list(PROFILE, on.namespace)
    except (NotAvailable, Refused) as error:
        return [], [bad("profiles", output.one_line(error), "install the CRDs, or grant the right to list them")]
    if not found:
        return [], [note("profiles", f"there is none in {where}", "kubectl apply -f a PerformanceProfile")]
    return found, [ok("profiles", f"{len(found)} in {where}")]


async def _profile(on: Patient, profile: Object, now: datetime) -> list[Finding]:
    try:
        wanted = await source_name(on.cluster, profile)
        source = opening.pick(on.sources, wanted)
        fresh = await doctor_profile.read_profile(on.cluster, source, profile, now)
    except NotAvailable as error:  # a kind is not served: the other profiles are looked at all the same
        about = f"{profile['metadata']['namespace']}/{profile['metadata']['name']}"
        return [bad(about, output.one_line(error), "install what is missing, or try again later")]
    if isinstance(fresh, Finding):
        return [fresh]
    found = doctor_profile.look(profile, fresh)
    if source is not None:
        return found + await doctor_signals.look(source, fresh, now, on.scrapes.get(wanted))
    if on.sources:
        text = f"class {fresh.snapshot.spec.class_name} wants the metrics source {wanted}, which the settings lack"
        found.append(bad(fresh.snapshot.spec.key, text, f"add it to metricsSources; known: {', '.join(on.sources)}"))
    return found


def text(found: Sequence[Finding]) -> list[str]:
    """A table, each remedy below its finding, and a sum."""
    widths = max((len(f.about) for f in found), default=0)
    lines = []
    for each in found:
        lines.append(f"{each.level.value:<8} {each.about:<{widths}}  {output.one_line(each.text)}")
        if each.remedy:
            lines.append(f"{'':8} {'':{widths}}  -> {each.remedy}")
    wrong = sum(f.level is Level.FINDING for f in found)
    return [*lines, f"{wrong} finding{'s' if wrong > 1 else ''}" if wrong else "all fine"]
