"""Held sizes: what a container's request or limit is in the template and in each pod, and why we may not resize.

The template says what a new pod starts with; it is never written. So it is also where the original is found, whatever
becomes of the ledger. A pod's value is one of ours (what the template gives, or what this ledger wrote or aims at), or
somebody else's: then it is left alone, and no trial starts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from fractions import Fraction

from pegbox.adapters.kube import owners, resources
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Knob, KnobValue, ResourceName, Side, Size
from pegbox.model.observations import Missing
from pegbox.model.profile import ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Held, Workload
from pegbox.model.trials import Ledger
from pegbox.ports import Object
from pegbox.runtime.reading import Objects

Consent = Callable[[ProfileSpec, Knob, Object, owners.Path, Held], Held]


def container_size(found: Objects, knob: Knob, ledger: Ledger | None, consent: Consent) -> Held:
    """One size of the target's container. One that is never written, being recommended or pinned, is no conflict."""
    value = _held(found, knob, ledger, consent)
    return value if knob.tunable else replace(value, refusal=None, odd=())


def _held(found: Objects, knob: Knob, ledger: Ledger | None, consent: Consent) -> Held:
    """Missing where the template does not state the size: nothing could be put back."""
    size, body = knob.location.size, found.target
    assert size is not None
    if body is None:
        return Held(Missing(Reason.TARGET_NOT_FOUND))
    template = body.get("spec", {}).get("template", {})
    name = resources.container_name(template, found.spec.target.container)
    container = resources.container(template, name)
    text = resources.text_of(container, size) if container is not None else None
    if container is None or text is None:
        detail = f"container {name or found.spec.target.container} states no {size}: state it in the template"
        return Held(Missing(Reason.NOT_REPORTED, detail), refusal=Missing(Reason.RESIZE_UNSUPPORTED, detail))
    try:
        start = knob.type.parse(text, f"container {name}: {size}")
    except InvalidInput as error:
        unreadable = Missing(Reason.RESIZE_UNSUPPORTED, f"{error.field}: {error.remedy}")
        return Held(unreadable, refusal=unreadable, object_uid=body["metadata"]["uid"])
    back = _goes_back(ledger, knob.name)
    value = _standing(found, knob, ledger, start, _unreported(found, name) if back else ())
    refusal = (
        (None if back else _unsupported(found, template, container, size))
        or owners.vpa(found.pods)
        or _utilization(found, name, size, ledger)
    )
    stated = size.resource.value in ((container.get("resources") or {}).get(size.side.value) or {})
    side = size.side if stated else Side.LIMITS  # an absent request is the limit's, and its owner's
    path = owners.container_field(name, "resources", side.value, size.resource.value)
    held = consent(found.spec, knob, body, path, replace(value, raw=text, refusal=refusal, start=start))
    if back:
        return replace(held, refusal=refusal)
    if held.refusal is not None:
        return replace(held, odd=())  # where it is not ours to write, others size pods as they like
    if held.odd and (ledger is None or ledger.intent is None):
        return replace(held, refusal=_others(found, name, size, held.odd))
    return held


def _others(found: Objects, container: str, size: Size, odd: Collection[str]) -> Missing:
    """Whoever sized these pods, as far as they tell."""
    field = owners.pod_field(container, "resources", size.side.value, size.resource.value)
    held = {owners.holders(pod, field) for pod in found.pods if pod["metadata"]["name"] in odd} - {""}
    who = f"{', '.join(odd)} have another {size} than the template or Pegbox gave them"
    return Missing(Reason.OWNED_BY_OTHER, "; ".join([who, *sorted(held)]) + ": delete these pods")


def _goes_back(ledger: Ledger | None, name: str) -> bool:
    """Is it being taken back by now? That asks nobody again: pods have it by our own hand."""
    intent = ledger.intent if ledger is not None else None
    return intent is not None and intent.kind.goes_back and name in intent.moved


def _standing(found: Objects, knob: Knob, ledger: Ledger | None, start: KnobValue, fixed: Collection[str] = ()) -> Held:
    """What the ledger wants, and which pods do not have it yet; the template's value where it knows nothing.

    `fixed`: pods that cannot be resized. Those that never were have what the template gave them, and are left so.
    """
    pods = pod_values(found, knob)
    wanted = _wanted(ledger, knob.name)
    if wanted is None or ledger is None:
        seen = set(pods.values())
        agreed = next(iter(seen)) if len(seen) == 1 else start
        # Before, without a ledger: only where an annotation of ours tells the original are others' pods ours.
        remembered = ledger.adopted.get(knob.name) if ledger is not None and ledger.adopted is not None else None
        value = agreed if remembered == start else start
        return Held(value, odd=tuple(sorted(n for n, v in pods.items() if v != value)))
    adopted = ledger.adopted.get(knob.name, start) if ledger.adopted is not None else start
    if adopted != start or (ledger.intent is not None and knob.name in ledger.intent.keep):
        return Held(start)  # its owner wrote another value into the template: his decision, pods follow by the rollout
    ours = {start, *_known(ledger, knob.name)}
    odd = tuple(sorted(n for n, v in pods.items() if v not in ours or (v == start and n in fixed)))
    late = sorted(n for n, v in pods.items() if n not in odd and v != wanted)
    value = wanted if not late else pods[late[0]]
    return Held(value, behind=tuple(late), odd=odd)


def _wanted(ledger: Ledger | None, name: str) -> KnobValue | None:
    if ledger is None:
        return None
    setting = ledger.intent.current if ledger.intent is not None else ledger.incumbent
    return None if setting is None else setting.get(name)


def _known(ledger: Ledger, name: str) -> set[KnobValue]:
    """Every value that this ledger wrote, or may have written, into a pod."""
    settings = [s for s in (ledger.incumbent, ledger.adopted) if s is not None]
    settings += [s for t in ledger.trials for s in (t.setting, t.parent)] + [r.setting for r in ledger.ladder]
    if ledger.intent is not None:
        settings += [ledger.intent.parent, *ledger.intent.stages]
    return {s[name] for s in settings if name in s}


def resizable(found: Objects) -> Mapping[str, Object]:
    """Pods of the target whose container runs or has run, by name: the others take what they have when they start."""
    workload = found.workload
    live = {p.uid for p in workload.unfinished if not p.terminating} if isinstance(workload, Workload) else set()
    return {
        str(pod["metadata"]["name"]): pod
        for pod in found.pods
        if pod["metadata"]["uid"] in live
        and resources.has_run(pod, resources.container_name(pod, found.spec.target.container))
    }


def with_refused(found: Objects, words: Mapping[str, str]) -> Objects:
    """Pods, by uid, whose resize the server refused at the last look: told as a kubelet tells what it cannot do."""
    if not words or isinstance(found.workload, Missing):
        return found
    pods = (replace(p, resizing=f"Infeasible: {words[p.uid]}") if p.uid in words else p for p in found.workload.pods)
    return replace(found, workload=replace(found.workload, pods=tuple(pods)))


def pod_values(found: Objects, knob: Knob) -> dict[str, Fraction]:
    """pod -> what its spec asks for now."""
    size, out = knob.location.size, {}
    for name, pod in resizable(found).items():
        container = resources.container(pod, resources.container_name(pod, found.spec.target.container))
        value = resources.sizes_of(container or {}).get(size) if size is not None else None
        if value is not None:
            out[name] = value
    return out


def _unsupported(found: Objects, template: Object, container: Object, size: Size) -> Missing | None:
    if resources.restarts(container, size.resource):
        detail = f"resizePolicy of {size.resource.value} is RestartContainer: set NotRequired"
        return Missing(Reason.RESIZE_UNSUPPORTED, f"container {container['name']}: {detail}")
    if (template.get("spec") or {}).get("resources"):
        return Missing(
            Reason.RESIZE_UNSUPPORTED, "the template states resources of the whole pod: state the container's"
        )
    for name in _unreported(found, str(container["name"])):
        detail = f"the kubelet of pod {name} reports no resources: it needs Kubernetes 1.33 and a runtime that resizes"
        return Missing(Reason.RESIZE_UNSUPPORTED, detail)
    return None


def _unreported(found: Objects, container: str) -> list[str]:
    """Pods whose kubelet reports no resources: the API server asks the same before it lets a resize pass."""
    states = {name: resources.running(pod, container) for name, pod in resizable(found).items()}
    return [name for name, status in states.items() if status is not None and not status.get("resources")]


def _utilization(found: Objects, container: str, size: Size, ledger: Ledger | None) -> Missing | None:
    """A share of the requests means something else once the requests move; the way back gives it its meaning again."""
    back = ledger is not None and ledger.intent is not None and ledger.intent.kind.goes_back
    if size.side is not Side.REQUESTS or back:
        return None
    what = resources.utilization_metric(found.hpas, size.resource, container)
    scaler = found.spec.autoscaler
    if not what and scaler is not None and scaler.create and size.resource is ResourceName.CPU:
        what = f"the HPA of spec.autoscaler.create keeps the utilisation of cpu at {scaler.cpu_utilization} %"
    if not what:
        return None
    remedy = f"its share is one of the {size}: give it a target of type AverageValue, or pin this knob"
    return Missing(Reason.UTILIZATION_TARGET, f"{what}: {remedy}")
