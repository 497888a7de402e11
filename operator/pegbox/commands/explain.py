"""`pegbox explain NAMESPACE/NAME`: why each knob has its value, what the guards say, and what comes next.

From a fresh read of the cluster and, where a metrics server is named, of the metrics; what cannot be read afresh is
taken from the profile's status and said to be.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from datetime import UTC, datetime

from pegbox.api import ledger_codec
from pegbox.commands import explain_body, explain_view, opening, output
from pegbox.commands.explain_body import Explanation
from pegbox.commands.fresh import read, think
from pegbox.commands.output import Exit
from pegbox.model.errors import InvalidInput, NotAvailable, NotFound, Refused
from pegbox.model.trials import Ledger
from pegbox.ports import CLASS, LEDGER, PROFILE, Cluster, MetricsSource, Object, Ref
from pegbox.runtime import reading
from pegbox.runtime.reading import Unacceptable


def main(arguments: Namespace) -> int:
    """Raises InvalidInput, NotAvailable, Refused."""
    return asyncio.run(_main(arguments))


async def _main(arguments: Namespace) -> int:
    settings = opening.settings_of(arguments)
    async with opening.cluster(arguments) as cluster:
        with opening.sources(settings) as sources:
            profile = await profile_of(cluster, arguments.key)
            source = opening.pick(sources, await source_name(cluster, profile))
            found = await explain(cluster, source, profile, datetime.now(UTC))
    body = explain_body.body(found, arguments.trials)
    if arguments.json:
        output.show_json(body)
    else:
        output.show(explain_view.text(body))
    return Exit.OK


async def profile_of(cluster: Cluster, key: tuple[str, str]) -> Object:
    """Raises InvalidInput where there is no such profile."""
    try:
        return await cluster.get(Ref(PROFILE, *key))
    except NotFound as error:
        remedy = "no such PerformanceProfile: see kubectl get perfp -A"
        raise InvalidInput("NAMESPACE/NAME", "/".join(key), remedy) from error


async def source_name(cluster: Cluster, profile: Object) -> str:
    """The source that the profile's class names; the default one where the class cannot be read."""
    name = profile.get("spec", {}).get("classRef", {}).get("name", "")
    try:
        return reading.named_source((await cluster.get(Ref(CLASS, "", name))).get("spec", {}).get("sourceRef"))
    except (NotFound, Refused):
        return reading.named_source(None)


async def explain(cluster: Cluster, source: MetricsSource | None, profile: Object, now: datetime) -> Explanation:
    """Raises NotAvailable where the API server cannot be asked at all."""
    meta = profile["metadata"]
    key = (str(meta["namespace"]), str(meta["name"]))
    ledger, problem = await _ledger(cluster, key, str(meta["uid"]))
    try:
        fresh = await read(cluster, source, key, now)
    except (Unacceptable, Refused, NotFound, InvalidInput) as error:
        return Explanation(profile, now, ledger=ledger, ledger_problem=problem, problem=output.one_line(error))
    return Explanation(profile, now, fresh, think(fresh, now), ledger, problem)


async def _ledger(cluster: Cluster, key: tuple[str, str], uid: str) -> tuple[Ledger | None, str]:
    """The ledger, or why there is none that could be believed."""
    try:
        ledger = ledger_codec.decode(await cluster.get(Ref(LEDGER, *key)))
    except NotFound:
        return None, "none was written yet"
    except (InvalidInput, Refused, NotAvailable) as error:
        return None, output.one_line(error)
    if ledger.profile_uid != uid:
        return None, "it belongs to a deleted profile of this name"
    return ledger, ""
