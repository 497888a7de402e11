"""One world: a namespace with a tiny application and its profile, and what can be asked of them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

import yaml

from dev.cluster.paths import REPOSITORY
from dev.demo import cluster as demo
from pegbox.model.reasons import SENTENCES, Reason
from tests.e2e.api import Api, Object, samples, wait_for

WORKLOAD = Path(__file__).parent / "workload"
WINDOW = 12  # seconds: six scrapes of 2 s, of which a window needs four
INTERVAL = 4  # seconds
ASKED = 8  # times at the most
SILENCE = (Reason.METRICS_UNREACHABLE, Reason.NO_DATA, Reason.PARTIAL_DATA, Reason.STALE_DATA)
PASSING = (Reason.LAST_KNOWN_GOOD_FAILING, Reason.WAITING_FOR_PODS, *SILENCE)  # refusals that end by themselves
PATIENCE = 120.0  # seconds that a busy machine with two cores may take for one step of the loop


@dataclass(frozen=True)
class Application:
    """The load is open: `arrivals` a second, each holding a worker for `service` seconds."""

    name: str = "app"
    replicas: int | None = 1  # None: an HPA owns them
    workers: int = 4
    arrivals: float = 16.0
    service: float = 0.1
    queue: int = 20
    pause: str = "1ms"
    hoard: int = 1
    acknowledge_after: float = 0.0
    cpu: str = "10m"
    cores: float = 0.0  # in the limit of a container, or its tasks take longer
    kind: str = "Deployment"
    container: Object = field(default_factory=dict)  # fields in place of those in the manifest

    def manifest(self, namespace: str) -> Object:
        lines = "" if self.replicas is None else f"  replicas: {self.replicas}"
        text = (WORKLOAD / "deployment.yaml").read_text()
        body = dict(yaml.safe_load(Template(text).substitute(vars(self), replicas=lines, namespace=namespace)))
        body["spec"]["template"]["spec"]["containers"][0] |= self.container
        return body


def command(*words: str) -> str:
    """`pegbox WORDS`, as a person would run it beside the cluster; its words."""
    said: str = demo.cluster("exec", "--", str(REPOSITORY / ".venv/bin/pegbox"), *words)
    return said


@dataclass
class World:
    """`patch` is merged into the profile's spec. Frozen: nothing is tried but what a test asks for."""

    api: Api
    name: str
    application: Application = field(default_factory=Application)
    patch: Object = field(default_factory=dict)
    namespace: str = ""
    frozen: bool = True
    failures: int = 20  # that open the breaker: a machine that stalls makes trials fail
    figures: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.namespace = self.namespace or f"e2e-{self.name}"

    # --- objects

    def manifests(self) -> list[Object]:
        """Everything but the profile; the application's program is a ConfigMap."""
        program = {"application.py": (WORKLOAD / "application.py").read_text()}
        config = {"metadata": {"name": "application", "namespace": self.namespace}, "data": program}
        return [
            {"apiVersion": "v1", "kind": "ConfigMap", **config},
            self.application.manifest(self.namespace),
        ]

    def profile(self) -> Object:
        spec: Object = {
            "targetRef": {"kind": self.application.kind, "name": self.application.name},
            "classRef": {"name": "e2e-app"},
            "preset": "Custom",
            "mode": "Auto",
            "objective": "MinimizeCost",
            "interval": f"{INTERVAL}s",
            "slos": [
                {
                    "name": "fast",
                    "signal": "task_duration",
                    "threshold": "500ms",
                    "goal": "90%",
                    "window": f"{WINDOW}s",
                    "minimumEvents": 20,
                }
            ],
            "knobs": [{"name": "worker_count", "min": 1, "max": 12}],
            "guards": {
                "settle": "2s",
                "cooldown": "0s",
                "trialWindow": f"{WINDOW}s",
                # A few slow tasks of a busy machine are no harm: that takes two bad samples.
                "errorBudgetShare": "100%",
                "ackTimeout": "90s",
                "trialTimeout": "3m",
                "failuresToOpen": self.failures,
                "breakerBase": "30m",
            },
        }
        if self.frozen:
            spec["freezes"] = [{"name": "always", "schedule": "0 0 * * *", "duration": "24h"}]
        spec |= self.patch
        name = self.application.name
        meta = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "pegbox.dev/v1alpha1", "kind": "PerformanceProfile", "metadata": meta, "spec": spec}

    def apply_profile(self) -> None:
        demo.apply(json.dumps(self.profile()))

    # --- what stands there

    def get(self, kind: str, name: str = "") -> Object:
        return self.api.get(kind, self.namespace, name or self.application.name)

    def target(self) -> Object:
        return self.get(self.application.kind.lower())

    def ready(self) -> bool:
        body = self.target()
        return bool(body["status"].get("readyReplicas", 0) == body["spec"]["replicas"])

    def status(self) -> Object:
        return dict(self.get("profile").get("status") or {})

    def why(self) -> str:
        return str(self.status().get("why", ""))

    def condition(self, kind: str) -> Object:
        return next((c for c in self.status().get("conditions", []) if c["type"] == kind), {})

    def setting(self) -> dict[str, str]:
        return {v["name"]: v["value"] for v in self.status().get("setting", [])}

    def config_map(self) -> Object:
        return self.get("configmap", f"{self.application.name}-pegbox")

    def document(self) -> Object:
        return dict(json.loads(self.config_map()["data"]["settings.json"]))

    def values_text(self) -> str:
        """The bytes of `values` as they stand in the ConfigMap."""
        text = self.config_map()["data"]["settings.json"]
        start = text.index('"values"')
        return str(text[start : text.index("}", start) + 1])

    def ledger(self) -> Object:
        return dict(json.loads(self.get("ledger")["data"]["state"]))

    def intent(self) -> str:
        """The summary's word of what is under way; "" for none."""
        return str(self.get("ledger")["data"]["summary"].get("intent", ""))

    def pods(self) -> list[Object]:
        """Pods that are meant to run: those that end are not counted."""
        found = self.api.list("pod", self.namespace, labelSelector=f"app={self.application.name}")
        return sorted(
            (p for p in found if "deletionTimestamp" not in p["metadata"]), key=lambda p: str(p["metadata"]["name"])
        )

    def containers(self) -> list[tuple[str, str, int]]:
        """(pod, container id, restarts): the same again means that nothing was restarted."""
        statuses = [(p["metadata"]["name"], p["status"]["containerStatuses"][0]) for p in self.pods()]
        return [(name, s["containerID"], s["restartCount"]) for name, s in statuses]

    def acknowledged(self) -> list[tuple[int, str]]:
        """(generation, hash) by every pod's own metrics; nothing for a pod that acknowledged nothing."""
        out = []
        for pod in self.pods():
            text = self.api.metrics(self.namespace, pod["metadata"]["name"])
            out += [(int(v), labels["hash"]) for labels, v in samples(text, "pegbox_settings_generation")]
        return out

    def reported(self, knob: str) -> list[float]:
        """The knob's value in force by every pod's own metrics."""
        return [value for pod in self.pods() for value in self.of_pod(pod, knob)]

    def of_pod(self, pod: Object, knob: str) -> list[float]:
        """What one pod says; empty before it says anything."""
        text = self.api.metrics(self.namespace, pod["metadata"]["name"])
        return [v for labels, v in samples(text, "pegbox_setting_value") if labels["knob"] == knob]

    def events(self) -> list[str]:
        """reason: message, of the events on the profile."""
        found = self.api.list("event", self.namespace)
        name = self.application.name
        about = [(e, e.get("involvedObject", {})) for e in found]
        ours = [e for e, o in about if o.get("kind") == "PerformanceProfile" and o.get("name") == name]
        return [f"{e['reason']}: {e.get('message', e.get('note', ''))}" for e in ours]

    # --- waiting

    def until(self, what: str, holds: Any, seconds: float = PATIENCE, every: float = 1.0) -> float:
        """Seconds until it holds; a failure shows where the profile stood."""
        try:
            return wait_for(f"{self.namespace}: {what}", holds, seconds, every)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self._state()}") from None

    def _state(self) -> str:
        try:
            status = self.status()
            picked = {k: status.get(k) for k in ("why", "next", "setting", "trial", "lastTrial", "breaker")}
            return f"status {json.dumps(picked)}; acknowledged {self.acknowledged()}; events {self.events()[-6:]}"
        except Exception as error:
            return f"status unreadable: {error!r}"

    def adopted(self) -> None:
        """The first document is in force, and nothing is under way."""
        self.until("adoption", lambda: self.get("ledger")["data"]["summary"]["generation"] >= 1 and not self.intent())

    def in_force(self) -> bool:
        """Does every pod say that it runs the document that stands there?"""
        document = self.document()
        said = self.acknowledged()
        return len(said) == len(self.pods()) > 0 and set(said) == {(document["generation"], document["hash"])}

    def at_rest(self, seconds: float = PATIENCE) -> float:
        """No intent in the ledger, and the pods run what is written."""
        return self.until("the end of what is under way", lambda: not self.intent() and self.in_force(), seconds)

    def measured(self) -> None:
        """Two windows of the setting in force, so that a trial has something to be compared with."""
        self.until("figures", lambda: self.condition("MetricsAvailable").get("status") == "True", 2 * PATIENCE)
        time.sleep(2 * WINDOW + 2 * INTERVAL)

    def verb(self, name: str, *arguments: str) -> str:
        """`pegbox NAME`, as a person would; its words."""
        return command(name, f"{self.namespace}/{self.application.name}", *arguments)

    def try_(self, argument: str) -> str:
        """`pegbox try`, asked again while the answer is that the workload does badly at rest, or that nobody knows how it does.

        All worlds at once on two cores make a healthy setting look bad for a while, or Prometheus late.
        """
        for _ in range(ASKED):
            said = self.verb("try", argument)
            self.until("the answer", lambda said=said: self._token("try") in said.split(), every=0.3)
            if not any(f"{Reason.REQUEST_REFUSED.value}: {SENTENCES[reason]}" in self.why() for reason in PASSING):
                break
            self.until("ease", lambda: self.condition("Ready").get("status") == "True")
            time.sleep(WINDOW)
        return said

    def trial(self, argument: str, seconds: float = 2 * PATIENCE) -> Object:
        """`pegbox try`, and what the ledger says of the trial once all is done, the way back too."""
        count = len(self.ledger()["trials"])
        self.try_(argument)
        self.until("the trial's end", lambda: len(self.ledger()["trials"]) > count and not self.intent(), seconds)
        return dict(self.ledger()["trials"][count])

    def judged(self, argument: str, seconds: float = 2 * PATIENCE) -> Object:
        """The same, asked again where a stall of the machine ended the trial before it could be judged."""
        for _ in range(ASKED):
            ended = self.trial(argument, seconds)
            if ended["state"] != "Inconclusive":
                break
            self.at_rest()
            self.measured()
        return ended

    def accepted(self, argument: str, seconds: float = 2 * PATIENCE) -> None:
        ended = self.judged(argument, seconds)
        assert ended["state"] == "Accepted", f"{self.namespace}: {argument} ended {ended}; {self._state()}"

    def _token(self, verb: str) -> str:
        """Of the last request that was taken up."""
        return next((t["value"] for t in self.status().get("tokens", []) if t["name"] == verb), "none")

    def delete_profile(self) -> float:
        """Seconds until it is gone, finalizer and all."""
        self.api.delete("profile", self.namespace, self.application.name)

        def gone() -> bool:
            found = self.api.list("profile", self.namespace)
            return self.application.name not in {p["metadata"]["name"] for p in found}

        return self.until("the profile's end", gone)
