"""What a pod costs per hour under a setting, by `spec.prices` and all that its containers request. Pure.

Also what no knob moves counts: a tenth less of one container saves no tenth of a pod with another one in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from pegbox.core import sizing
from pegbox.core.change_per_hour import pod_requests
from pegbox.model.knobs import Knob, LocationKind, ResourceName, Setting, Side
from pegbox.model.profile import GIB, Prices, ProfileSpec
from pegbox.model.snapshot import ContainerSizes


def per_pod(spec: ProfileSpec, containers: Sequence[ContainerSizes], setting: Setting) -> Fraction:
    """pod + cores x price + GiB x price. Half a core and 1 GiB: 0.0158 + 0.0042 = 0.02."""
    sized = sizing.sized(containers, spec.space, setting)
    cores, memory = (pod_requests(sized, resource) for resource in (ResourceName.CPU, ResourceName.MEMORY))
    return spec.prices.pod + cores * spec.prices.cpu + memory / GIB * spec.prices.memory


def priced(prices: Prices, knob: Knob) -> bool:
    """Is the knob what a container requests of something that has a price?"""
    size = knob.location.size
    if knob.location.kind is not LocationKind.CONTAINER_RESOURCE or size is None or size.side is not Side.REQUESTS:
        return False
    return (prices.cpu if size.resource is ResourceName.CPU else prices.memory) > 0
