"""Pictures of a study's pages for the README: desktop and phone, in each language, by Chromium.

    python scripts/gallery.py reports/cdnow

writes reports/gallery/<study>-<language>-<width>.png and, in the dark theme, <study>-en-dark.png. The
browser is Debian's chromium or the one that $CHROMIUM names; without one nothing is drawn and the exit
code says so.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PAGES = {"en": "index.html", "zh": "index.zh.html"}
DESKTOP, PHONE = (1280, 1960), (390, 1960)
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]
DARK = "--blink-settings=preferredColorScheme=0"


def picture(chromium: str, page: Path, target: Path, size: tuple[int, int], *options: str) -> None:
    """Draw the top of a page as PNG."""
    with tempfile.TemporaryDirectory() as profile:
        where = [f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}", f"--screenshot={target}"]
        command = [chromium, *QUIET, *options, *where, page.resolve().as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    with Image.open(target) as drawn:
        drawn.convert("RGB").quantize(256).save(target, optimize=True)  # a third of the bytes, no visible change
    print(f"{target}: {target.stat().st_size / 1e3:.0f} kB")


def main() -> int:
    parser = argparse.ArgumentParser(description="Draw pictures of a study's pages.")
    parser.add_argument("folder", type=Path, help="a study's folder, with index.html")
    parser.add_argument("--output", type=Path, default=Path("reports/gallery"))
    arguments = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        print("no Chromium found: install it, or name one in $CHROMIUM", file=sys.stderr)
        return 1
    arguments.output.mkdir(parents=True, exist_ok=True)
    study = arguments.folder.resolve().name
    for language, name in PAGES.items():
        for size in (DESKTOP, PHONE):
            target = (arguments.output / f"{study}-{language}-{size[0]}.png").resolve()
            picture(chromium, arguments.folder / name, target, size)
    target = (arguments.output / f"{study}-en-dark.png").resolve()
    picture(chromium, arguments.folder / PAGES["en"], target, DESKTOP, DARK)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
