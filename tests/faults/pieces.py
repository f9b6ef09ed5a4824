"""One value in a store and one small report: pieces of a run that can be disturbed at each of their system calls."""

import json
from pathlib import Path

from clvmodels.study.store import Codec, Entry, Store
from tests.faults.folders import NOTE

KEY = "ab" + "0" * 62
OTHER = "ab" + "1" * 62
VALUE = "3.14 " * 4000
ABOUT = Entry(study="s", unit="u", parts={}, seconds=0.0, megabytes=0.0)
NAMES = ("results.json", "draws/fit.nc", "index.html")


def _write(value: str, folder: Path) -> None:
    (folder / "value.txt").write_text(value)
    (folder / "more.txt").write_text(value[::-1])


PIECE = Codec[str](_write, lambda folder: (folder / "value.txt").read_text())


def kept(root: Path, key: str = KEY) -> str | None:
    """The value under a key, if the store has it."""
    store = Store(root)
    return None if store.entry(key) is None else store.read(key, PIECE)


def write_report(folder: Path, state: str) -> None:
    """The files of a small report, which tell by their contents whether they are of the old one or the new one."""
    (folder / "draws").mkdir(parents=True)
    for name in NAMES:
        (folder / name).write_text(state * 1000)
    (folder / "manifest.json").write_text(json.dumps({"files": dict.fromkeys(NAMES, "")}))


def state_of(folder: Path) -> set[str]:
    """Which reports the files of a folder belong to."""
    texts = [(folder / name).read_text() if (folder / name).is_file() else "" for name in NAMES]
    return {text[:3] if text == text[:3] * 1000 else "torn" for text in texts}


def old_report(folder: Path) -> Path:
    """An old report with a reader's note in it."""
    write_report(folder, "old")
    (folder / NOTE).write_text("Ask the board.\n")
    return folder
