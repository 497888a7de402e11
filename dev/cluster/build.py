"""Build the programs that are not in the cache, saying how far it is.

One `go build` at a time, since Go itself uses every core. A binary is built beside its place and renamed,
so an interrupted build leaves nothing half done; Go keeps every finished package, so the next run goes on
from there. A lock serves several commands at once: the second waits, then finds everything built.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dev.cluster import toolchain
from dev.cluster.errors import ClusterError
from dev.cluster.paths import cache_root
from dev.cluster.tools import Tool, unbuilt

Say = Callable[[str], None]
_REPORT_SECONDS = 15.0
#: How much the known times weigh against this machine's own, so that one cached program proves little.
_PRIOR_SECONDS = 60.0


def say(line: str) -> None:
    """Progress goes to the error stream: what a command answers goes to its output alone."""
    print(line, file=sys.stderr, flush=True)


def ensure(tools: Sequence[Tool], report: Say = say) -> None:
    """Build whatever of `tools` is not in the cache."""
    if not unbuilt(tools):
        return
    with _lock(report):
        waiting = unbuilt(tools)
        if not waiting:
            return
        go = toolchain.find(report)
        progress = Progress(waiting, report)
        progress.begin()
        for each in waiting:
            build(each, go, progress)
        progress.end()


class Progress:
    """What is being built, how long it took and how long is left.

    The estimate is the known cold times of what is left, scaled by how this machine did so far.
    """

    def __init__(self, tools: Sequence[Tool], report: Say) -> None:
        self.tools = list(tools)
        self.report = report
        self.began = time.monotonic()
        self.done: list[Tool] = []

    def begin(self) -> None:
        names = ", ".join(each.name for each in self.tools)
        self.report(f"building {len(self.tools)} programs into {cache_root() / 'bin'}: {names}")
        self.report(
            f"on a fresh machine with 2 cores about {_clock(sum(each.cold for each in self.tools))}; "
            "later runs find them built"
        )

    def step(self, tool: Tool, seconds: float) -> None:
        """Report the tool in the making, `seconds` after its build began."""
        elapsed = time.monotonic() - self.began
        self.report(
            f"  [{len(self.done) + 1}/{len(self.tools)}] {tool.name} {tool.version}: "
            f"{_clock(elapsed)} elapsed, about {_clock(self.left(tool, elapsed, seconds))} left, "
            f"{free_gib(cache_root()):.0f} GiB of disk free, cache {cache_root()}"
        )

    def left(self, tool: Tool, elapsed: float, seconds: float) -> float:
        """Seconds that are probably left."""
        finished = sum(each.cold for each in self.done)
        pace = (elapsed - seconds + _PRIOR_SECONDS) / (finished + _PRIOR_SECONDS)
        after = sum(each.cold for each in self.tools) - finished - tool.cold
        return max(0.0, tool.cold * pace - seconds) + after * pace

    def finish(self, tool: Tool) -> None:
        self.done.append(tool)

    def end(self) -> None:
        self.report(f"built {len(self.done)} programs in {_clock(time.monotonic() - self.began)}")


def build(tool: Tool, go: Path, progress: Progress) -> None:
    """Build one tool; the binary appears under its name only when it is whole."""
    began = time.monotonic()
    progress.step(tool, 0.0)
    tool.path.parent.mkdir(parents=True, exist_ok=True)
    temporary = tool.path.with_name(f".{tool.name}.{os.getpid()}")
    log = tool.path.with_name("build.log")
    command = [str(go), "build", "-trimpath", "-ldflags", tool.ldflags]
    command += ["-tags", tool.tags] if tool.tags else []
    command += ["-o", str(temporary), tool.package]
    with log.open("wb") as output:
        running = subprocess.Popen(command, cwd=tool.directory, env=environment(tool), stdout=output, stderr=output)
        try:
            while _still_running(running):
                progress.step(tool, time.monotonic() - began)
        except BaseException:
            running.terminate()
            running.wait()
            temporary.unlink(missing_ok=True)
            progress.report("interrupted; what Go has compiled is kept: run the same command again to go on")
            raise
    if running.returncode != 0:
        raise ClusterError(
            f"{tool.name} does not build; {log} ends with\n" + "\n".join(log.read_text().splitlines()[-15:])
        )
    temporary.rename(tool.path)
    progress.finish(tool)


def environment(tool: Tool) -> dict[str, str]:
    """The environment of a build: no toolchain is fetched behind our back, no VCS is asked."""
    own = {
        "CGO_ENABLED": "1" if tool.cgo else "0",
        "GOFLAGS": "-buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    return {**os.environ, **own}


def free_gib(path: Path) -> float:
    """Free disk below the nearest existing parent of `path`, in GiB."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free / 2**30


def _still_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_REPORT_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


@contextmanager
def _lock(report: Say) -> Iterator[None]:
    directory = cache_root() / "bin"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another command is building; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}m{int(seconds) % 60:02d}s"
