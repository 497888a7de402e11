"""`pegbox_pod_setting`: which pod runs which setting of which profile, for the server-side join.

Labels are target_namespace and target_pod: a scrape would rename `namespace` and `pod`. Deleted pods are kept
for the longest window that is read, or the failures of pods that a trial killed would vanish with them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

MAX_PODS = 20_000
"""Series exported at most; beyond it, deleted pods go first, then new pods are not taken in."""
KEEP = timedelta(hours=1)
LABELS = ("target_namespace", "target_pod", "class", "profile", "cohort", "setting")


@dataclass(frozen=True, slots=True)
class PodSetting:
    """What one pod runs. `setting` is the short generation of the document that it acknowledged."""

    cohort: str
    setting: str


@dataclass(frozen=True, slots=True)
class _Entry:
    namespace: str
    profile: str  # namespace/name
    shown: PodSetting
    seen: datetime
    alive: bool = True


class PodSettings(Collector):
    """One series per (class, pod): a second one would make the join many-to-many for the whole class."""

    def __init__(self, limit: int = MAX_PODS, keep: timedelta = KEEP) -> None:
        """`keep`: the longest window that is read; deleted pods are shown for so long after their last time."""
        self._lock = threading.Lock()
        self._limit, self._keep = limit, keep
        self._entries: dict[tuple[str, str, str], _Entry] = {}
        self._dropped = 0

    def show(self, profile: str, class_name: str, pods: Mapping[str, PodSetting], now: datetime) -> None:
        """These are the profile's pods now. Pods that it had before stay as they were, as deleted ones.

        A pod that another profile of the class showed before is this one's from now on.
        """
        namespace = profile.partition("/")[0]
        with self._lock:
            self._forget_before(now - self._keep)
            for key, entry in self._entries.items():
                if entry.profile == profile and entry.alive and (key[0] != class_name or key[2] not in pods):
                    self._entries[key] = replace(entry, alive=False)
            for pod, shown in pods.items():
                key = (class_name, namespace, pod)
                if key not in self._entries and not self._room():
                    self._dropped += 1
                    continue
                self._entries[key] = _Entry(namespace, profile, shown, now)

    def forget(self, profile: str) -> None:
        """The profile is gone: nobody reads its rows any more."""
        with self._lock:
            self._entries = {k: e for k, e in self._entries.items() if e.profile != profile}

    def clear(self) -> None:
        """Leadership is lost: the next leader shows the pods."""
        with self._lock:
            self._entries = {}

    def _forget_before(self, oldest: datetime) -> None:
        if any(not entry.alive and entry.seen < oldest for entry in self._entries.values()):
            self._entries = {k: e for k, e in self._entries.items() if e.alive or e.seen >= oldest}

    def _room(self) -> bool:
        if len(self._entries) < self._limit:
            return True
        gone = min(
            (key for key, entry in self._entries.items() if not entry.alive),
            key=lambda key: self._entries[key].seen,
            default=None,
        )
        if gone is None:
            return False
        del self._entries[gone]
        return True

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            entries, dropped = dict(self._entries), self._dropped
        family = GaugeMetricFamily("pegbox_pod_setting", "1 for the setting that a pod runs.", labels=LABELS)
        for (class_name, namespace, pod), entry in entries.items():
            family.add_metric([namespace, pod, class_name, entry.profile, entry.shown.cohort, entry.shown.setting], 1.0)
        yield family
        yield CounterMetricFamily(
            "pegbox_pod_settings_dropped", "Pods not shown because there were too many.", value=dropped
        )
