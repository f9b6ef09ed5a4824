"""The folder of a report, taken in place of the old one in one step when it is whole.

A reader, or a machine that stops, sees the old report or the new one, never some files of each. Files that are no
part of a report, such as a reader's own notes, move along.
"""

import ctypes
import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from clvmodels.foundation.errors import StudyError
from clvmodels.study.current import INDEX, MANIFEST, RUNS, STORE
from clvmodels.study.store import UNFINISHED, Leftovers, sync, to_disk

PAGES = ("index*.html", "data*.html", "index*.pdf", "data*.pdf")
LEFT_BY_RUNS = (".json", ".csv", ".parquet")  # where there is no manifest to say
RENAME_EXCHANGE = 2
AT_FDCWD = -100


def publish(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a report beside the folder, and exchange the two.

    Parameters
    ----------
    write : fills the empty folder that it is given

    Raises
    ------
    StudyError
        If it cannot be written; the folder is then as it was.
    """
    leftovers = in_progress(folder)
    leftovers.sweep()
    recover(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = leftovers.new()
        try:
            write(fresh)
            _carry_over(folder, fresh)
            to_disk(fresh)
            _exchange(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)  # by now it is the old one, or what could not be finished
    except OSError as problem:
        raise StudyError(
            f"the report folder {folder} cannot be written ({problem.strerror or problem}); it is as it was. Free some "
            "space, or choose another folder with --output."
        ) from problem


def in_progress(folder: Path) -> Leftovers:
    """Reports that are to take a folder's place."""
    return Leftovers(folder.parent, f".{folder.name}.new")


def sweep(output: Path, study: str) -> None:
    """Remove what runs that are no more have left of a study, and of the pages over all, in a folder of reports."""
    in_progress(output / study).sweep()
    Leftovers(output / STORE, UNFINISHED).sweep()
    Leftovers(output / STORE / RUNS, f".{study}.json").sweep()
    for page in INDEX:
        Leftovers(output, f".{page}").sweep()


def recover(folder: Path) -> None:
    """Put back a report that was moved aside by a run that stopped before the new one was in its place."""
    aside = _aside(folder)
    if aside.is_dir():
        if folder.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.rename(folder)


def _carry_over(old: Path, fresh: Path) -> None:
    """Files and folders of the old report that no run has written."""
    for path in sorted(old.iterdir()) if old.is_dir() else ():
        if path.name not in _ours(old) and not any(path.match(page) for page in PAGES):
            if (fresh / path.name).exists():
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.copytree(path, fresh / path.name, symlinks=True)
            else:
                shutil.copy2(path, fresh / path.name, follow_symlinks=False)


def _ours(folder: Path) -> set[str]:
    """Names in a report's folder that its run has written, as its manifest says."""
    try:
        files = json.loads((folder / MANIFEST).read_bytes())["files"]
        return {MANIFEST, *(name.partition("/")[0] for name in files)}
    except (OSError, ValueError, KeyError, TypeError):
        made = {path.name for path in folder.iterdir() if path.suffix in LEFT_BY_RUNS} if folder.is_dir() else set()
        return {MANIFEST, "draws", *made}


def _exchange(fresh: Path, folder: Path) -> None:
    """The fresh folder under the final name, the old one, if there was one, under the fresh one's."""
    if not folder.exists():
        try:
            fresh.rename(folder)
        except OSError as problem:
            if problem.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            sync(folder.parent)
            return
    if not _exchanged(fresh, folder):
        aside = _aside(folder)
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)  # stopped here, `recover` puts it back
        fresh.rename(folder)
        shutil.rmtree(aside, ignore_errors=True)
    sync(folder.parent)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether the system could swap two names in one step."""
    library = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(one), os.fsencode(other)
    if sys.platform == "darwin":
        found = library.renamex_np(*paths, RENAME_EXCHANGE)
    elif hasattr(library, "renameat2"):
        found = library.renameat2(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE)
    else:
        return False
    if found == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):  # a file system, or a kernel, that cannot
        return False
    raise OSError(code, os.strerror(code), str(other))


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")
