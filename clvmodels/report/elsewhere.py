"""Pages of further languages in processes of their own. Nothing heavy is imported before those are at work."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def rendered_elsewhere(folder: Path, languages: Sequence[str]) -> Iterator[None]:
    """A block beside which a study's pages are made in some languages, as `render_report` makes them.

    The block's end awaits them. Figures take most of the time, and no two languages share one. With a single processor
    the pages are made after the block, in this process; the bytes are the same either way.
    """
    if not languages or (os.cpu_count() or 1) < 2:
        yield
        for language in languages:
            _render(folder, language)
        return
    # a process that is forked would take over locks of threads that it does not have
    with ProcessPoolExecutor(len(languages), mp_context=multiprocessing.get_context("spawn")) as pool:
        made = [pool.submit(_render, folder, language) for language in languages]
        yield
        for page in made:
            page.result()


def _render(folder: Path, language: str) -> None:
    from clvmodels.report.render import render_report

    render_report(folder, language=language)
