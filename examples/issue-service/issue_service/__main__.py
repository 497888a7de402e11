"""`python -m issue_service worker | upstream | generator | migrate`: four roles from one image."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from issue_service import workload as numbers
from issue_service.calibrate import calibrate
from issue_service.workload import Workload
from pegbox.live import SettingsSource

EXIT_TOO_SLOW = 3


async def _until_ended() -> None:
    ended = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, ended.set)
    await ended.wait()


async def _serve(app: web.Application, host: str, port: int) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


async def run_worker(workload: Workload) -> int:
    from issue_service.worker import Places, Worker

    worker = Worker(workload, Places.from_environment(), SettingsSource.from_environment())
    await worker.start()
    await _until_ended()
    await worker.stop()
    return 0


async def run_upstream(workload: Workload) -> int:
    from issue_service.upstream import UpstreamServer

    host, port = os.environ.get("LISTEN_HOST", "0.0.0.0"), int(os.environ.get("UPSTREAM_PORT", "8081"))
    runner = await _serve(UpstreamServer(workload).application(), host, port)
    await _until_ended()
    await runner.cleanup()
    return 0


async def run_migrate(workload: Workload) -> int:
    from sqlalchemy.ext.asyncio import create_async_engine

    from issue_service.store import migrate

    engine = create_async_engine(os.environ["DATABASE_URL"])
    await migrate(engine)
    await engine.dispose()
    return 0


async def run_calibration() -> int:
    found = await calibrate()
    print(json.dumps({"calibration": found.as_dict()}), flush=True)
    return 0 if found.fast_enough else EXIT_TOO_SLOW


async def run_generator(workload: Workload, options: argparse.Namespace) -> int:
    from issue_service.generator import Generator, Plan, print_summary

    plan = Plan(
        url=os.environ["INGRESS_URL"].rstrip("/") + "/issues",
        database_url=os.environ["DATABASE_URL"],
        duration=options.duration,
        interval=options.interval,
        rate=options.rate or workload.arrivals.rate,
    )
    generator = Generator(workload, plan)
    host, port = os.environ.get("LISTEN_HOST", "0.0.0.0"), int(os.environ.get("STATS_PORT", "8082"))
    runner = await _serve(generator.application(), host, port)
    work = asyncio.ensure_future(generator.generate())
    ended = asyncio.ensure_future(_until_ended())
    await asyncio.wait({work, ended}, return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        print_summary(work.result())
    work.cancel()
    ended.cancel()
    await asyncio.gather(work, ended, return_exceptions=True)
    await runner.cleanup()
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="issue_service", description=__doc__)
    parser.add_argument("role", choices=("worker", "upstream", "generator", "migrate"))
    default = Path(os.environ.get("WORKLOAD", "/etc/issue-service/workload.toml"))
    parser.add_argument("--workload", type=Path, default=default, help="the file with the workload's numbers")
    parser.add_argument("--duration", type=float, default=0.0, help="seconds of load; 0: until ended")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds per line of the report")
    parser.add_argument("--rate", type=float, default=0.0, help="issues a second in place of the file's")
    parser.add_argument("--calibrate", action="store_true", help="only measure the machine; exit 3: too slow")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    options = parse(arguments)
    if options.calibrate:
        return asyncio.run(run_calibration())
    workload = numbers.read(options.workload)
    if options.role == "worker":
        return asyncio.run(run_worker(workload))
    if options.role == "upstream":
        return asyncio.run(run_upstream(workload))
    if options.role == "migrate":
        return asyncio.run(run_migrate(workload))
    return asyncio.run(run_generator(workload, options))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
