"""`verify_report`: whether a study's folder is as its run left it, and its parts belong together."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from clvmodels.data.digests import source_digest, survivors_digest
from clvmodels.foundation.errors import DataError, StudyError
from clvmodels.foundation.files import digest_of_files
from clvmodels.report.origin import content_digest, origin_of
from clvmodels.report.reading import read_results
from clvmodels.report.render import page_names
from clvmodels.study.current import MANIFEST
from clvmodels.study.files import read_study
from clvmodels.study.manifest import FitLine, Manifest, read_json, read_manifest
from clvmodels.study.retention_config import RetentionStudy

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

State = Literal["same", "changed", "missing", "extra", "not checked"]
RESULTS = "results.json"
COSTS = "costs.json"
SURVIVORS = "survivors"  # the source of a study of retention that holds its own table
MOST_RESULTS_BYTES = 2**30
MOST_PAGE_BYTES = 2**28
MOST_EXTRA = 20  # named one by one


@dataclass(frozen=True)
class Finding:
    """What is true of one file, or of what the results rest on. `words` say it to a reader."""

    subject: str
    state: State
    words: str


@dataclass(frozen=True)
class Verification:
    """What was found of a study's folder.

    Attributes
    ----------
    folder : that was looked at
    findings : files first, then pages, the study and the data
    fits : of the study, with the checks that they passed and failed, as the manifest has them
    """

    folder: Path
    findings: tuple[Finding, ...]
    fits: tuple[FitLine, ...] = ()

    @property
    def amiss(self) -> tuple[Finding, ...]:
        """Findings of what does not belong."""
        return tuple(finding for finding in self.findings if finding.state not in ("same", "not checked"))

    @property
    def belongs(self) -> bool:
        """Whether all that could be checked belongs together."""
        return not self.amiss

    @property
    def verdict(self) -> str:
        """One line for a reader."""
        unchecked = sum(finding.state == "not checked" for finding in self.findings)
        rest = f"; {unchecked} could not be checked" if unchecked else ""
        if self.belongs:
            return f"all well: {len(self.findings) - unchecked} checked, all belong together{rest}"
        names = ", ".join(finding.subject for finding in self.amiss)
        return f"not all well: {len(self.amiss)} of {len(self.findings)} do not belong ({names}){rest}"

    @property
    def of_fits(self) -> list[str]:
        """Lines for a reader on the checks of the fits: how many, and those that failed; none without fits."""
        if not self.fits:
            return []
        passed = sum(sum(fit.checks.values()) for fit in self.fits)
        every = sum(len(fit.checks) for fit in self.fits)
        return [
            f"checks of {len(self.fits)} fits: {passed} of {every} passed",
            *(_failure(fit) for fit in self.fits if fit.failed),
        ]

    def to_pandas(self) -> "pd.DataFrame":
        """A frame with a row a finding: subject, state, words."""
        import pandas as pd

        return pd.DataFrame([asdict(finding) for finding in self.findings], columns=["subject", "state", "words"])


def _failure(fit: FitLine) -> str:
    """What a fit has failed, and what came of it."""
    by = f" by {fit.method}" if fit.method else ""
    outcome = "the study allows it" if set(fit.failed) <= set(fit.allowed) else "it was left out"
    return f"{fit.model}{by}, {fit.learnt_from}: failed {', '.join(fit.failed)}; {outcome}"


class _Info(msgspec.Struct):
    """What results.json says of where it comes from, in a study of any kind."""

    study_digest: str
    seed: int
    source: str = ""
    data_digest: str = ""
    sources: dict[str, str] = {}
    data_digests: dict[str, str] = {}


class _ContestData(msgspec.Struct):
    key: str
    source: str
    kind: str


class _Head(msgspec.Struct):
    """The part of results.json that is read whatever version wrote it."""

    study: _Info
    kind: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")


@dataclass(frozen=True)
class _Source:
    """A source by its key: its text, "" where there is none to read, and the digest that the results name."""

    key: str
    text: str
    digest: str


def verify_report(
    folder: str | Path, data: str | Sequence[str] | None = None, *, study: str | Path | None = None
) -> Verification:
    """Whether a study's folder is as its run left it, its pages are of its results, and those of their study and data.

    Parameters
    ----------
    folder : of a study, with manifest.json
    data : where the data are now, if not where results.json says; "KEY=PATH" for one of several sources
    study : the study file; by default one of its name is looked for in the present folder, in `studies`, and beside
        the folders of reports

    Raises
    ------
    StudyError
        If the folder has no manifest or a damaged one, or `data` or `study` cannot be what they are said to be.
    DataError
        If `data` are not there.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StudyError(f"{folder}: no such folder. Give the folder of a study, such as reports/cdnow.")
    manifest = read_manifest(folder)
    head = _head(folder)
    place = _study_file(folder, manifest, study)
    findings = [
        *_files(folder, manifest),
        *_pages(folder, manifest),
        *_extra(folder, manifest),
        *(_agreement(manifest, head) if head is not None else ()),
        _study(manifest, place),
        *_data(head, data, place),
        *_inputs(manifest, place),
    ]
    return Verification(folder, tuple(findings), manifest.fits)


def _head(folder: Path) -> _Head | None:
    """What the results say of themselves; None where they are not there or damaged, which their digest tells."""
    try:
        return read_json(folder / RESULTS, _Head, most_bytes=MOST_RESULTS_BYTES)
    except StudyError:
        return None


# Files


def _files(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    """A finding for each file that the manifest names, but for pages, which say themselves where they come from."""
    for name, digest in manifest.files.items():
        if _is_page(name):
            continue
        problem = _no_plain_file(folder, folder / name)
        if problem is not None:
            yield Finding(name, *problem)
        elif _digest(folder / name) == digest:
            yield Finding(name, "same", "as the run left it")
        else:
            yield Finding(name, "changed", "not what the run left: its digest is another")


def _no_plain_file(folder: Path, path: Path) -> tuple[State, str] | None:
    """What is wrong with a file before it is opened; links are not followed."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "missing", "the run left it, and it is gone"
    except OSError as problem:
        return "changed", f"cannot be read ({problem.strerror})"
    if stat.S_ISLNK(mode) or not path.parent.resolve().is_relative_to(folder.resolve()):
        return "changed", "is a link, which no run leaves; it was not followed"
    if not stat.S_ISREG(mode):
        return "changed", "is no plain file"
    return None if os.access(path, os.R_OK) else ("changed", "cannot be read (no permission)")


def _digest(path: Path) -> str:
    try:
        return digest_of_files([path])
    except OSError:  # gone or locked meanwhile: in any case not what the run left
        return ""


def _extra(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    """Files that no run of the study left, and those that it leaves without a digest."""
    known = {MANIFEST, *manifest.files, *(page.name for page in _pages_there(folder))}
    has_draws = any(name.startswith("draws/") for name in manifest.files)
    extra = []
    for name in _names_in(folder):
        if name in known:
            continue
        unnoted = name == COSTS or (name.startswith("draws/") and not has_draws)
        if unnoted or (name.endswith(".pdf") and name.removesuffix(".pdf") + ".html" in known):
            yield Finding(name, "not checked", "the manifest has no digest of it")
        else:
            extra.append(name)
    for name in extra[:MOST_EXTRA]:
        yield Finding(name, "extra", "not from the run that left this folder")
    if len(extra) > MOST_EXTRA:
        yield Finding(f"{len(extra) - MOST_EXTRA} more files", "extra", "not from the run that left this folder")


def _names_in(folder: Path) -> Iterator[str]:
    """Every file and link below a folder, in the order of names; links to folders are not followed."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in sorted([*files, *links]):
            yield (Path(place) / name).relative_to(folder).as_posix()


# Pages


def _is_page(name: str) -> bool:
    return name.endswith(".html") and "/" not in name


def _pages(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    """A finding for each page that is there or should be."""
    is_plain = _no_plain_file(folder, folder / RESULTS) is None
    results, expected = (_digest(folder / RESULTS), _pages_expected(folder)) if is_plain else ("", [])
    noted = filter(_is_page, manifest.files)
    for name in dict.fromkeys([*expected, *noted, *(page.name for page in _pages_there(folder))]):
        page = folder / name
        problem = _no_plain_file(folder, page)
        if problem is not None and problem[0] == "missing":
            yield Finding(name, "missing", "`clvmodels report` makes it again")
        elif problem is not None:
            yield Finding(name, *problem)
        else:
            yield Finding(name, *_origin(page, results))


def _pages_there(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.html"))


def _pages_expected(folder: Path) -> list[str]:
    """Names of the pages of all languages of the study; none where its results cannot be read."""
    try:
        results = read_results(folder)
    except (StudyError, OSError, ValueError, RecursionError):  # what is wrong with the file, its digest tells
        return []
    return [name for language in results.study.languages for name in page_names(results, language)]


def _origin(page: Path, results: str) -> tuple[State, str]:
    """Whether a page was made from the results beside it, and shows what it showed then."""
    try:
        if page.stat().st_size > MOST_PAGE_BYTES:
            return "changed", "larger than any page of a study"
        text = page.read_bytes()
    except OSError as problem:
        return "changed", f"cannot be read ({problem.strerror})"
    origin = origin_of(text)
    if origin.results is None or origin.content is None:
        return "changed", "does not say which results it was made from; `clvmodels report` makes it again"
    if origin.results != results:
        return "changed", f"made from other results ({origin.results[:12]}); `clvmodels report` makes it again"
    if origin.content != content_digest(text):
        return "changed", "made from these results, but edited or cut since"
    return "same", "made from these results"


# Study and data


def _agreement(manifest: Manifest, head: _Head) -> Iterator[Finding]:
    """Whether results and manifest are of one run."""
    info = head.study
    digests = {manifest.data_digest} if manifest.data_digest else set(manifest.data_digests.values())
    named = {info.data_digest} if info.data_digest else {*info.sources.values(), *info.data_digests.values()}
    one = (info.study_digest, info.seed) == (manifest.study_digest, manifest.seed) and digests <= named
    state: State = "same" if one else "changed"
    words = "name the same study, seed and data" if one else "name another study, seed or data: two runs are mixed"
    yield Finding(f"{RESULTS} and {MANIFEST}", state, words)


def _study_file(folder: Path, manifest: Manifest, study: str | Path | None) -> Path | None:
    """The study file: as it is given, or the first of its name, one with the manifest's digest before others."""
    if study is not None:
        if not Path(study).is_file():
            raise StudyError(f"{study}: no such study file.")
        return Path(study)
    name = Path(manifest.study).name
    around = folder.resolve().parent
    places = (Path(), Path("studies"), around, around.parent, around.parent / "studies")
    found = [place / name for place in places if name and (place / name).is_file()]
    return next((path for path in found if _digest(path) == manifest.study_digest), found[0] if found else None)


def _study(manifest: Manifest, place: Path | None) -> Finding:
    subject = f"study {Path(manifest.study).name}"
    if place is None:
        return Finding(subject, "not checked", "the study file was not found; name it with --study")
    if _digest(place) == manifest.study_digest:
        return Finding(subject, "same", f"the results are of {place}")
    return Finding(subject, "changed", f"{place} is not the file that the results are of, or was changed since")


def _data(head: _Head | None, data: str | Sequence[str] | None, study: Path | None) -> Iterator[Finding]:
    """A finding for each source that the results name."""
    if head is None:
        yield Finding("data", "not checked", f"{RESULTS} cannot be read")
        return
    sources = _sources(head)
    elsewhere = _elsewhere(data, sources)
    for source in sources:
        subject = "data" if len(sources) == 1 else f"data {source.key}"
        place = elsewhere.get(source.key)
        if place is not None:
            yield _held_against(subject, source, place, source_digest(place))
            continue
        try:
            yield _held_against(subject, source, source.text, _digest_now(source, study))
        except (DataError, StudyError) as problem:
            yield Finding(subject, "not checked", str(problem))


def _sources(head: _Head) -> list[_Source]:
    info = head.study
    if head.kind == "retention":
        return [_Source(name, name, digest) for name, digest in info.sources.items()]
    if head.kind == "contest":
        try:
            listed = msgspec.json.decode(head.data, type=list[_ContestData])
        except msgspec.DecodeError:
            listed = []
        texts = {data.key: data.source for data in listed if data.kind != "simulated"}
        return [_Source(key, texts.get(key, ""), digest) for key, digest in info.data_digests.items()]
    return [_Source("data", info.source, info.data_digest)]


def _elsewhere(data: str | Sequence[str] | None, sources: Sequence[_Source]) -> Mapping[str, str]:
    """Where sources are now, by key; without a key the first source is meant, which is a study's own."""
    given = [data] if isinstance(data, str) else list(data or ())
    keys = [source.key for source in sources]
    places = {}
    for text in given:
        key, equals, path = text.partition("=")
        if equals and key in keys:
            places[key] = path
        elif len(keys) == 1:
            places[keys[0]] = text
        else:
            raise StudyError(f'data = "{text}": the results have several sources; expected one of {_choices(keys)}.')
    return places


def _choices(keys: Sequence[str]) -> str:
    return ", ".join(f"{key}=PATH" for key in keys)


def _digest_now(source: _Source, study: Path | None) -> str:
    """The digest of a source as it is now."""
    if not source.text:
        raise DataError("simulated by the study itself, from its seed")
    if source.text != SURVIVORS:
        return source_digest(source.text)
    if study is None:
        raise DataError("the table stands in the study file, which was not found")
    file: Any = read_study(study)
    if not isinstance(file.study, RetentionStudy):
        raise DataError(f"the table stands in the study file, and {study} is of another kind")
    return survivors_digest(file.study.contracts.survivors)


def _held_against(subject: str, source: _Source, place: str, digest: str) -> Finding:
    if digest == source.digest:
        return Finding(subject, "same", f"the results are of {place}")
    return Finding(subject, "changed", f"{place} is not what the results are of, or was changed since")


def _inputs(manifest: Manifest, study: Path | None) -> Iterator[Finding]:
    """A finding for each further file that the study read, seen from here, as data are, or from the study file."""
    for name, digest in manifest.inputs.items():
        places = [Path(name), *([] if study is None else [study.parent / name])]
        found = {_digest(path) for path in places if path.is_file()}
        if not found:
            yield Finding(f"input {name}", "not checked", "it is not there")
        elif digest in found:
            yield Finding(f"input {name}", "same", "as the run read it")
        else:
            yield Finding(f"input {name}", "changed", "changed since the run read it")
