"""What lies in a folder of reports, and whether it is whole."""

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from clvmodels.study.store import QUARANTINE

VARYING = {"manifest.json", "costs.json"}  # with seconds and megabytes in them
COSTS = re.compile("<!-- costs -->.*?<!-- /costs -->", re.DOTALL)  # seconds and megabytes of a run
INDEX = {"index.html", "index.zh.html"}  # over all studies of the folder
NOTE = "notes.txt"  # a reader's own file in the report's folder


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _without_costs(page: Path) -> str:
    """Digest of a page whose table of seconds and megabytes is left out."""
    return hashlib.sha256(COSTS.sub("", page.read_text(encoding="utf-8")).encode()).hexdigest()


def tree(folder: Path) -> set[str]:
    """Every name below a folder, of what is in progress and hidden too, but not of what was set aside."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return {name for name in names if QUARANTINE not in name.split("/")}


@dataclass(frozen=True)
class Report:
    """A whole report: its study's seed, its files' digests, and those of the files that differ from run to run."""

    seed: int
    fixed: dict[str, str]
    varying: frozenset[str]


def report_in(folder: Path) -> Report:
    """The report in a folder, whose manifest must know its files as they are."""
    files = digests(folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    listed = {name: files.get(name) for name in manifest["files"]}
    assert listed == manifest["files"], f"the manifest has other digests: {_differing(listed, manifest['files'])}"
    varying = frozenset(files.keys() & VARYING)
    fixed = {
        name: _without_costs(folder / name) if name.endswith(".html") else files[name]
        for name in files.keys() - varying
    }
    return Report(manifest["seed"], fixed, varying)


def require_whole(output: Path, study: str, states: list[Report | None]) -> int:
    """Which of the states the report is in, as a whole; None among them is no report at all.

    Nothing else may stand under a name that a reader would open: what is in progress is hidden.
    """
    shown = {path.name for path in output.iterdir() if not path.name.startswith(".")} if output.is_dir() else set()
    assert shown <= {study, *INDEX}, f"stray files: {shown - {study, *INDEX}}"
    for page in shown & INDEX:
        assert (output / page).read_text(encoding="utf-8").rstrip().endswith("</html>"), f"{page} is torn"
    if study not in shown:
        assert None in states, "the report has gone"
        return states.index(None)
    found = report_in(output / study)
    closest = min((state for state in states if state), key=lambda state: len(_differing(found.fixed, state.fixed)))
    assert found in states, f"neither report as a whole; differing: {_differing(found.fixed, closest.fixed)}"
    return states.index(found)


def require_finished(output: Path, study: str, reference: Path) -> None:
    """The report is bit for bit that of an undisturbed run, and no name is left that such a run does not leave."""
    whole, found = report_in(reference / study), report_in(output / study)
    assert found == whole, f"other files than those of an undisturbed run: {_differing(found.fixed, whole.fixed)}"
    for page in INDEX:
        assert (output / page).read_bytes() == (reference / page).read_bytes(), f"{page} is not of this report"
    left, missing = tree(output) - tree(reference), tree(reference) - tree(output)
    assert not left, f"left behind: {sorted(left)[:5]}"
    assert not missing, f"missing: {sorted(missing)[:5]}"


def renewed(target: Path, source: Path | None) -> Path:
    """The target folder as a copy of the source, or empty."""
    shutil.rmtree(target, ignore_errors=True)
    if source is None:
        target.mkdir(parents=True)
    else:
        shutil.copytree(source, target, symlinks=True)
    return target


def _differing(one: dict[str, str | None] | dict[str, str], other: dict[str, str]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
