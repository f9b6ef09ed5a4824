"""Results of units of work, kept under their keys: whole or not there, checked when read.

An entry is a folder named by its key, with the value's files and entry.json, which has their digests and what the key
was made of. It is written under another name and moved in one step, so that a run that is killed leaves no half of
one, and two runs at once agree: the second finds the entry there. An entry that does not match its digests is set
aside under quarantine/ and made again.
"""

import contextlib
import glob
import hashlib
import os
import shutil
import socket
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from clvmodels.foundation.errors import StudyError
from clvmodels.study.current import RUNS

ENTRY = "entry.json"
QUARANTINE = "quarantine"
UNFINISHED = ".unfinished"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry is of, what it cost, its key, and the digests of its files."""

    study: str
    unit: str
    parts: dict[str, Any]
    seconds: float
    megabytes: float
    key: str = ""
    files: dict[str, str] = {}


@dataclass(frozen=True)
class Codec[T]:
    """How a value is written into an empty folder, and read from it."""

    write: Callable[[T, Path], None]
    read: Callable[[Path], T]


@dataclass(frozen=True)
class Leftovers:
    """Folders and files in progress, named by the process that fills them, so that those of the dead can be told."""

    place: Path
    prefix: str

    def name(self) -> Path:
        """A name of this process that nothing has yet."""
        return self.place / f"{self.prefix}.{_host()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"

    def new(self) -> Path:
        """An empty folder of this process, readable by whom the user's mask lets."""
        path = self.name()
        path.mkdir()
        return path

    def sweep(self) -> None:
        """Remove what processes of this machine that are no more have left."""
        for path in self.place.glob(f"{glob.escape(self.prefix)}.*"):
            host, _, pid = path.name.removeprefix(f"{self.prefix}.").rpartition(".")[0].rpartition(".")
            if host == _host() and not _runs(pid):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Store:
    """Kept results in a folder, which is made when something is first kept."""

    root: Path

    @property
    def leftovers(self) -> Leftovers:
        """Entries in progress."""
        return Leftovers(self.root, UNFINISHED)

    def entry(self, key: str) -> Entry | None:
        """The entry under a key, if it is there and its files match their digests."""
        folder = self._folder(key)
        if not folder.is_dir():
            return None
        entry = _read_entry(folder)
        if entry is None or entry.key != key or entry.files != _digests(folder):
            self._set_aside(folder)
            return None
        return entry

    def read[T](self, key: str, codec: Codec[T]) -> T:
        """The value under a key that `entry` has found."""
        return codec.read(self._folder(key))

    def keep[T](self, key: str, value: T, codec: Codec[T], about: Entry) -> None:
        """Keep a value under its key; one that is there already stays.

        Raises
        ------
        StudyError
            If it cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            unfinished = self.leftovers.new()
            try:
                codec.write(value, unfinished)
                entry = msgspec.structs.replace(about, key=key, files=_digests(unfinished))
                (unfinished / ENTRY).write_bytes(msgspec.json.encode(entry))
                to_disk(unfinished)
                self._move(unfinished, self._folder(key))
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        except OSError as problem:
            raise StudyError(
                f"{self.root}: results in progress cannot be kept ({problem.strerror or problem}). "
                "Free some space, or choose another folder with --output."
            ) from problem

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Every entry with its key, unchecked, the latest first."""
        folders = [path.parent for path in self.root.glob(f"[0-9a-f][0-9a-f]/*/{ENTRY}")]
        for folder in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True):
            entry = _read_entry(folder)
            if entry is not None:
                yield folder.name, entry

    def note_run(self, study: str, note: Mapping[str, Any]) -> None:
        """Remember what a study's last run rests on, its entries under "keys", which `prune` leaves.

        Where that cannot be written the report stays what it is, and the next run looks at it anew.
        """
        folder = self.root / RUNS
        partial = Leftovers(folder, f".{study}.json").name()
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                partial.write_bytes(msgspec.json.encode(note))
                partial.replace(folder / f"{study}.json")
            finally:
                partial.unlink(missing_ok=True)

    def used(self) -> set[str]:
        """Keys of the entries that some study's last run rests on."""
        notes = [msgspec.json.decode(path.read_bytes()) for path in (self.root / RUNS).glob("*.json")]
        return {key for note in notes for key in note["keys"]}

    def prune(self) -> list[str]:
        """Remove entries that no study's last run rests on, and what was set aside; their keys."""
        used = self.used()
        idle = [key for key, _ in self.entries() if key not in used]
        self.forget(idle)
        shutil.rmtree(self.root / QUARANTINE, ignore_errors=True)
        self.leftovers.sweep()
        return idle

    def forget(self, keys: Iterable[str]) -> None:
        """Remove entries."""
        for key in keys:
            shutil.rmtree(self._folder(key), ignore_errors=True)

    def size(self, key: str) -> int:
        """Bytes of an entry."""
        return sum(path.stat().st_size for path in self._folder(key).iterdir())

    def _folder(self, key: str) -> Path:
        return self.root / key[:2] / key

    def _move(self, unfinished: Path, final: Path) -> None:
        final.parent.mkdir(exist_ok=True)
        try:
            unfinished.rename(final)
        except OSError:
            if not final.is_dir():  # another run may have kept the same meanwhile
                raise
        sync(final.parent)

    def _set_aside(self, folder: Path) -> None:
        aside = self.root / QUARANTINE
        aside.mkdir(exist_ok=True)
        shutil.rmtree(aside / folder.name, ignore_errors=True)
        folder.rename(aside / folder.name)


def _read_entry(folder: Path) -> Entry | None:
    try:
        return msgspec.json.decode((folder / ENTRY).read_bytes(), type=Entry)
    except (OSError, msgspec.DecodeError):
        return None


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of an entry but entry.json."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.iterdir())
        if path.name != ENTRY
    }


def to_disk(folder: Path) -> None:
    """Wait until a folder's files are on the disk: else a power cut can leave names without contents."""
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            sync(path)
        elif path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync(folder)


def sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _host() -> str:
    return socket.gethostname().replace(".", "-")


def _runs(pid: str) -> bool:
    """Whether a process of this machine is there."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:  # there, and another user's
        return True
    return True
