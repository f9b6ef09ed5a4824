"""What the process of a run does to itself before it begins; see `server.run`. Each name is asked for by a test."""

import errno
import importlib
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from clvmodels.foundation.errors import StudyError
from clvmodels.study.store import Store
from tests.faults.pieces import ABOUT, KEY, PIECE, VALUE, write_report

FILLING = {"open", "os.mkdir", "os.fsync"}  # changes that a full disk refuses
CHANGES = FILLING | {"os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link"}
OUT_OF_REACH = 10**9


def wait_for(go: str) -> None:
    """Wait until a file is there, so that a tracer can be put on the process before anything is done."""
    end = time.monotonic() + 60
    while not Path(go).exists():
        if time.monotonic() > end:
            os._exit(1)
        time.sleep(0.001)


class Events:
    """Changes that Python code is about to make below a folder: opening to write, renaming, removing, fsync."""

    def __init__(self, folder: str, kinds: set[str], at: int, act: Any) -> None:
        self.folder, self.kinds, self.at, self.act, self.seen = folder, kinds, at, act, 0
        sys.addaudithook(self._heard)
        sync = os.fsync

        def fsync(descriptor: Any) -> None:
            number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
            self._heard("os.fsync", (str(Path(f"/proc/self/fd/{number}").readlink()),))
            sync(descriptor)

        os.fsync = fsync

    def _heard(self, event: str, given: tuple[Any, ...]) -> None:
        if event not in self.kinds or (event == "open" and not _writes(given)):
            return
        if any(self._is_below(path) for path in given):
            self.seen += 1
            if self.seen == self.at:
                self.act()

    def _is_below(self, path: Any) -> bool:
        return isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(self.folder)


def _writes(given: tuple[Any, ...]) -> bool:
    _, mode, flags = given
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def kill_at_event(folder: str, at: int) -> None:
    """Die of kill -9, with all children, just before the at-th change below a folder."""
    Events(folder, CHANGES, at, lambda: os.killpg(0, signal.SIGKILL))


def fail_at_event(folder: str, at: int, code: str) -> None:
    """Have the at-th change below a folder that fills a disk refused by the system."""
    number = getattr(errno, code)

    def refuse() -> NoReturn:
        raise OSError(number, os.strerror(number), folder)

    Events(folder, FILLING, at, refuse)


def count_events(folder: str, result: str, kinds: str) -> None:
    """Write down, when the run ends, how many changes of some kinds there were below a folder."""
    import atexit

    events = Events(folder, {"FILLING": FILLING, "CHANGES": CHANGES}[kinds], OUT_OF_REACH, None)
    atexit.register(lambda: Path(result).write_text(str(events.seen)))


def put_in_place(target: str, replacement: str) -> None:
    """Another function in the place of one of a module, or of a class in it."""
    (module, _, place), (other, _, own) = target.partition(":"), replacement.partition(":")
    *around, name = place.split(".")
    holder = importlib.import_module(module)
    for part in around:
        holder = getattr(holder, part)
    setattr(holder, name, getattr(importlib.import_module(other), own))


def limit_memory(extra: int) -> None:
    """Let the address space grow by so many bytes and no more, as `ulimit -v` does."""
    limit = _memory("VmSize") + extra
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def note_memory(path: str) -> None:
    """Write down, when the run ends, by how many bytes its address space has grown at its largest."""
    import atexit

    begin = _memory("VmSize")
    atexit.register(lambda: Path(path).write_text(str(_memory("VmPeak") - begin)))


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024


def limit_files(size: int) -> None:
    """Let no file grow beyond so many bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def jump_in_time() -> None:
    """A clock that goes back by a year and forward by two, again and again."""
    clock, calls = time.time, [0]

    def jumping() -> float:
        calls[0] += 1
        return clock() + (-1, 2)[calls[0] % 2] * 31_557_600.0

    time.time = jumping


def start_clock_at(moment: float) -> None:
    """A clock that shows a moment, in seconds since 1970, and goes on from there."""
    clock, start = time.time, time.time()
    time.time = lambda: clock() - start + moment


# --- pieces of a run, without a study ---


def keep_entry(root: str) -> NoReturn:
    """Keep one value in a store, and end."""
    _end(lambda: Store(Path(root)).keep(KEY, VALUE, PIECE, ABOUT))


def publish_report(folder: str) -> NoReturn:
    """Publish a report of three files, and end."""
    from clvmodels.study.publish import publish

    _end(lambda: publish(Path(folder), lambda fresh: write_report(fresh, "new")))


def _end(work: Any) -> NoReturn:
    code = 0
    try:
        work()
    except StudyError as problem:
        sys.stderr.write(f"clvmodels: {problem}\n")
        code = 2
    sys.stderr.flush()
    os._exit(code)
