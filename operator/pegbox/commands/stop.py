"""`pegbox stop --all [--restore]` and `pegbox start --all`: one annotation on the operator's own Lease."""

from __future__ import annotations

import asyncio
from argparse import Namespace

from pegbox.adapters.kube.patches import annotated
from pegbox.commands import opening
from pegbox.commands.output import Exit, show
from pegbox.model.brakes import STOP_ANNOTATION, Stop
from pegbox.model.errors import InvalidInput, NotAvailable, NotFound, WriteConflict
from pegbox.ports import LEASE, Cluster, Object, Ref

TRIES = 10  # the leader renews the Lease every two seconds, and so moves its resourceVersion
ONE = "for one profile: pegbox pause NAMESPACE/NAME, then pegbox rollback NAMESPACE/NAME"
DONE = {
    Stop.STOP: "stopped: trials under way go back to their parents, and none starts, in any profile",
    Stop.RESTORE: "stopped: every workload goes back to the values of its adoption, and stays there",
    None: "started: profiles are tuned again",
}


def main(arguments: Namespace) -> int:
    """Raises InvalidInput, NotAvailable, Refused."""
    wanted = asked(arguments)
    return asyncio.run(_main(arguments, wanted))


def asked(arguments: Namespace) -> Stop | None:
    """What is to stand on the Lease; None: nothing. Raises InvalidInput where --all is missing."""
    starting = arguments.verb == "start"
    if not arguments.all:
        remedy = f"write pegbox {arguments.verb} --all, which concerns every profile; "
        remedy += "for one profile: pegbox resume NAMESPACE/NAME" if starting else ONE
        raise InvalidInput("--all", "(absent)", remedy)
    if starting:
        return None
    return Stop.RESTORE if arguments.restore else Stop.STOP


async def _main(arguments: Namespace, wanted: Stop | None) -> int:
    async with opening.cluster(arguments) as cluster:
        show(await put(cluster, Ref(LEASE, *arguments.lease), wanted))
    return Exit.OK


async def put(cluster: Cluster, lease: Ref, wanted: Stop | None) -> list[str]:
    """Write or remove the annotation, on the version that was looked at; what was done, in words.

    Raises InvalidInput where there is no such Lease: an annotation on another one would stop nothing.
    """
    for _ in range(TRIES):
        try:
            body = await cluster.get(lease)
        except NotFound as error:
            remedy = "no such Lease: name the operator's with --lease NAMESPACE/NAME (kubectl get leases -A)"
            raise InvalidInput("--lease", f"{lease.namespace}/{lease.name}", remedy) from error
        before = (body["metadata"].get("annotations") or {}).get(STOP_ANNOTATION)
        if before == (wanted.value if wanted is not None else None):
            return _told(body, lease, wanted, changed=False)
        try:
            body = await cluster.json_patch(
                lease, annotated(body, STOP_ANNOTATION, wanted.value if wanted is not None else None)
            )
        except WriteConflict:
            continue
        return _told(body, lease, wanted, changed=True)
    raise NotAvailable(f"{lease}: other writers kept changing it: try again")


def _told(body: Object, lease: Ref, wanted: Stop | None, *, changed: bool) -> list[str]:
    lines = [DONE[wanted] if changed else f"nothing to do, it stands so already: {DONE[wanted]}"]
    sign = f"{STOP_ANNOTATION}={wanted.value}" if wanted is not None else f"no {STOP_ANNOTATION}"
    lines.append(f"written: {lease}, {sign}" if changed else f"found: {lease}, {sign}")
    if not (body.get("spec") or {}).get("holderIdentity"):
        lines.append("nobody holds this Lease: is it the operator's? One without leader election reads it all the same")
    lines.append("see: kubectl get perfp -A -o wide" + ("; end it: pegbox start --all" if wanted is not None else ""))
    return lines
