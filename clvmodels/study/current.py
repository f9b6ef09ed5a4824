"""Whether a report is what its study would make today: told from digests alone, without a heavy import.

A run leaves a note of all that its report rests on in the folder of kept results: the study file, the files that it
read, the code of this package, and versions. While these are the same there is nothing to do.
"""

import contextlib
import glob
import hashlib
import hmac
import json
import os
import platform
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from clvmodels.foundation.files import digest_of_files

STORE = ".cache"  # in the folder of reports: kept results, and the notes of runs
RUNS = "runs"
MANIFEST = "manifest.json"
INDEX = ("index.html", "index.zh.html")  # over all studies of the folder of reports
INDEX_NOTE = "index.json"
KEY = "CLVMODELS_PSEUDONYM_KEY"  # of the environment: the secret of pseudonyms, or the file that has it
KEY_FILE = "CLVMODELS_PSEUDONYM_KEY_FILE"
LIBRARIES = ("numpy", "scipy", "pandas", "pyarrow", "duckdb", "ibis-framework", "pymc", "pytensor", "nutpie", "numba")


def current_folder(study_file: Path, output: Path, data: str | None, *, pages: bool) -> Path | None:
    """The folder of a study's report, if it is whole and rests on what is there now; else None.

    Parameters
    ----------
    data : source in place of the study's own
    pages : whether it must have pages
    """
    try:
        raw = study_file.read_bytes()
        folder = output / tomllib.loads(raw.decode())["name"]
        note = json.loads((output / STORE / RUNS / f"{folder.name}.json").read_bytes())
        asked = run_note(hashlib.sha256(raw).hexdigest(), data, pages=pages)
        manifest = json.loads((folder / MANIFEST).read_bytes())
        is_same = [
            *(note[key] == value for key, value in asked.items()),
            *(_is_same(source, found) for source, found in note["inputs"].items()),
            manifest["identity"] == note["identity"],
            *(digest_of_files([folder / name]) == digest for name, digest in manifest["files"].items()),
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return folder if all(is_same) else None


def index_is_current(output: Path) -> bool:
    """Whether the pages over all studies are those of the reports that are there now."""
    try:
        return bool(json.loads((output / STORE / INDEX_NOTE).read_bytes()) == _index_note(output))
    except (OSError, ValueError):
        return False


def note_index(output: Path) -> None:
    """Remember which reports the pages over all studies are of; without a whole note they are made again."""
    with contextlib.suppress(OSError):
        (output / STORE).mkdir(exist_ok=True)
        (output / STORE / INDEX_NOTE).write_text(json.dumps(_index_note(output)), encoding="utf-8")


def _index_note(output: Path) -> dict[str, Any]:
    files = [*sorted(output.glob("[!.]*/results.json")), *(output / page for page in INDEX)]
    return {
        "package": package_digest(),
        "files": {str(path.relative_to(output)): digest_of_files([path]) for path in files},
    }


def run_note(study_digest: str, data: str | None, *, pages: bool) -> dict[str, Any]:
    """What a report rests on beside its inputs."""
    return {
        "study_digest": study_digest,
        "data": data,
        "pages": pages,
        "key": _key_mark(),
        "package": package_digest(),
        "versions": versions(),
    }


def _key_mark() -> str:
    """Tells whether two runs had one key of pseudonyms, and nothing of it; "" where there is none."""
    try:
        told = os.environ.get(KEY) or (Path(os.environ[KEY_FILE]).read_text().strip() if KEY_FILE in os.environ else "")
    except (OSError, UnicodeDecodeError):  # the run itself says what is wrong with it
        told = ""
    return hmac.digest(told.encode(), b"clvmodels: which key", hashlib.sha256)[:8].hex() if told else ""


def input_note(source: str, files: Iterable[Path], digest: str) -> dict[str, Any]:
    """An input as a note has it."""
    return {"listing": listing_of(source), "files": [str(path) for path in files], "digest": digest}


@cache
def package_digest() -> str:
    """SHA-256 of every file of the package: nothing that it does can change while this does not."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        digest.update(f"{path.relative_to(root).as_posix()}\0{digest_of_files([path])}\0".encode())
    return digest.hexdigest()


@cache
def versions() -> Mapping[str, str]:
    """Versions of Python and of the libraries whose numbers a study rests on."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}}


def _is_same(source: str, noted: Mapping[str, Any]) -> bool:
    """Whether a source still has the files that it had, and these their bytes."""
    files = [Path(name) for name in noted["files"]]
    return (listing_of(source), digest_of_files(files)) == (noted["listing"], noted["digest"])


def listing_of(source: str) -> list[str]:
    """All names that a folder or a glob has; none for a file, or a data set by name."""
    if Path(source).is_dir():
        return sorted(str(path) for path in Path(source).rglob("*"))
    return sorted(glob.glob(source, recursive=True)) if glob.has_magic(source) else []
