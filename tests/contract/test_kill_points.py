"""The operator killed with SIGKILL at every point of `runtime.points`, on a real API server.

Each case runs the operator as a process, kills it where it says, starts another one and looks where that ends: at
rest, at the parent's setting or an accepted one, everywhere the same, with the document's number only grown.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from dev.cluster.control import ControlPlane
from pegbox.adapters.kube import environment
from pegbox.model.errors import NotFound
from pegbox.model.trials import IntentKind
from pegbox.ports import DEPLOYMENT, POD_ENVIRONMENT, PROFILE, Cluster, Object, Ref
from pegbox.runtime.points import Point
from pegbox.testing.clock import FakeClock
from tests.contract.conftest import Connect
from tests.contract.kill_process import Ended, Operator
from tests.loop import documents
from tests.loop.world import World

WAKES = 60  # after the kill; a whole trial with its evidence takes about fifteen
P = Point


@dataclass
class Killing:
    """A world whose operator is a process."""

    world: World
    plane: ControlPlane
    operators: list[Operator] = field(default_factory=list)
    generations: list[int] = field(default_factory=list)

    def start(self, kill_at: str = "") -> Operator:
        operator = Operator(self.plane.kubeconfig, self.world, kill_at)
        self.operators.append(operator)
        self.world.operator = operator
        return operator

    @property
    def operator(self) -> Operator:
        return self.operators[-1]

    async def turn(self) -> None:
        await self.world.turn()
        try:
            self.generations.append((await self.world.document()).generation)
        except (NotFound, KeyError):
            return


Step = Callable[[Killing], Awaitable[None]]


async def _mixed(case: Killing) -> None:
    """A hot knob, a value in the owner's ConfigMap, an HPA that Pegbox creates, a shared budget."""
    world = case.world
    await world.apply(documents.config_map(), documents.budget(capacity=100))
    profile = documents.profile(
        "checkout",
        documents.hot(),
        documents.path(conflictPolicy="Take"),
        {"name": "max_replicas", "min": 1, "max": 8},
        autoscaler={"create": {"minReplicas": 2, "maxReplicas": 3, "cpuUtilization": 60}},
        budgets=[{"name": "postgres", "uses": "pods * workers", "budgetRef": {"name": "postgres"}}],
    )
    await world.add(profile, workers=2, cache=2)


async def _env(case: Killing) -> None:
    """A knob that needs a restart; two pods, evicted one after the other."""
    await case.world.add(documents.profile("checkout", documents.hot(), documents.env()), workers=2, threads=2)


async def _guarded_env(case: Killing) -> None:
    """A budget forbids every eviction: a rollout it is."""
    await case.world.apply(documents.pdb())
    await _env(case)


async def _scaled(case: Killing) -> None:
    """Replicas by /scale, left out by their owner."""
    target = documents.without_replicas(documents.deployment())
    profile = documents.profile("checkout", documents.hot(), {"name": "replicas", "min": 1, "max": 8})
    await case.world.add(profile, target, workers=2)


async def _sized(case: Killing) -> None:
    """The requests of two running pods."""
    target = documents.sized(documents.deployment(), requests={"cpu": "500m"})
    knob = {"name": "cpu_request", "conflictPolicy": "Take"}
    await case.world.add(documents.profile("checkout", documents.hot(), knob), target, workers=2)


async def _many(case: Killing) -> None:
    """Five pods: a trial of a hot knob begins as a canary in one of them."""
    await case.world.add(documents.profile(), documents.deployment(replicas=5), workers=2)


async def _admitted(case: Killing, pods: int = 2) -> None:
    """A variable that admission puts into two pods."""
    profile = documents.profile("checkout", documents.hot(), documents.variable())
    await case.world.add(profile, documents.deployment(replicas=pods), workers=2, lanes=2)


async def _many_admitted(case: Killing) -> None:
    """Into five: a trial begins as a canary in one of them."""
    await _admitted(case, pods=5)


def _try(argument: str, *, way_back: bool = False) -> Step:
    """At rest, with evidence, something is tried; on the way back the process is armed once the trial is in force."""

    async def step(case: Killing) -> None:
        await case.world.steady()
        await case.world.annotate("try", argument)
        if way_back:

            async def in_force() -> bool:
                intent = await case.world.intent()
                return intent is not None and intent.in_force_at is not None

            await case.world.until(in_force)

    return step


async def _delete(case: Killing) -> None:
    """After an accepted trial the profile is deleted."""
    await _try("workers=3,cache=3,max_replicas=4")(case)
    await case.world.turn()
    await case.world.rest()
    await case.world.delete()


async def _delete_admitted(case: Killing) -> None:
    """As above, with a value in the pods."""
    await _try("lanes=3")(case)
    await case.world.turn()
    await case.world.rest()
    await case.world.delete()


def _takeover(argument: str) -> Step:
    """A trial is written but not read back, and its process is gone: the next one has to fence first."""

    async def step(case: Killing) -> None:
        await _try(argument)(case)
        await case.turn()
        case.start()

    return step


async def _nothing(case: Killing) -> None:
    """From the very first wake on."""


@dataclass(frozen=True)
class Scenario:
    """`build`, then `before` (alive), then killed at one of `kills`; the number says up to which occurrence.

    `besides` are points that it passes, too, and whose kills another scenario has.
    """

    build: Step
    before: Step
    kills: dict[Point, int]
    besides: dict[Point, int] = field(default_factory=dict)


CLAIM = {P.BEFORE_CLAIM: 1, P.AFTER_CLAIM: 1}
LEDGER = {P.BEFORE_LEDGER: 1, P.AFTER_LEDGER: 1}
EACH_LEDGER = {P.BEFORE_LEDGER: 3, P.AFTER_LEDGER: 3}  # begun, read back, in force or judged
DOCUMENT = {P.BEFORE_DOCUMENT: 1, P.AFTER_DOCUMENT: 1}
CONFIG_MAP = {P.BEFORE_CONFIG_MAP: 1, P.AFTER_CONFIG_MAP: 1}
AUTOSCALER = {P.BEFORE_HPA: 1, P.AFTER_HPA: 1}
READ_BACK = {P.BEFORE_READ_BACK: 1, P.AFTER_READ_BACK: 1}
STATUS = {P.BEFORE_STATUS: 1, P.AFTER_STATUS: 1}
EVICTION = {P.BEFORE_EVICTION: 2, P.AFTER_EVICTION: 2}
ROLLOUT = {P.BEFORE_EVICTION: 1, P.BEFORE_ROLLOUT: 1, P.AFTER_ROLLOUT: 1}
SCALE = {P.BEFORE_SCALE: 1, P.AFTER_SCALE: 1}
VARIABLES = {P.BEFORE_POD_ENVIRONMENT: 1, P.AFTER_POD_ENVIRONMENT: 1}
NEW_VARIABLES = {P.BEFORE_POD_ENVIRONMENT: 2, P.AFTER_POD_ENVIRONMENT: 2}  # created empty, then filled
VARIABLES_GO = {P.BEFORE_VARIABLES_GO: 1, P.AFTER_VARIABLES_GO: 1}
RESIZE = {P.BEFORE_RESIZE: 2, P.AFTER_RESIZE: 2}  # pod after pod
FINALIZER = {P.BEFORE_FINALIZER: 1, P.AFTER_FINALIZER: 1}
RELEASE = {P.BEFORE_RELEASE: 1, P.AFTER_RELEASE: 1}
FENCE = {P.BEFORE_FENCE: 4, P.AFTER_FENCE: 4}  # the ledger, our ConfigMap, theirs, the HPA; or it, ours, and two pods
GIVE_BACK = {P.BEFORE_GIVE_BACK: 1, P.AFTER_GIVE_BACK: 1}
TWICE = dict.fromkeys((*DOCUMENT, *READ_BACK), 2)  # in the canary, and in all pods
PLACES = DOCUMENT | CONFIG_MAP | AUTOSCALER | READ_BACK
OWN = DOCUMENT | STATUS

SCENARIOS = {
    "adopt": Scenario(_mixed, _nothing, CLAIM | FINALIZER | LEDGER | DOCUMENT | AUTOSCALER | READ_BACK | STATUS),
    "apply": Scenario(_mixed, _try("workers=3,cache=3,max_replicas=4"), EACH_LEDGER | CLAIM | PLACES | STATUS),
    "rollback": Scenario(
        _mixed, _try("workers=4,cache=3,max_replicas=4", way_back=True), EACH_LEDGER | CLAIM | PLACES, STATUS
    ),
    "restart": Scenario(_env, _try("threads=3"), READ_BACK | EVICTION, OWN | LEDGER),
    "restart-back": Scenario(_env, _try("threads=4", way_back=True), EVICTION, OWN | LEDGER | READ_BACK),
    "rollout": Scenario(_guarded_env, _try("threads=3"), ROLLOUT, OWN | LEDGER | READ_BACK),
    "rollout-back": Scenario(_guarded_env, _try("threads=4", way_back=True), ROLLOUT, OWN | LEDGER | READ_BACK),
    "scale": Scenario(_scaled, _try("replicas=2"), SCALE, OWN | LEDGER | READ_BACK),
    "scale-back": Scenario(_scaled, _try("workers=4,replicas=2", way_back=True), SCALE, OWN | LEDGER | READ_BACK),
    "resize": Scenario(_sized, _try("workers=3,cpu_request=750m"), RESIZE, OWN | LEDGER | READ_BACK),
    "resize-back": Scenario(
        _sized, _try("workers=4,cpu_request=750m", way_back=True), RESIZE, OWN | LEDGER | READ_BACK
    ),
    "canary": Scenario(_many, _try("workers=3"), EACH_LEDGER | TWICE, STATUS),
    "canary-back": Scenario(_many, _try("workers=4", way_back=True), DOCUMENT | READ_BACK, LEDGER | STATUS),
    "takeover": Scenario(
        _mixed, _takeover("workers=3,cache=3,max_replicas=4"), FENCE, LEDGER | READ_BACK | STATUS | CLAIM
    ),
    "takeover-resize": Scenario(_sized, _takeover("workers=3,cpu_request=750m"), FENCE, LEDGER | READ_BACK | STATUS),
    "admit": Scenario(_admitted, _try("lanes=3"), NEW_VARIABLES | EVICTION, OWN | LEDGER | READ_BACK),
    "admit-back": Scenario(_admitted, _try("lanes=4", way_back=True), VARIABLES | EVICTION, OWN | LEDGER | READ_BACK),
    "admit-takeover": Scenario(_admitted, _takeover("lanes=3"), FENCE, STATUS | LEDGER | READ_BACK | EVICTION),
    "admit-canary": Scenario(
        _many_admitted,
        _try("lanes=3"),
        # Created, opened, closed and widened; one pod is replaced, then the other four.
        dict.fromkeys((P.BEFORE_POD_ENVIRONMENT, P.AFTER_POD_ENVIRONMENT), 4) | EVICTION | EACH_LEDGER,
        DOCUMENT | STATUS | READ_BACK,
    ),
    "admit-canary-back": Scenario(
        _many_admitted, _try("lanes=4"), dict.fromkeys(NEW_VARIABLES, 3) | EVICTION, OWN | LEDGER | READ_BACK
    ),
    "admit-restore": Scenario(
        _admitted, _delete_admitted, VARIABLES_GO, VARIABLES | OWN | LEDGER | READ_BACK | EVICTION | RELEASE
    ),
    # The slot of the trial before falls once what ended it is recorded: at this first wake.
    "restore": Scenario(_mixed, _delete, CLAIM | LEDGER | PLACES | GIVE_BACK | RELEASE, STATUS),
}
CASES = [
    (name, point, count)
    for name, scenario in SCENARIOS.items()
    for point, most in scenario.kills.items()
    for count in range(1, most + 1)
]


@pytest_asyncio.fixture
async def case(
    cluster: Cluster, client: Connect, namespace: str, control_plane: ControlPlane
) -> AsyncIterator[Killing]:
    outside = await client("kubelet")
    await outside.apply(documents.CLASS, force=True)
    clock = FakeClock(auto=False)
    made = Killing(World(cluster, outside, clock, namespace=namespace), control_plane)
    yield made
    for operator in made.operators:
        operator.close()


def test_every_point_has_its_case() -> None:
    assert {point for _, point, _ in CASES} == set(Point)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_run_that_nobody_kills_reaches_exactly_the_points_of_its_cases(case: Killing, name: str) -> None:
    """A point that is announced but not in the table has no case; one that is never reached has a void one."""
    scenario = SCENARIOS[name]
    case.start()
    await scenario.build(case)
    await scenario.before(case)
    case.operator.reached.clear()
    await _settle(case)
    reached = case.operator.reached
    points = scenario.besides | scenario.kills
    assert set(reached) == set(points), sorted(set(reached) ^ set(points))
    short = {p: (reached.count(p), most) for p, most in points.items() if reached.count(p) < most}
    assert not short, short
    await _sound(case, name)


@pytest.mark.parametrize(("name", "point", "count"), CASES, ids=[f"{n}-{p.value}-{c}" for n, p, c in CASES])
async def test_killed_there_the_next_start_ends_at_a_good_setting(
    case: Killing, name: str, point: Point, count: int
) -> None:
    scenario = SCENARIOS[name]
    case.start()
    await scenario.build(case)
    await scenario.before(case)
    case.operator.kill_at = f"{point.value}:{count}"
    with pytest.raises(Ended):
        await _settle(case)
    case.start()
    await case.world.clock.advance(3.0)
    await _settle(case)
    await _sound(case, name)


async def _settle(case: Killing) -> None:
    """Turns until nothing is under way any more, and has not been for a few wakes."""
    quiet = 0
    for _ in range(WAKES):
        await case.turn()
        profile = await case.world.find(Ref(PROFILE, case.world.namespace, "checkout"))
        if profile is None:
            return
        ledger = await case.world.ledger()
        resting = ledger is not None and ledger.intent is None and ledger.incumbent is not None
        deleting = profile["metadata"].get("deletionTimestamp")
        quiet = quiet + 1 if resting and not deleting else 0
        if quiet == 2:
            return
    raise AssertionError(f"nothing settled within {WAKES} wakes: {await case.world.why()}")


async def _sound(case: Killing, name: str) -> None:
    """What must hold wherever the operator was killed."""
    world = case.world
    assert case.generations == sorted(case.generations), case.generations
    if name == "admit-restore":
        assert not await world.exists()
        assert await _lanes(world) == [None, None]
        assert await world.find(Ref(POD_ENVIRONMENT, world.namespace, "checkout")) is None
        return
    if name == "restore":
        assert not await world.exists()
        assert await world.values() == {"workers": "2"}
        assert await world.theirs() == documents.APP
        assert await world.bounds("checkout-pegbox") == (2, 3)
        assert await world.claims() == {}
        return
    ledger = await world.ledger()
    assert ledger is not None and ledger.incumbent is not None and ledger.intent is None
    good = {trial.setting for trial in ledger.trials if trial.state.value == "Accepted"} | {ledger.adopted}
    assert ledger.incumbent in good, (ledger.incumbent, good)
    if name.endswith("back"):
        assert ledger.incumbent == ledger.adopted
    assert (await world.document()).cohorts == {}
    texts = {knob: str(value) for knob, value in ledger.incumbent.items()}
    assert await world.values() == {"workers": texts["workers"]}
    if "cache" in texts:
        assert await world.theirs() == documents.APP.replace("size: 2 ", f"size: {texts['cache']} ")
        assert await world.bounds("checkout-pegbox") == (2, int(texts["max_replicas"]))
        assert {slot for _, slot in (await world.claims()).values()} == {"None"}
    if "threads" in texts:
        assert (await world.own())["data"]["THREADS"] == texts["threads"]
    if "lanes" in texts:
        original = ledger.adopted is not None and ledger.incumbent["lanes"] == ledger.adopted["lanes"]
        assert set(await _lanes(world)) == {None if original else texts["lanes"]}
    if "replicas" in texts:
        body: Object = await world.outside.get(Ref(DEPLOYMENT, world.namespace, "checkout"))
        assert str(body["spec"]["replicas"]) == texts["replicas"]
    if "cpu_request" in texts:
        pods = await world.apps["checkout"].pods.pods()
        asked = {pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] for pod in pods}
        assert asked == {f"{round(ledger.incumbent.number('cpu_request') * 1000)}m"}
    counts = [value for name, value in ledger.incumbent.items() if name != "cpu_request"]
    assert all(1 <= value <= 64 for value in counts if not isinstance(value, str))
    assert IntentKind.ROLLBACK not in {ledger.intent and ledger.intent.kind}


async def _lanes(world: World) -> list[str | None]:
    """The variable of each pod."""
    pods = await world.apps["checkout"].pods.pods()
    return [environment.stated(pod, "app").get("LANES") for pod in pods]
