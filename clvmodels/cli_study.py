"""The commands `study`, `report` and `cache`. Nothing heavy is imported before a study is known to need a run."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clvmodels.foundation.errors import StudyError
from clvmodels.study.current import STORE, current_folder, index_is_current, note_index
from clvmodels.study.publish import sweep
from clvmodels.study.supervised import end_with_parent, is_supervised, supervise, watch_of_environment

REPORTS = "reports"
WHY = {
    "new": "nothing of it is kept",
    "input": "other bytes of",
    "setting": "another setting of",
    "code": "other code of",
    "version": "another version of",
    "need": "it rests on",
}


def add_study(commands: Any) -> None:
    """The command that runs studies."""
    study = commands.add_parser("study", help="run studies: data to report")
    study.add_argument("files", nargs="+", metavar="FILE", help="study files, such as studies/cdnow.toml")
    study.add_argument("--output", default=REPORTS, help="folder that gets a folder for each study (reports)")
    study.add_argument("--data", help="read this log in place of the study's own source; KEY=PATH for one of a contest")
    study.add_argument("--explain", action="store_true", help="say what would run and why, and run nothing")
    study.set_defaults(run=_study)


def add_report(commands: Any) -> None:
    """The command that makes pages."""
    report = commands.add_parser("report", help="make the pages again from a study's results")
    report.add_argument("folder", help="a study's folder, or its study file")
    report.add_argument("--language", action="append", choices=("en", "zh"), help="only this language; can be repeated")
    report.add_argument("--pdf", action="store_true", help="print each page as PDF too, by a Chromium that is here")
    report.set_defaults(run=_report)


def add_cache(commands: Any) -> None:
    """The command that shows what is kept."""
    cache = commands.add_parser("cache", help="what studies have kept to go on from: show it, or remove what is idle")
    cache.add_argument("--output", default=REPORTS, help="folder of the reports (reports)")
    cache.add_argument("--prune", action="store_true", help="remove what the last run of no study rests on")
    cache.set_defaults(run=_cache)


def run_supervised(arguments: argparse.Namespace) -> int:
    """Studies in a process that is watched; in this one, if it is watched itself, or if there is nothing to do."""
    if is_supervised():
        end_with_parent()
        return int(arguments.run(arguments) or 0)
    if arguments.explain or None not in _current(arguments):
        return int(arguments.run(arguments) or 0)
    data = [] if arguments.data is None else ["--data", arguments.data]
    output = ["--output", arguments.output]
    return supervise([sys.executable, "-m", "clvmodels", "study", *output, *data, "--", *arguments.files])


def _current(arguments: argparse.Namespace) -> list[Path | None]:
    """The folder of each study whose report is as it would be made; None for the others."""
    return [current_folder(Path(file), Path(arguments.output), arguments.data, pages=True) for file in arguments.files]


def _study(arguments: argparse.Namespace) -> int:
    """The exit code is 1 if units of a study failed: the studies after it run before that is said."""
    start, output = time.perf_counter(), Path(arguments.output)
    folders = _current(arguments)
    for folder in folders:
        if folder is not None:
            sys.stderr.write(f"{folder} is up to date\n")
            sweep(output, folder.name)
    waiting = [file for file, folder in zip(arguments.files, folders, strict=True) if folder is None]
    if arguments.explain:
        _explain(waiting, arguments)
    elif waiting or not index_is_current(output):
        _run_studies(waiting, arguments)
        _index(output)
        sys.stderr.write(f"done in {time.perf_counter() - start:.0f} s\n")
    return 0


def _run_studies(files: Sequence[str], arguments: argparse.Namespace) -> None:
    from clvmodels.foundation.errors import UnitsFailedError
    from clvmodels.study import read_study, run_study
    from clvmodels.study.progress import to_stderr

    failed: list[UnitsFailedError] = []
    for file in [read_study(path) for path in files]:  # all are read before the first is run
        try:
            run_study(
                file.path,
                output=arguments.output,
                data=arguments.data,
                tell=to_stderr,
                render=_render,
                watch=watch_of_environment(),
            )
        except UnitsFailedError as problem:
            failed.append(problem)
        else:
            sys.stdout.writelines(f"{page}\n" for page in _pages_of(Path(arguments.output) / file.study.name, ()))
    if failed:
        raise UnitsFailedError("\nclvmodels: ".join(str(problem) for problem in failed))


def _explain(files: Sequence[str], arguments: argparse.Namespace) -> None:
    """A line a unit that a run would make, with the reason."""
    from clvmodels.study import read_study
    from clvmodels.study.run import graph_of, task_for

    for path in files:
        file = read_study(path)
        graph = graph_of(task_for(file, output=arguments.output, data=arguments.data, render=_render))
        kept = sum(unit.codec is not None for unit in graph.units.known.values())
        reasons = graph.units.reasons()
        sys.stdout.write(f"{file.study.name}: {len(reasons)} of {kept} units would run, then the report is published\n")
        for reason in reasons:
            sys.stdout.write(f"  {reason.unit:20} {WHY[reason.kind]} {', '.join(reason.what)}".rstrip() + "\n")


def _cache(arguments: argparse.Namespace) -> None:
    """A line an entry, the latest first; or what was removed."""
    from clvmodels.study.store import Store

    store = Store(Path(arguments.output) / STORE)
    if arguments.prune:
        size = sum(store.size(key) for key, _ in store.entries())
        gone = store.prune()
        left = sum(store.size(key) for key, _ in store.entries())
        sys.stdout.write(f"{len(gone)} entries removed, {(size - left) / 1e6:,.1f} MB; {left / 1e6:,.1f} MB left\n")
        return
    used, total = store.used(), 0
    for key, entry in store.entries():
        size = store.size(key)
        total += size
        idle = "" if key in used else "  idle"
        sys.stdout.write(
            f"{entry.study:20} {entry.unit:24} {size / 1e6:10,.2f} MB {entry.seconds:9.1f} s  {key[:12]}{idle}\n"
        )
    sys.stdout.write(f"{total / 1e6:,.1f} MB in {store.root}; clvmodels cache --prune removes what is idle\n")


def _render(folder: Path) -> None:
    """The pages of a study, in every language that it has."""
    from clvmodels.report.elsewhere import rendered_elsewhere
    from clvmodels.report.reading import read_results

    first, *others = read_results(folder).study.languages
    with rendered_elsewhere(folder, others):
        from clvmodels.report.render import render_report

        render_report(folder, language=first)


def _pages_of(folder: Path, languages: Sequence[str]) -> list[Path]:
    """Where the pages of a study are in some languages; by default in all that it has."""
    from clvmodels.report.reading import read_results
    from clvmodels.report.render import page_names

    results = read_results(folder)
    wanted = languages or results.study.languages
    return [folder / name for language in wanted for name in page_names(results, language)]


def _remove_outdated(folder: Path) -> None:
    """Remove pages of a language or a kind that the study no longer has: their numbers are old."""
    current = {page.name for page in _pages_of(folder, ())}
    for pattern in ("index*.html", "data.html", "data.*.html"):
        for page in folder.glob(pattern):
            if page.name not in current:
                page.unlink()


def _index(folder: Path) -> None:
    """The pages over all studies of a folder; where one of another origin is in the way, a word about it."""
    from clvmodels.report.index import render_index

    try:
        sys.stdout.writelines(f"{page}\n" for page in render_index(folder))
        note_index(folder)
    except StudyError as problem:
        sys.stderr.write(f"no page over all studies: {problem}\n")


def _report(arguments: argparse.Namespace) -> None:
    from clvmodels.report.elsewhere import rendered_elsewhere
    from clvmodels.report.pdf import find_browser, print_page
    from clvmodels.report.reading import read_results
    from clvmodels.study.outputs import note_files

    browser = find_browser() if arguments.pdf else None  # before any work
    folder = _folder_of(arguments.folder)
    first, *others = languages = arguments.language or read_results(folder).study.languages
    with rendered_elsewhere(folder, others):
        from clvmodels.report.render import render_report

        _remove_outdated(folder)
        render_report(folder, language=first)
    pages = _pages_of(folder, languages)
    note_files(folder)
    sys.stdout.writelines(f"{page}\n" for page in pages)
    if browser is not None:
        for page in pages:
            sys.stdout.write(f"{print_page(page, browser)}\n")
    _index_around(folder)  # it links to the pages that are there


def _folder_of(named: str) -> Path:
    """A study's folder, that is named or that its study file leads to."""
    path = Path(named)
    if path.suffix != ".toml":
        return path
    from clvmodels.study.files import read_study

    return Path(REPORTS) / read_study(path).study.name


def _index_around(folder: Path) -> None:
    """The pages over the studies beside one, where the folder of all of them is ours to write to."""
    from clvmodels.report.index import is_index

    around = folder.resolve().parent
    if around.name == REPORTS or is_index(around / "index.html"):
        _index(around)
