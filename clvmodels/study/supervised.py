"""A run of studies in a process of its own, so that one that hangs or is killed costs one unit and not the run.

The process says which unit it begins. One that takes longer than its study allows is stopped, and one that the system
stops (for its memory, say) is noticed; either way that unit is marked as failed, and a new process goes on with the
others from what is kept. An interrupt stops the process and whatever it has started.
"""

import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PIPE = "CLVMODELS_PIPE"  # file descriptor that the process writes its units to
BROKEN = "CLVMODELS_BROKEN"  # JSON: study -> unit -> why it counts as failed
WATCHER = "CLVMODELS_WATCHER"  # process that watches this one
PR_SET_PDEATHSIG = 1
PATIENCE = 4.0  # seconds for the process to end when it is asked to
# What the system does to a process that takes too much, and what libraries do that get too little.
OUT_OF_MEMORY = {signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS}
EXIT = {signal.SIGINT: 130, signal.SIGTERM: 143}
RESUME = "What was made is kept, and each report is whole, new or as before. The same command goes on from there."


@dataclass(frozen=True)
class Watch:
    """What a run tells of its units, and those that are not to be tried again.

    Attributes
    ----------
    broken : study -> unit -> why it counts as failed
    pipe : file descriptor to write to; None where nobody watches
    """

    broken: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    pipe: int | None = None

    def begin(self, study: str, unit: str, limit: float) -> None:
        """A unit begins, which may take so many seconds."""
        self._tell({"study": study, "unit": unit, "limit": limit})

    def end(self) -> None:
        """It has ended."""
        self._tell({})

    def _tell(self, message: Mapping[str, Any]) -> None:
        if self.pipe is not None:
            os.write(self.pipe, json.dumps(message).encode() + b"\n")


UNWATCHED = Watch()


def watch_of_environment() -> Watch:
    """How this process is watched."""
    pipe = os.environ.get(PIPE)
    return Watch(json.loads(os.environ.get(BROKEN, "{}")), None if pipe is None else int(pipe))


def is_supervised() -> bool:
    """Whether another process watches this one."""
    return PIPE in os.environ


def end_with_parent() -> None:
    """Have this process stopped when the one that watches it is: on Linux at once, elsewhere at its next unit."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(os.environ[WATCHER]):  # it was stopped before this one could ask for that
            sys.exit(EXIT[signal.SIGTERM])


@dataclass
class _Run:
    """The run while it is watched: the process, and the unit that it is at, since when."""

    command: Sequence[str]
    broken: dict[str, dict[str, str]] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    unit: dict[str, Any] = field(default_factory=dict)
    since: float = 0.0
    asked: int | None = None  # the signal that somebody sent


def supervise(command: Sequence[str]) -> int:
    """Run a command until it ends by itself, and return its exit code.

    Returns
    -------
    int
        130 or 143 where the run was interrupted or terminated.
    """
    run = _Run(command)
    for number in EXIT:
        signal.signal(number, lambda got, _: _interrupt(run, got))
    while True:
        code = _watched(run)
        if run.asked is not None:
            for number in EXIT:  # a second one would end this process while it ends, and its exit code would be lost
                signal.signal(number, signal.SIG_IGN)
            sys.stderr.write(f"\nclvmodels: interrupted. {RESUME}\n")
            return EXIT[signal.Signals(run.asked)]
        if code >= 0 and not _died_at_work(run, code):
            return code
        if not run.unit:
            sys.stderr.write(f"clvmodels: the run was stopped by {_name(-code)}. {RESUME}\n")
            return 128 - code


def _interrupt(run: _Run, got: int) -> None:
    run.asked = got if run.asked is None else run.asked
    if run.process is not None:
        with contextlib.suppress(ProcessLookupError):
            run.process.terminate()


def _watched(run: _Run) -> int:
    """The exit code of one process; negative where it was stopped, and its unit is then marked."""
    reading, writing = os.pipe()
    environment = {**os.environ, PIPE: str(writing), BROKEN: json.dumps(run.broken), WATCHER: str(os.getpid())}
    run.unit = {}
    run.process = subprocess.Popen(run.command, env=environment, pass_fds=[writing], start_new_session=True)
    os.close(writing)
    too_long = False
    with os.fdopen(reading, "rb", buffering=0) as pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        rest = b""
        while True:
            if selector.select(timeout=_left(run)):
                read = pipe.read(65536)
                if not read:
                    break
                *lines, rest = (rest + read).split(b"\n")
                for line in lines:
                    run.unit, run.since = json.loads(line), time.monotonic()
            elif _left(run) == 0 and run.unit:
                too_long = True
                _stop(run.process)
                break
            elif run.asked is not None:
                break
    code = _ended(run)
    if ((code < 0 and run.unit) or _died_at_work(run, code)) and run.asked is None:
        why = f"it took longer than {run.unit['limit']:g} s ([limits] seconds)" if too_long else _ended_by(code)
        run.broken.setdefault(run.unit["study"], {})[run.unit["unit"]] = why
    return code


def _left(run: _Run) -> float:
    """Seconds until something has to be looked at."""
    limit = run.unit.get("limit")
    return 0.5 if limit is None else max(0.0, min(0.5, run.since + limit - time.monotonic()))


def _ended(run: _Run) -> int:
    """Wait for the process; one that was asked to end and does not is stopped."""
    assert run.process is not None
    try:
        code = run.process.wait(None if run.asked is None else PATIENCE)
    except subprocess.TimeoutExpired:
        code = None
    if code is None or code < 0:
        _stop(run.process)
    return run.process.wait()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process and all that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _died_at_work(run: _Run, code: int) -> bool:
    """Whether the process ended by itself in the middle of a unit, as OpenBLAS has it when it gets no memory."""
    return code > 0 and bool(run.unit)


def _ended_by(code: int) -> str:
    advice = ""
    if code > 0 or -code in OUT_OF_MEMORY:
        advice = ": out of memory? Fewer draws ([fit] draws) need less, and so does another program less beside it"
    ended = f"was stopped by {_name(-code)}" if code < 0 else f"ended with exit code {code}"
    return f"its process {ended}{advice}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
