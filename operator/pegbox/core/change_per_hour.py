"""What a change may add to the cluster and take away: pods, and what all its pods together request of cpu and memory.

It is the most that our own writes can bring about, at any instant of them: what one knob lowers makes up for nothing
that another raises, since they are written one after the other. So both directions are counted, each on its own.

    2 pods of 500m (400m tuned, 100m of a sidecar), at most 4 by the HPA; a trial of 600m and at most 5 adds
    1 more pod x 700m   +  4 pods x 200m more  =  1.5 cores
    and one of 300m and at most 3 takes away
    1 pod less x 500m   +  4 pods x 100m less  =  0.9 cores
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from pegbox.core import sizing, usage
from pegbox.model import units
from pegbox.model.knobs import LocationKind, ResourceName, SearchSpace, Setting, Side, Size
from pegbox.model.snapshot import ContainerSizes, Snapshot, Workload
from pegbox.model.trials import Amount, Amounts, Intent

_ZERO = Fraction(0)


def pods(space: SearchSpace, parent: Setting, target: Setting) -> Amounts:
    """Pods that the target may have more than its parent, and fewer; an HPA and replicas are never both knobs.

    Added is what replicas or an HPA's maximum are raised by; a raised minimum starts pods that the maximum had allowed.
    Removed is the largest cut among replicas, maximum and minimum. The HPA may follow either bound, and never both
    at once. From 4 to 10 pods, lowered to 2 to 7: under load 10 become 7, without load 4 become 2, and in between there
    are no more bounds to follow. So it is 3 pods, and not 5.
    """
    most = space.at(LocationKind.HPA_MAX, LocationKind.REPLICAS)
    bounds = (*most, *space.at(LocationKind.HPA_MIN))
    added = (_raised(parent.get(knob.name), target.get(knob.name)) for knob in most)
    removed = (_raised(target.get(knob.name), parent.get(knob.name)) for knob in bounds)
    return Amounts(Amount(max(added, default=0)), Amount(max(removed, default=0)))


def _raised(old: object, new: object) -> int:
    return max(0, int(new - old)) if isinstance(old, Fraction) and isinstance(new, Fraction) else 0


def of(snapshot: Snapshot, workload: Workload, intent: Intent) -> Amounts:
    """What an intent may change over its parent, all stages of it."""
    space, parent = snapshot.spec.space, intent.parent
    moved = [pods(space, parent, stage) for stage in intent.stages]
    there = usage.most_pods(snapshot.spec, workload, snapshot.held, parent)
    largest = {r: _largest(snapshot, (parent, *intent.stages), r) for r in ResourceName}

    def amount(changed: int, sign: int) -> Amount:
        asked = {}
        for resource in ResourceName:
            tuned = [_tuned(space, s, resource) - _tuned(space, parent, resource) for s in intent.stages]
            asked[resource] = changed * largest[resource] + there * max(_ZERO, *(sign * each for each in tuned))
        return Amount(changed, _whole(asked[ResourceName.CPU] * 1000), _whole(asked[ResourceName.MEMORY]))

    return Amounts(amount(max(m.added.pods for m in moved), 1), amount(max(m.removed.pods for m in moved), -1))


def _whole(value: Fraction) -> int:
    """Rounded up; a template may state more than a ledger holds."""
    return min(math.ceil(value), units.MAX_WHOLE)


def _tuned(space: SearchSpace, setting: Setting, resource: ResourceName) -> Fraction:
    """The request of the tuned container; 0 where no knob sets it, so that it is never seen to change."""
    wanted = Size(Side.REQUESTS, resource)
    values = (setting.get(k.name) for k in sizing.knobs(space) if k.location.size == wanted and k.tunable)
    return next((v for v in values if isinstance(v, Fraction)), _ZERO)


def _largest(snapshot: Snapshot, settings: Sequence[Setting], resource: ResourceName) -> Fraction:
    """What one pod requests at the most: it starts as the template says, and is resized then."""
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
