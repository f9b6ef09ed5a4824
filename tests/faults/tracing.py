"""Faults put into system calls by strace: a kill, or an error, at the K-th call of a kind."""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.faults.runs import Run, Server, until

CALLS = ("openat", "mkdir", "write", "pwrite64", "fsync", "rename", "renameat2", "unlink", "unlinkat", "rmdir")
FILLING = ("openat", "mkdir", "write", "pwrite64", "fsync")  # calls that a full disk refuses


@dataclass(frozen=True)
class Point:
    """The number-th call of a kind by the run's main thread, since the run began."""

    call: str
    number: int


@cache
def why_not() -> str | None:
    """Why calls cannot be traced here, or None."""
    if shutil.which("strace") is None:
        return "there is no strace here"
    tried = subprocess.run(
        ["strace", "-e", "inject=getpid:retval=1", "true"], capture_output=True, text=True, check=False
    )
    return None if tried.returncode == 0 else f"strace may not trace here: {tried.stderr.strip()[:80]}"


def start_traced(
    server: Server, arguments: Sequence[str | Path], log: Path, inject: str, *, hooks: Sequence[Sequence[Any]] = ()
) -> tuple[Run, subprocess.Popen[bytes]]:
    """A run under strace, and the tracer; nothing is counted before the run begins."""
    go = log.with_suffix(".go")
    go.unlink(missing_ok=True)
    run = server.start(arguments, hooks=[["tests.faults.hooks:wait_for", str(go)], *hooks])
    fault = ["-e", f"inject={inject}"] if inject else []
    names = ",".join(CALLS)
    command = ["strace", "-f", "-y", "-s", "0", "-o", str(log), "-e", f"trace={names}", *fault, "-p", str(run.pid)]
    says = log.with_suffix(".says")
    with says.open("w") as said:
        tracer = subprocess.Popen(command, stderr=said)
    until(lambda: "attached" in says.read_text())
    go.touch()
    return run, tracer


def points_below(log: Path, folder: Path, pid: int) -> list[Point]:
    """The calls of a traced run by its main thread that may change something below a folder, in their order."""
    counts: Counter[str] = Counter()
    points = []
    for line in log.read_text(errors="replace").splitlines():
        found = re.match(rf"{pid} +(\w+)\((.*)", line)
        if found is None:  # another thread, a signal, or the second half of a call
            continue
        call, rest = found.groups()
        counts[call] += 1
        reads = call == "openat" and "O_RDONLY" in rest and "O_CREAT" not in rest
        if str(folder) in rest and not reads:
            points.append(Point(call, counts[call]))
    return points


def spread(points: list[Any], wanted: int) -> list[Any]:
    """So many of the points, evenly over the run; all of them if there are fewer."""
    if len(points) <= wanted:
        return points
    return [points[round(i * (len(points) - 1) / max(wanted - 1, 1))] for i in range(wanted)]
