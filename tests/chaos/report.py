"""`python -m tests.chaos.report LOG...`: the table of docs/reliability.md, with the counts of these runs' summaries."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

from tests.chaos import users as users  # its faults are in the table
from tests.chaos.faults import TABLE

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- schedules: begin -->", "<!-- schedules: end -->"
ROW = re.compile(r"^(?P<name>.{50}) +(?P<runs>\d+) +(?P<lost>\d+) +(?P<seen>\d+)  ")
TOTAL = re.compile(r"^(\d+) schedules, seeds (\d+) to (\d+), lost: (\d+), at most (\d+) wakes to recover")

RETRIED = "Tried again after 1, 2, 4 ... 60 s; the ledger says where it stood."
FAILED, REFUSED = "Degraded, WriteFailed", "Degraded, WriteRefused"
FOUND = "The next wake finds what stands, and writes what is missing."
HOLDS = "No trial starts; one under way is judged by each SLO's `onNoData`, and ends at `trialTimeout`."
GOES_ON = "The next process reads the ledger, fences what the intent names, and goes on."
THEIRS = "His value stays and ends the trial; only our other values go back."
ADOPTED = "Told; incumbent from what stands, originals from our ConfigMap, numbers above the document's."
WHAT: dict[str, tuple[str, str]] = {
    "write fails: 409": ("Read again, decided again.", "pegbox_reconcile_errors"),
    "write fails: 422": (RETRIED + " A trial that never lands ends after `ackTimeout`.", REFUSED),
    "write fails: 429": (RETRIED + " An eviction that a budget forbids: see the PDB's row.", FAILED),
    "write fails: webhook (403)": (RETRIED + " A trial that never lands ends after `ackTimeout`.", REFUSED),
    "write fails: quota (403)": (RETRIED + " A trial that never lands ends after `ackTimeout`.", REFUSED),
    "write fails: LimitRange (403)": (RETRIED + " A trial that never lands ends after `ackTimeout`.", REFUSED),
    "write fails: too large (413)": (RETRIED + " A trial that never lands ends after `ackTimeout`.", REFUSED),
    "write fails: 500": (RETRIED, FAILED),
    "write fails: timeout": (RETRIED, FAILED),
    "write fails: connection reset": (RETRIED, FAILED),
    "write takes effect, answer lost: timeout": (FOUND, FAILED),
    "write takes effect, answer lost: connection reset": (FOUND, FAILED),
    "write role revoked (403)": ("Nothing is lost; the way back is finished when the role is back.", REFUSED),
    "write role granted again": ("What was pending is written.", "Progressing"),
    "conflict storm": ("Each write is a conflict: read again, decided again.", "pegbox_reconcile_errors"),
    "API server gone for minutes": (
        "Nothing can be written or read, a status neither; afterwards it goes on from the ledger.",
        "pegbox_reconcile_errors",
    ),
    "operator killed": (GOES_ON, "Progressing"),
    "operator restarted": (GOES_ON + " Evidence windows are measured again.", "Progressing, Settling"),
    "stale leader resumes after takeover": (
        "Its late write names a version that the fence moved: a conflict.",
        "pegbox_reconcile_errors",
    ),
    "clock jumps": ("Times ahead of the clock count as now; restarts are told by containers.", "Progressing"),
    "class names an unknown source in mid-trial": (HOLDS + " Verbs, stops and deletions go on.", "MetricsUnreachable"),
    "class names its source again": ("Windows are measured afresh.", "DataAvailable"),
    "allowWrites switched off": ("Nothing begins; what is under way waits for its write.", "WritesNotAllowed"),
    "allowWrites switched on": ("What was pending is written.", "Progressing"),
    "stopped and restored, class or profile unusable": (
        "Goes back by what was read before or what the ledger records; what nobody knows is said.",
        "ClassNotFound, InvalidSpec, Restored, RestorePending",
    ),
    "paused, then the ledger is lost": ("The status tells until when: the pause lasts.", "LedgerLost, Paused"),
    "Prometheus: down": (HOLDS, "MetricsAvailable, MetricsUnreachable"),
    "Prometheus: nan": (HOLDS, "MetricsAvailable, NotANumber"),
    "Prometheus: raw nan": ("Taken for missing, though the port promises that it cannot come.", "NotANumber"),
    "Prometheus: infinite": ("Taken for missing, though the port promises that it cannot come.", "NotANumber"),
    "Prometheus: partial": (HOLDS + " Acknowledgements are unknown, so no stage follows.", "PartialData"),
    "Prometheus: empty": (HOLDS + " Acknowledgements are unknown, so no stage follows.", "NoData"),
    "Prometheus: stale": ("Such a window ends before the setting was in force, and is not judged.", "StaleData"),
    "Prometheus: old pods": ("Rows of another generation are not the setting's.", "NoData"),
    "Prometheus: no join": (HOLDS, "NoData"),
    "Prometheus: half the pods": (HOLDS, "PartialData"),
    "Prometheus: scrape gaps": (HOLDS, "PartialData"),
    "Prometheus: counter resets": ("What is judged beside the parent looks worse, and goes back.", "TrialReverted"),
    "Prometheus: every series twice": ("Load and throughput double together: no gain is read from it.", "LoadChanged"),
    "Prometheus: one signal": ("An SLO that alone is silent: its `onNoData` decides.", "NoData"),
    "no data of a trial in force": (
        "Hold waits, until `trialTimeout`; Revert goes back; Ignore judges without it.",
        "MetricsAvailable",
    ),
    "Prometheus well again": ("Windows are measured afresh.", "DataAvailable"),
    "killed for memory by a step": ("The trial is put back at once, and counts for the breaker.", "OOMKilled"),
    "crash loop for its own reasons": ("No trial starts; one under way is put back.", "Degraded, CrashLoop"),
    "application stalls under a trial's setting": (
        "After two looks the trial goes back; nothing is accepted that does not serve what arrives.",
        "TrialReverted, Regression",
    ),
    "rollout stuck": ("The trial ends as Deployed and is put back.", "Degraded, RolloutInProgress"),
    "deploy": ("The trial ends as Deployed; what raises a budget waits for the surge to go.", "Deployed"),
    "scaled to zero and back": ("Nothing is tried; his number of replicas stays.", "ScaledToZero"),
    "deleted and recreated": ("Adopted afresh; what a trial wrote elsewhere goes back.", "TargetReplaced"),
    "pods never acknowledge": (
        "A trial ends after `ackTimeout`; a rollback goes on beside them where that fits.",
        "NotAcknowledged",
    ),
    "pods read late, one after the other": ("Each stage waits until every pod acknowledged it.", "WaitingForPods"),
    "eviction forbidden by a PDB": (
        "A trial waits, and begins one rollout per stage when its time is nearly over; a canary waits to its end; a way "
        "back begins the rollout at once.",
        "Progressing",
    ),
    "a node has no room to resize": ("The trial is put back; pods that wait are told.", "ResizeNotPossible"),
    "HPA falls to its least, and rises again": (
        "Windows with scaling teach nothing; budgets count its maximum throughout.",
        "Progressing",
    ),
    "namespace terminating": ("Nothing is made anew, and the finalizer goes.", "Kubernetes' own events"),
    "user edits our ConfigMap": (THEIRS, "ForeignChange"),
    "user edits the HPA": (THEIRS, "ForeignChange"),
    "user edits his ConfigMap": (THEIRS, "ForeignChange"),
    "user scales the target": (THEIRS, "ForeignChange"),
    "user edits the requests of the template": (
        "His value stays and ends the trial; new pods have it.",
        "ForeignChange",
    ),
    "self-heal puts values back": (
        "The trial ends and does not write it again; the knob is left to him for a time, twice as long after each.",
        "ForeignChange",
    ),
    "helm upgrade without force": ("Helm names the conflict; nothing changes.", "Helm's own output"),
    "helm upgrade with force": (THEIRS, "ForeignChange"),
    "profile edited": ("Read at the next wake.", "Progressing"),
    "knob turned to Recommend, or back": (
        "A trial of it ends, and its value goes back; one that was accepted stays, and a restore puts it back.",
        "Progressing",
    ),
    "profile suspended (mode Recommend)": (
        "Nothing more is written; what nobody judged goes back once the mode is Auto again.",
        "ModeRecommend",
    ),
    "profile resumed (mode Auto)": ("Goes on from what stands.", "Progressing"),
    "profile deleted": ("The values of the adoption come back, then the finalizer goes.", "Restored"),
    "class changed": (
        "New limits hold from the next wake on; a trial beyond them goes back, and so does one whose profile they refuse.",
        "ProfileChanged; Accepted",
    ),
    "limits narrowed in mid-trial": (
        "A trial beyond them goes back; what stands beyond them is walked back into them.",
        "ProfileChanged, LimitsNarrowed",
    ),
    "a freeze begins in mid-trial": ("What is in force is judged; what would still be written goes back.", "Frozen"),
    "a freeze ends": ("Trials may start again.", "Progressing"),
    "workload opts out in mid-trial": ("The trial goes back; nothing more is written.", "OptedOut"),
    "workload opts in again": ("Goes on from what stands.", "Progressing"),
    "everything is stopped": ("Trials go back; none starts.", "Stopped"),
    "everything is stopped and restored": ("The values of the adoption come back.", "Stopped"),
    "the stop ends": ("Adopted anew where all was restored; trials may start.", "Progressing"),
    "class deleted": ("Nothing is written until it is back.", "Accepted, ClassNotFound"),
    "ledger deleted": (ADOPTED + " A process that remembers finishes its intent first.", "LedgerLost"),
    "ledger corrupted": (ADOPTED, "LedgerLost"),
    "ledger replaced by an older version": ("What our document holds beyond it is known for ours.", "Progressing"),
    "budget traded, pods read late": (
        "What is lowered is in force everywhere before anything is raised.",
        "WaitingForPods",
    ),
    "verb try": ("A trial like any other; refused with its reason where a guard objects.", "RequestRefused"),
    "proposal of the model": ("A trial; accepted, or put back.", "TrialStarted, TrialAccepted"),
    "verb rollback": ("To the newest other last-known-good.", "RolledBack"),
    "verb reset": ("The breaker closes; what was learned is forgotten.", "Requested"),
    "verb pause": ("No new trial; one under way is finished.", "Paused"),
    "verb resume": ("Trials may start again.", "Requested"),
}


def rows(runs: Counter[str], lost: Counter[str], seen: Counter[str]) -> list[str]:
    out = ["| | fault | what happens | seen as | schedules | lost | so seen |", "|---|---|---|---|---:|---:|---:|"]
    for name, fault in TABLE.items():
        happens, column = WHAT[name]
        figures = f"{runs[name]:,} | {lost[name]} | {seen[name]:,} of {runs[name]:,}"
        out.append(f"| {fault.group} | {name} | {happens} | {column} | {figures} |")
    return out


def report(logs: list[str]) -> str:
    runs, lost, seen, totals = Counter[str](), Counter[str](), Counter[str](), []
    for line in "\n".join(logs).splitlines():
        row, total = ROW.match(line), TOTAL.match(line)
        if row and row["name"].strip() in TABLE:
            runs[row["name"].strip()] += int(row["runs"])
            lost[row["name"].strip()] += int(row["lost"])
            seen[row["name"].strip()] += int(row["seen"])
        elif total:
            totals.append([int(n) for n in total.groups()])
    seeds = ", ".join(f"{first} to {last}" for _, first, last, _, _ in totals)
    count, bad, most = sum(t[0] for t in totals), sum(t[3] for t in totals), max(t[4] for t in totals)
    rest = "All others" if bad else "All"
    head = f"{count:,} schedules, seeds {seeds}; lost: {bad}. {rest} were in one piece within {most} wakes after the last fault."
    return "\n".join([head, "", *rows(runs, lost, seen)])


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    text = report([Path(name).read_text(encoding="utf-8") for name in sys.argv[1:]])
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
