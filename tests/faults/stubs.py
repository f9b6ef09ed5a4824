"""What stands in for a piece of a study that goes wrong; put into a running process by `hooks.put_in_place`."""

import math
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from clvmodels.study.retention_worth import values_by_age
from clvmodels.study.store import Store

VALUES = "clvmodels.study.retention:values_by_age"  # what the unit "values" calls


def no_number(study: Any, segment: Any) -> list[Any]:
    """The right rows, with a number that is none."""
    return [replace(row, infinite=math.nan) for row in values_by_age(study, segment)]


def break_down(*_: Any) -> NoReturn:
    """A mistake in the code."""
    raise ZeroDivisionError("planted")


def hang(*_: Any) -> NoReturn:
    """Work that never ends."""
    while True:
        time.sleep(0.1)


def be_killed(*_: Any) -> NoReturn:
    """What the system does to a process that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def give_up(*_: Any) -> NoReturn:
    """What OpenBLAS does when it gets no memory."""
    os._exit(1)


def take_too_much(*_: Any) -> NoReturn:
    """More memory than any machine has."""
    raise MemoryError


# --- what the code must not do: the suite has to notice each ---


def keep_in_place(store: Store, unfinished: Path, final: Path) -> None:
    """An entry that is filled under its final name."""
    final.mkdir(parents=True, exist_ok=True)
    for path in sorted(unfinished.iterdir()):
        shutil.copy(path, final)


def publish_file_by_file(fresh: Path, folder: Path) -> None:
    """A report that takes the old one's place a file at a time."""
    folder.mkdir(exist_ok=True)
    for path in sorted(path for path in fresh.rglob("*") if path.is_file()):
        target = folder / path.relative_to(fresh)
        target.parent.mkdir(exist_ok=True)
        path.replace(target)


def remove_and_publish(fresh: Path, folder: Path) -> None:
    """A report that takes the place of one that was removed before."""
    if folder.exists():
        shutil.rmtree(folder)
    fresh.rename(folder)


def leave_what_is_in_progress(_: object) -> None:
    """A run that does not clear up what others have left."""
