"""What a change may add to the cluster: pods, and what all its pods together request of cpu and memory.

It is the most that our own writes can bring about, at any instant of them: what one knob lowers makes up for nothing
that another raises, since they are written one after the other.

    2 pods of 500m (400m tuned, 100m of a sidecar), at most 4 by the HPA; a trial of 600m and at most 5:
    1 more pod x 700m  +  4 pods x 200m more  =  1.5 cores
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from pegbox.core import sizing, usage
from pegbox.model import units
from pegbox.model.knobs import LocationKind, ResourceName, SearchSpace, Setting, Side, Size
from pegbox.model.snapshot import ContainerSizes, Snapshot, Workload
from pegbox.model.trials import Added, Intent

_ZERO = Fraction(0)


def pods(space: SearchSpace, parent: Setting, target: Setting) -> int:
    """Pods that the target may have more than its parent: replicas and an HPA's maximum."""
    raised = 0
    for knob in space.at(LocationKind.HPA_MAX, LocationKind.REPLICAS):
        old, new = parent.get(knob.name), target.get(knob.name)
        if isinstance(old, Fraction) and isinstance(new, Fraction):
            raised += max(0, int(new - old))
    return raised


def of(snapshot: Snapshot, workload: Workload, intent: Intent) -> Added:
    """What an intent may add over its parent, all stages of it."""
    space, settings = snapshot.spec.space, (intent.parent, *intent.stages)
    more = max(pods(space, intent.parent, stage) for stage in intent.stages)
    now = usage.most_pods(snapshot.spec, workload, snapshot.held, intent.parent)
    asked = {}
    for resource in ResourceName:
        raised = max(_tuned(space, stage, resource) - _tuned(space, intent.parent, resource) for stage in intent.stages)
        asked[resource] = more * _largest(snapshot, settings, resource) + now * max(_ZERO, raised)
    return Added(more, _whole(asked[ResourceName.CPU] * 1000), _whole(asked[ResourceName.MEMORY]))


def _whole(value: Fraction) -> int:
    """Rounded up; a template may state more than a ledger holds."""
    return min(math.ceil(value), units.MAX_WHOLE)


def _tuned(space: SearchSpace, setting: Setting, resource: ResourceName) -> Fraction:
    """The request of the tuned container; 0 where no knob sets it, so that it is never seen to be raised."""
    wanted = Size(Side.REQUESTS, resource)
    values = (setting.get(k.name) for k in sizing.knobs(space) if k.location.size == wanted and k.tunable)
    return next((v for v in values if isinstance(v, Fraction)), _ZERO)


def _largest(snapshot: Snapshot, settings: Sequence[Setting], resource: ResourceName) -> Fraction:
    """What a new pod requests at the most: it starts as the template says, and is resized then."""
    space = snapshot.spec.space
    made = [snapshot.containers, *(sizing.sized(snapshot.containers, space, s) for s in settings)]
    return max(pod_requests(containers, resource) for containers in made)


def pod_requests(containers: Sequence[ContainerSizes], resource: ResourceName) -> Fraction:
    """What one pod requests: all that run together, or what an init container needs beside the sidecars before it
    (Kubernetes, "Resource sharing within containers"). A container that states nothing requests nothing."""
    wanted = Size(Side.REQUESTS, resource)
    together = sum((c.sizes.get(wanted, _ZERO) for c in containers if not c.init), _ZERO)
    sidecars = sum((c.sizes.get(wanted, _ZERO) for c in containers if c.sidecar), _ZERO)
    before = max((c.sizes.get(wanted, _ZERO) for c in containers if c.init), default=_ZERO)
    return max(together, before + sidecars)
