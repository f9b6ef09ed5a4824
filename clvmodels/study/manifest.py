"""The manifest of a study's folder, read: where the results come from, and digests of the files.

`outputs.write_manifest` writes it. Names that are not read here, such as what each step cost, may stand beside.
"""

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated

import msgspec

from clvmodels.foundation.errors import StudyError
from clvmodels.study.current import MANIFEST

MOST_BYTES = 64 * 2**20  # of a manifest: what is larger is none

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class UnitLine(msgspec.Struct, frozen=True):
    """A unit of work that the results rest on, and the digest of all that it was made from."""

    name: str
    key: str = ""


class FitLine(msgspec.Struct, frozen=True):
    """A fit of a study, and how it stood its checks.

    Attributes
    ----------
    model, method : of the fit; no method is told of one that was left out
    learnt_from : "calibration", "decision", "donors", or of a study of retention the segment
    checks : whether each was passed, by its key
    allowed : keys of checks that the study lets fail
    draws : its file in the folder; "" of a fit that was left out since it failed
    """

    model: str
    learnt_from: str
    checks: dict[str, bool]
    method: str = ""
    allowed: tuple[str, ...] = ()
    draws: str = ""

    @property
    def failed(self) -> tuple[str, ...]:
        """Keys of the checks that it failed."""
        return tuple(key for key, passed in self.checks.items() if not passed)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What verifying and comparing read of a manifest.

    Attributes
    ----------
    study : name of the study file
    study_digest : SHA-256 of its bytes
    data_digest : of the data; of a contest None
    data_digests : of a contest, by data set
    seed : of the study
    seeds : how what is drawn gets a seed of its own from it, in words
    versions : of libraries
    commit : that the study file stood on, with "+" if files differed from it
    files : SHA-256 of files of the folder, by path in it, such as "draws/bg_nbd.nc"
    inputs : SHA-256 of other files that the study read, such as that of its customers, as the study names them
    fits : with their checks
    units : in their order
    """

    study: str
    study_digest: Sha256
    seed: int
    versions: dict[str, str]
    files: dict[str, Sha256]
    data_digest: Sha256 | None = None
    data_digests: dict[str, Sha256] = {}
    commit: str | None = None
    python: str = ""
    machine: str = ""
    inputs: dict[str, Sha256] = {}
    seeds: str = ""
    fits: tuple[FitLine, ...] = ()
    units: tuple[UnitLine, ...] = msgspec.field(default=(), name="steps")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a study's folder.

    Raises
    ------
    StudyError
        If there is none, it is damaged, or it names files outside the folder.
    """
    path = folder / MANIFEST
    manifest = read_json(path, Manifest, most_bytes=MOST_BYTES)
    for name in manifest.files:
        if not _is_inside(name):
            raise StudyError(f"{path}, files: {name!r} is no path inside the folder. Run the study again.")
    return manifest


def read_json[Record](path: Path, kind: type[Record], *, most_bytes: int) -> Record:
    """A record from a file of JSON that may be damaged.

    Raises
    ------
    StudyError
        If it is not there, is no plain file, is too large, or does not hold such a record.
    """
    try:
        if path.is_symlink() or not path.is_file():  # to open a pipe would wait for who writes into it
            raise StudyError(f"{path}: no such file. Run the study first: it leaves {path.name} in its folder.")
        size = path.stat().st_size
        if size > most_bytes:
            raise StudyError(f"{path}: {size:,} bytes, which no study writes. Run the study again.")
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as problem:
        raise StudyError(f"{path}: cannot be read ({problem.strerror}).") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise StudyError(f"{path}: damaged, or of another version of clvmodels ({problem}).") from None


def _is_inside(name: str) -> bool:
    """Whether a path stays inside the folder that it is taken from, on any system."""
    parts = PurePosixPath(name).parts
    windows = PureWindowsPath(name)
    return bool(parts) and not (name.startswith("/") or windows.anchor or "\0" in name or ".." in windows.parts)
