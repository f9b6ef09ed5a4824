"""Each task in fresh processes, one at a time: wall and CPU seconds, and the process's peak memory.

python -m tests.benchmarks [PART ...] [--runs 3]; parts are tasks, peer, scale, clv, decision, logs. Times are the least
of the runs, so that a machine shared with others disturbs them least; the load beside a table says how busy it was.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from clvmodels.cli import THREADS
from tests.benchmarks import decision, logs, scale
from tests.benchmarks.logs import LOG_TASKS
from tests.benchmarks.tasks import ROOT, TASKS, customers_of

LOGS = ROOT / ".cache" / "logs"  # made up for the benchmark, removed after it
LATEST = ROOT / ".benchmarks" / "latest.json"
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
LOG_PEERS: dict[str, str | Path] = {"lifetimes": sys.executable, "pymc-marketing": PEER_PYTHON}
PEER_TARGET = f"{logs.TIMES_LESS_CPU} and {1 / logs.SHARE_OF_MEMORY:.0f}"
WARM_FITS = 4  # in one process; the first is not counted

GROUPS = ("peer", "scale", "clv", "decision", "logs")

Figures = dict[str, Any]


def task_here(name: str) -> Figures:
    """Time the task's calls in this process; the first of several is a warm-up that is not counted."""
    set_up, _, calls, _ = TASKS[name]
    work = set_up()
    wall, cpu = [], []
    for _ in range(calls):
        began, began_cpu = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - began_cpu)
    counted = slice(1 if calls > 1 else 0, None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": min(wall[counted]), "cpu": min(cpu[counted]), "megabytes": peak}


def in_fresh_process(
    command: Sequence[str | Path], spill: Path | None = None, settings: Mapping[str, str] | None = None
) -> Figures:
    """What the command prints as JSON in its last line, with its wall and CPU seconds from start to end.

    Parameters
    ----------
    spill : folder for its temporary files
    settings : further variables of its environment
    """
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, **({} if spill is None else {"TMPDIR": str(spill)}), **(settings or {})}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    process = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**json.loads(done.stdout.splitlines()[-1]), "process": process, "process_cpu": cpu}


def least(runs: Sequence[Figures]) -> Figures:
    """The least of each figure over runs."""
    return {key: min(run[key] for run in runs) for key in runs[0]}


def load() -> str:
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def here(*arguments: str | Path) -> list[str | Path]:
    return [sys.executable, "-m", "tests.benchmarks", *arguments]


def bench_tasks(names: Sequence[str], runs: int) -> Figures:
    print(f"\n{'task':58} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'target s':>9}  {load()}")
    figures: Figures = {}
    for name in names:
        row = figures[name] = least([in_fresh_process(here("--task", name)) for _ in range(runs)])
        target = TASKS[name][3]
        print(
            f"{TASKS[name][1]:58} {row['wall']:8.3f} {row['cpu']:8.3f} {row['megabytes']:8.0f} "
            f"{'' if target is None else f'{target:9.0f}'}",
            flush=True,
        )
    if {"mle_sample", "lifetimes_sample"} <= set(figures):
        ratio = figures["lifetimes_sample"]["wall"] / figures["mle_sample"]["wall"]
        print(f"maximum likelihood: lifetimes takes {ratio:.1f} times as long")
    return figures


def bench_peer(runs: int) -> Figures:
    """The CDNOW sample's full posterior by us and by the peer, in turn, so that load hits both."""
    there = subprocess.run([PEER_PYTHON, "-c", "import pymc_marketing, nutpie"], capture_output=True, check=False)
    if there.returncode:
        print("\npeer: left out, since .venv-bench has no pymc-marketing with nutpie (make bench sets it up)")
        return {}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cdnow_sample.csv"
        customers_of("dataset:cdnow_sample").to_pandas().to_csv(path, index=False)
        commands: dict[str, list[str | Path]] = {
            name: [sys.executable, "-m", "tests.benchmarks.ours", path, str(WARM_FITS), name]
            for name in ("laplace", "nuts")
        }
        commands["peer"] = [PEER_PYTHON, ROOT / "tests" / "benchmarks" / "peer.py", path, str(WARM_FITS)]
        seen: dict[str, list[Figures]] = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                warm = in_fresh_process(command)
                once = in_fresh_process([part if part != str(WARM_FITS) else "1" for part in command])
                seen[name].append({**once, "warm": min(warm["wall"][1:]), "effective": warm["effective"], "wall": 0.0})
    figures = {name: least(rows) for name, rows in seen.items()}
    _print_peer(figures)
    return figures


def _print_peer(figures: Figures) -> None:
    print(f"\n{'BG/NBD, CDNOW sample, from a CSV':33} {'effective':>9} {'process s':>9} {'CPU s':>7}", end="")
    print(f" {'warm fit s':>10}   peer / ours: {'process':>7} {'CPU':>6} {'warm':>6}   {load()}")
    names = {"laplace": "clvmodels laplace", "nuts": "clvmodels nuts", "peer": "pymc-marketing with nutpie"}
    for name, row in figures.items():
        process, cpu, warm = (figures["peer"][key] / row[key] for key in ("process", "process_cpu", "warm"))
        print(f"{names[name]:33} {row['effective']:9.0f} {row['process']:9.2f} {row['process_cpu']:7.2f}", end="")
        print(f" {row['warm']:10.3f}                {process:7.1f} {cpu:6.1f} {warm:6.1f}")
    print("wanted of laplace: process 10, warm 100; of nuts: process 1", flush=True)


def bench_scale(most: int, runs: int) -> list[Figures]:
    """The cost of a fit against customers and patterns; up to 1,000,000 customers the least of the runs."""
    print(f"\n{'fit':8} {'times':6} {'customers':>10} {'patterns':>9} {'summary s':>9} {'fit s':>8}", end="")
    print(f" {'CPU s':>8} {'CPU µs/pat.':>11} {'peak MB':>8}  targets; {load()}")
    table = []
    with TemporaryDirectory() as folder:
        for times, size, method, seconds, megabytes in scale.SIZES:
            if size > most:
                continue
            path = Path(folder) / f"{times}-{size}.npz"
            if not path.exists():  # in a process apart, since a process starts with its parent's peak of memory
                in_fresh_process(here("--simulate", path, "--times", times, "--size", str(size)))
            command = here("--fit", path, "--method", method)
            row = least([in_fresh_process(command) for _ in range(runs if size <= 1_000_000 else 1)])
            table.append({"times": times, "method": method, **row})
            targets = [f"{limit} {unit}" for limit, unit in ((seconds, "s"), (megabytes, "MB")) if limit is not None]
            print(f"{method:8} {times:6} {row['customers']:10} {row['patterns']:9} {row['summary']:9.2f}", end="")
            print(f" {row['wall']:8.2f} {row['cpu']:8.2f} {1e6 * row['cpu'] / row['patterns']:11.1f}", end="")
            print(f" {row['megabytes']:8.0f}  {', '.join(targets)}", flush=True)
    return table


def bench_clv(size: int, draws: int) -> list[Figures]:
    """Predictive CLV of a large base, model by model, once."""
    print(f"\n{'CLV of':11} {'customers':>10} {'draws':>6} {'wall s':>8} {'CPU s':>8} {'peak MB':>8}", end="")
    print(f"  wanted of 1,000,000 x 1,000: {scale.CLV_SECONDS} s, {scale.CLV_MEGABYTES} MB; {load()}")
    table = []
    with TemporaryDirectory() as folder:
        for model in scale.CLV_MODELS:
            path = Path(folder) / f"{model}.npz"
            in_fresh_process(here("--simulate-spenders", path, "--model", model, "--size", str(size)))
            row = in_fresh_process(here("--clv", path, "--model", model, "--draws", str(draws)))
            table.append({"model": model, **row})
            print(f"{model:11} {row['customers']:10} {row['draws']:6} {row['wall']:8.1f} {row['cpu']:8.1f}", end="")
            print(f" {row['megabytes']:8.0f}", flush=True)
    return table


def bench_decision(most: int) -> list[Figures]:
    """The decision of a study by part, once."""
    table = []
    with TemporaryDirectory() as folder:
        for size, seconds, megabytes in decision.SIZES:
            if size > most:
                continue
            path = Path(folder) / f"{size}.parquet"
            in_fresh_process(here("--decision-log", path, "--size", str(size)))
            busy = load()
            row = in_fresh_process(here("--decision", path), settings=THREADS)  # as in a study
            table.append(row)
            print(f"\ndecision on {row['customers']} customers, {row['draws']} draws; {busy}, after it {load()}")
            print(f"{'part':18} {'wall s':>8} {'CPU s':>8} {'peak MB':>8}")
            for part in row["parts"]:
                print(f"{part['part']:18} {part['wall']:8.1f} {part['cpu']:8.1f} {part['megabytes']:8.0f}")
            print(f"{'all':18} {row['wall']:8.1f} {row['cpu']:8.1f} {row['megabytes']:8.0f}", end="")
            print(f"  wanted: {seconds:.0f} s{'' if megabytes is None else f', {megabytes:.0f} MB'}", flush=True)
    return table


def bench_logs(names: Sequence[str], runs: int) -> dict[str, list[Figures]]:
    """Logs to summaries and patterns; of 10,000,000 rows the least of the runs, larger ones once."""
    print(
        f"\n{'log':46} {'by':15} {'wall s':>7} {'CPU s':>7} {'peak MB':>8} {'spilt MB':>8} {'CPU x':>6} {'MB x':>6}",
        end="",
    )
    print(f"  wanted; {load()}")
    found: dict[str, list[Figures]] = {}
    written: tuple[int, str, float] | None = None
    try:
        for name, task in LOG_TASKS.items():
            if name not in names:
                continue
            if written != (task.rows, task.form, task.refunded):
                written = task.rows, task.form, task.refunded
                log = ("--size", str(task.rows), "--form", task.form, "--refunded", str(task.refunded))
                in_fresh_process(here("--write-log", LOGS / "rows", *log))
            found[name] = _log_rows(task, runs if task.rows <= 10_000_000 else 1)
    finally:
        shutil.rmtree(LOGS, ignore_errors=True)
    return found


def _log_rows(task: logs.LogTask, runs: int) -> list[Figures]:
    """Ours and the peers' figures, in turn, so that load hits all."""
    ours = here("--log", f"{LOGS / 'rows'}/*.{task.form}", "--work", task.work)
    script = ROOT / "tests" / "benchmarks" / "log_peer.py"
    commands = {"clvmodels": ours} | {
        peer: [python, script, peer, LOGS / "rows", logs.LAST_DAY]
        for peer, python in LOG_PEERS.items()
        if peer in task.peers
    }
    seen: dict[str, list[Figures]] = {by: [] for by in commands if _can_run(commands[by][0], by)}
    for _ in range(runs):
        for by, rows in seen.items():
            rows.append(_watched(commands[by]))
    figures = [{"by": by, **least(rows)} for by, rows in seen.items()]
    targets = [
        f"{limit:,} {unit}" for limit, unit in ((task.seconds, "s"), (task.megabytes, "MB")) if limit is not None
    ]
    for row in figures:
        cpu, memory = (row[key] / figures[0][key] for key in ("cpu", "megabytes"))
        ratios = f"{cpu:6.1f} {memory:6.1f}  {PEER_TARGET}" if row is not figures[0] else f"{'':15}{', '.join(targets)}"
        print(f"{task.what:46} {row['by']:15} {row['wall']:7.1f} {row['cpu']:7.1f} {row['megabytes']:8.0f} ", end="")
        print(f"{row['spilt']:8.0f} {ratios}", flush=True)
    return figures


def _can_run(python: str | Path, peer: str) -> bool:
    """Whether an environment has a peer; says so where it has not."""
    module = {"clvmodels": "clvmodels"}.get(peer, peer.replace("-", "_"))
    there = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False, cwd=ROOT)
    if there.returncode:
        print(f"{peer}: left out, since {python} cannot import it (make bench sets it up)")
    return not there.returncode


def _watched(command: Sequence[str | Path]) -> Figures:
    """The figures of a process, with the most that it had in temporary files."""
    spill, done = LOGS / "spill", threading.Event()
    spill.mkdir(parents=True, exist_ok=True)
    most = [0]

    def watch() -> None:
        while not done.wait(0.2):
            most.append(_bytes_of(spill))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        figures = in_fresh_process(command, spill)
    finally:
        done.set()
        watcher.join()
        shutil.rmtree(spill)
    return {**figures, "spilt": max(most) / 2**20}


def _bytes_of(folder: Path) -> int:
    """The size of its files; some may go while they are looked at."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total


# Options that a fresh process is started with, and its work
WORK_HERE: dict[str, Callable[[argparse.Namespace], Figures]] = {
    "task": lambda of: task_here(of.task),
    "simulate": lambda of: scale.simulate_here(of.simulate, of.times, of.size),
    "simulate_spenders": lambda of: scale.simulate_spenders_here(of.simulate_spenders, of.model, of.size),
    "fit": lambda of: scale.fit_here(of.fit, of.method),
    "clv": lambda of: scale.clv_here(of.clv, of.model, of.draws),
    "decision_log": lambda of: decision.write_log_here(of.decision_log, of.size),
    "decision": lambda of: decision.decide_here(of.decision),
    "write_log": lambda of: logs.write_log_here(of.write_log, of.size, of.form, of.refunded),
    "log": lambda of: logs.log_here(of.log, of.work),
}


def main() -> None:
    """Measure the parts asked for, print tables, keep the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"{', '.join(GROUPS)}, or some of {', '.join((*TASKS, *LOG_TASKS))}; or all",
    )
    parser.add_argument("--runs", type=int, default=3, help="fresh processes a task")
    parser.add_argument("--most", type=int, default=10_000_000, help="customers of the largest fit, and decision")
    parser.add_argument("--customers", type=int, default=1_000_000, help="of clv")
    parser.add_argument("--draws", type=int, default=1_000, help="of clv")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--method", default="laplace", help=argparse.SUPPRESS)
    parser.add_argument("--simulate", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--simulate-spenders", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--clv", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--decision-log", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--decision", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write-log", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--form", help=argparse.SUPPRESS)
    parser.add_argument("--refunded", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--log", help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--times", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for name, work in WORK_HERE.items():
        if getattr(arguments, name):
            print(json.dumps(work(arguments)))
            return
    parts = arguments.parts or [*TASKS, *GROUPS]
    unknown = set(parts) - {*TASKS, *LOG_TASKS, *GROUPS}
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    figures: Figures = {}
    if names := [name for name in parts if name in TASKS]:
        figures["tasks"] = bench_tasks(names, arguments.runs)
    if "peer" in parts:
        figures["peer"] = bench_peer(arguments.runs)
    if "scale" in parts:
        figures["scale"] = bench_scale(arguments.most, arguments.runs)
    if "clv" in parts:
        figures["clv"] = bench_clv(arguments.customers, arguments.draws)
    if "decision" in parts:
        figures["decision"] = bench_decision(arguments.most)
    if names := [name for name in LOG_TASKS if name in parts or "logs" in parts]:
        figures["logs"] = bench_logs(names, arguments.runs)
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_text(json.dumps({"machine": platform.platform(), **figures}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
