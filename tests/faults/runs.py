"""Runs of a study as processes that a test can kill, stop and wait for."""

import json
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TOKEN = "CLVMODELS_FAULTS"  # environment variable that tells the processes of a run
PATIENCE = 240.0  # seconds after which a run counts as stuck


@dataclass
class Run:
    """A process that leads its own session, and what it says."""

    pid: int
    log: Path
    reap: Any
    token: str = ""
    code: int | None = None

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit code, negative for the signal that ended it."""
        assert self.ended_within(seconds), f"still running after {seconds:.0f} s:\n{self.said()}"
        assert self.code is not None
        return self.code

    def ended_within(self, seconds: float) -> bool:
        """Whether the process ends in time."""
        if self.code is None:
            descriptor = os.pidfd_open(self.pid)
            try:
                ended = bool(select.select([descriptor], [], [], seconds)[0])
            finally:
                os.close(descriptor)
            if not ended:
                return False
            self.code = self.reap(self.pid)
        return True

    def send(self, number: int) -> None:
        """A signal to all processes of the run."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def killed_at(self, moment: float) -> bool:
        """Whether the run, with all its processes, was killed so many seconds after its start: else it had ended."""
        if self.ended_within(moment):
            return False
        self.send(signal.SIGKILL)
        return self.wait() == -signal.SIGKILL

    def said(self) -> str:
        """Its output and errors so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def others(self) -> list[int]:
        """Further processes of the run that are still there: of its session, or with its token in their environment."""
        return [pid for pid in _processes() if _session(pid) == self.pid or (self.token and _has(pid, self.token))]


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _has(pid: int, token: str) -> bool:
    try:
        return token.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _session(pid: int) -> int:
    try:
        state, _, _, session = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[:4]
    except OSError:
        return 0
    return 0 if state == "Z" else int(session)


@dataclass
class Server:
    """The other side of `server.py`."""

    logs: Path
    process: subprocess.Popen[str] = field(init=False)
    runs: int = 0

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.faults.server"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _ask(self, do: str, **request: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def load(self, names: list[str]) -> None:
        """Have modules imported before any fork."""
        self._ask("load", names=names)

    def prepare(self, study: Path, output: Path, page: Path) -> None:
        """Have in memory, before any fork, what every run of a study reads."""
        self._ask("prepare", study=str(study), output=str(output), page=str(page))

    def start(self, arguments: Sequence[str | Path], *, hooks: Sequence[Sequence[Any]] = (), **environment: str) -> Run:
        """A run of `clvmodels`, after the hooks: "module:function" with its arguments."""
        self.runs += 1
        log = self.logs / f"{self.runs}.log"
        asked = {"arguments": [str(part) for part in arguments], "log": str(log), "environment": environment}
        return Run(self._ask("start", **asked, hooks=[[*hook] for hook in hooks]), log, self._reap)

    def _reap(self, pid: int) -> int:
        code: int = self._ask("reap", pid=pid)
        return code

    def close(self) -> None:
        """End the server."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def start_program(
    arguments: Sequence[str | Path],
    log: Path,
    *,
    before: Sequence[str] = (),
    program: Sequence[str] = ("clvmodels",),
    folder: Path = ROOT,
    **environment: str,
) -> Run:
    """`python -m clvmodels` of the checkout in a folder, behind another program such as unshare."""
    token = uuid.uuid4().hex
    with log.open("ab") as said:
        process = subprocess.Popen(
            [*before, sys.executable, "-m", *program, *map(str, arguments)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), TOKEN: token, **environment},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    return Run(process.pid, log, lambda _: process.wait(), token)


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.001)
