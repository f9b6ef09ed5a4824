"""Pages as PDF, printed by the Chromium that is on the machine."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.files import whole

NAMED_BY = "CLVMODELS_BROWSER"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
TIME_LIMIT = 300.0  # seconds for one page
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-pdf-header-footer",
)


def find_browser() -> str:
    """The program that prints: the one named by $CLVMODELS_BROWSER, or a Chromium or Chrome on the path.

    Raises
    ------
    StudyError
        If there is none, or the one that is named is no program.
    """
    named = os.environ.get(NAMED_BY)
    if named:
        found = shutil.which(named)
        if found is None:
            raise StudyError(f"{NAMED_BY} = {named}: no such program. Name a Chromium or Chrome, or unset it.")
        return found
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise StudyError(
            f"a PDF is printed by Chromium or Chrome, and none of {', '.join(BROWSERS)} is on the path. Install one "
            f"(Debian: apt install chromium), or name it in {NAMED_BY}. Pages are made without one."
        )
    return found


def print_page(page: Path, browser: str, *, time_limit: float = TIME_LIMIT) -> Path:
    """The PDF of a page, written beside it under its name; whole, or as it was before.

    Parameters
    ----------
    page : a page that `render_report` wrote
    browser : see `find_browser`
    time_limit : seconds

    Raises
    ------
    StudyError
        If the browser fails, takes longer, or leaves no PDF.
    """
    target = page.with_suffix(".pdf")
    with whole(target) as partial, tempfile.TemporaryDirectory(prefix="clvmodels-") as profile:
        command = [
            browser,
            *FLAGS,
            *(["--no-sandbox"] if _is_root() else []),  # Chromium's sandbox refuses to run as root
            f"--user-data-dir={profile}",
            f"--print-to-pdf={partial.resolve()}",
            page.resolve().as_uri(),
        ]
        _run(command, page, time_limit)
        if not partial.is_file() or partial.read_bytes()[:5] != b"%PDF-":
            raise StudyError(f"{browser} left no PDF of {page}. Open the page in it and print by hand to see why.")
    return target


def _run(command: list[str], page: Path, time_limit: float) -> None:
    try:
        subprocess.run(command, capture_output=True, timeout=time_limit, check=True, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise StudyError(f"{command[0]} took longer than {time_limit:g} s to print {page}.") from None
    except subprocess.CalledProcessError as problem:
        said = problem.stderr.decode(errors="replace").strip().splitlines()
        last = said[-1] if said else "it said nothing"
        raise StudyError(f"{command[0]} could not print {page} (exit code {problem.returncode}): {last}") from None
    except OSError as problem:
        raise StudyError(f"{command[0]} cannot be run ({problem.strerror}). Name another in {NAMED_BY}.") from None


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
