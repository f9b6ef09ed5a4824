"""Each task in fresh processes, one at a time: wall and CPU seconds, and the process's peak memory.

python -m tests.benchmarks [TASK ...] [--runs 3]
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.tasks import ROOT, TASKS

LATEST = ROOT / ".benchmarks" / "latest.json"


def measure_here(name: str) -> dict[str, list[float]]:
    """Time the task's calls in this process; the first of several is a warm-up that is not counted."""
    set_up, _, calls, _ = TASKS[name]
    work = set_up()
    measured: dict[str, list[float]] = {"wall": [], "cpu": []}
    for _ in range(calls):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        measured["wall"].append(time.perf_counter() - wall)
        measured["cpu"].append(time.process_time() - cpu)
    counted = slice(1 if calls > 1 else 0, None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": measured["wall"][counted], "cpu": measured["cpu"][counted], "megabytes": [peak]}


def measure(name: str, runs: int) -> dict[str, float]:
    """Medians over fresh processes."""
    seen: dict[str, list[float]] = {"wall": [], "cpu": [], "megabytes": []}
    for _ in range(runs):
        command = [sys.executable, "-m", "tests.benchmarks", "--here", name]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        for key, values in json.loads(done.stdout.splitlines()[-1]).items():
            seen[key] += values
    return {key: statistics.median(values) for key, values in seen.items()}


def main() -> None:
    """Measure the tasks asked for, print a table, keep the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"some of {', '.join(TASKS)}; all if none is named")
    parser.add_argument("--runs", type=int, default=3, help="fresh processes a task")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        sys.stdout.write(json.dumps(measure_here(arguments.here)) + "\n")
        return
    unknown = set(arguments.tasks) - set(TASKS)
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    print(f"{'task':55} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'target s':>9}")
    figures = {}
    for name in arguments.tasks or TASKS:
        figures[name] = measure(name, arguments.runs)
        target = TASKS[name][3]
        row = figures[name]
        print(
            f"{TASKS[name][1][:55]:55} {row['wall']:8.3f} {row['cpu']:8.3f} {row['megabytes']:8.0f} "
            f"{'' if target is None else f'{target:9.0f}'}",
            flush=True,
        )
    if {"mle_sample", "lifetimes_sample"} <= set(figures):
        ratio = figures["lifetimes_sample"]["wall"] / figures["mle_sample"]["wall"]
        print(f"maximum likelihood: lifetimes takes {ratio:.1f} times as long")
    LATEST.parent.mkdir(exist_ok=True)
    Path(LATEST).write_text(json.dumps({"machine": platform.platform(), "figures": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
