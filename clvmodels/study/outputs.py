"""Files of a study: each appears whole or not at all."""

import errno
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from clvmodels.foundation.any_results import Results
from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.files import digest_of_files, not_a_formula, whole
from clvmodels.study.current import MANIFEST
from clvmodels.study.files import StudyFile
from clvmodels.study.manifest import FitLine, read_manifest
from clvmodels.study.progress import SEEDS
from clvmodels.study.publish import in_progress
from clvmodels.study.store import Entry

PAGES = (".html", ".pdf")
PACKAGES = ("clvmodels", "numpy", "scipy", "pandas", "pymc", "nutpie", "arviz", "duckdb", "ibis-framework", "lifetimes")


def require_writable(folder: Path) -> None:
    """Make and remove what would take a report's place, before any long work.

    Raises
    ------
    StudyError
        If the folder cannot be made or written.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        folder.parent.mkdir(parents=True, exist_ok=True)
        in_progress(folder).new().rmdir()
    except (OSError, ValueError) as problem:  # a path with a null byte is no value
        why = problem.strerror if isinstance(problem, OSError) else problem
        raise StudyError(
            f"the report folder {str(folder)!r} cannot be written ({why}). "
            "Free the path, change its permission, or choose another with --output."
        ) from None


def write_table(frame: Any, path: Path) -> None:
    """A data frame as CSV or Parquet, by the name's ending.

    In CSV, text that a spreadsheet would run as a formula gets a quote before it.
    """
    with whole(path) as partial:
        if path.suffix == ".parquet":
            frame.to_parquet(partial, index=False)
        else:
            for_spreadsheets(frame).to_csv(partial, index=False, lineterminator="\n")


def for_spreadsheets(frame: Any) -> Any:
    """A data frame none of whose texts and names of columns a spreadsheet would run as a formula."""
    texts = [name for name in frame.columns if frame[name].dtype.kind in "OSTU" or str(frame[name].dtype) == "str"]
    return frame.assign(**{name: frame[name].map(not_a_formula) for name in texts}).rename(columns=not_a_formula)


def write_results(results: Results, path: Path) -> None:
    """results.json: every number of the report, by name."""
    write_json(results, path)


def write_json(record: Any, path: Path) -> None:
    """A record as indented JSON."""
    with whole(path) as partial:
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))


def write_manifest(
    folder: Path,
    identity: str,
    file: StudyFile[Any],
    provenance: Mapping[str, Any],
    units: Mapping[str, Entry],
    *,
    fits: Sequence[FitLine] = (),
) -> None:
    """manifest.json: where the results of a folder come from, what each unit has cost, and digests of the files.

    Parameters
    ----------
    identity : digest of all that the report rests on
    provenance : further inputs, such as digests of the data
    units : entries of the study's kept units, in their order
    fits : of the study, with their checks
    """
    content = {
        "study": file.path.name,
        "study_digest": file.digest,
        **provenance,
        "seeds": SEEDS,
        "identity": identity,
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "commit": _commit(file.path.resolve().parent),
        "python": platform.python_version(),
        "machine": machine(),
        "steps": [
            {"name": name, "key": entry.key, "seconds": entry.seconds, "megabytes": entry.megabytes}
            for name, entry in units.items()
        ],
        "seconds": round(sum(entry.seconds for entry in units.values()), 3),
        "peak_megabytes": max((entry.megabytes for entry in units.values()), default=0.0),
        "fits": msgspec.to_builtins(fits),
        "files": _digests(folder),
    }
    _write_manifest(folder, content)


def note_files(folder: Path) -> None:
    """Bring the digests of pages in a folder's manifest up to date, after they were made anew.

    Those of other files stay: a table that was changed since the run must not pass for its own.

    Raises
    ------
    StudyError
        If the manifest is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return
    noted = dict(read_manifest(folder).files)
    pages = {name: digest for name, digest in _digests(folder).items() if name.endswith(PAGES)}
    others = {name: digest for name, digest in noted.items() if not name.endswith(PAGES)}
    _write_manifest(folder, {**json.loads(path.read_bytes()), "files": dict(sorted({**others, **pages}.items()))})


def _write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    with whole(folder / MANIFEST) as partial:
        partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def machine() -> str:
    """The machine in words, for a reader of seconds and megabytes."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a report but its manifest."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): digest_of_files([path]) for path in files if path.name != MANIFEST}


def _commit(folder: Path) -> str | None:
    """The commit that the study file stands on, with "+" if files differ from it; None outside a checkout."""
    try:
        described = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", "describe", "--always", "--abbrev=40", "--dirty=+"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()
