"""Where a page comes from: it names the results that it was made from, and the digest of what it shows."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clvmodels.foundation.any_results import Results
from clvmodels.foundation.files import digest_of_files

CHARSET = '<meta charset="utf-8">'
HEAD_BYTES = 4096  # of a page, within which its origin stands
COSTS = b"<!-- costs -->", b"<!-- /costs -->"  # they differ from run to run
FONTS = b"@font-face{", b"}"  # they hold the letters of the costs
RESULTS_MARK = re.compile(rb'<meta name="clvmodels-results" content="([0-9a-f]{64})">')
CONTENT_MARK = re.compile(rb'<meta name="clvmodels-content" content="([0-9a-f]{64})">')


@dataclass(frozen=True)
class Origin:
    """What a page says of itself: SHA-256 of its results.json, and of what it shows; None where it does not say."""

    results: str | None
    content: str | None


def with_origin(page: str, results_digest: str) -> str:
    """A page that says which results it was made from, and what it shows."""
    named = page.replace(CHARSET, f'{CHARSET}\n<meta name="clvmodels-results" content="{results_digest}">', 1)
    mark = f'<meta name="clvmodels-content" content="{content_digest(named.encode())}">'
    return named.replace(CHARSET, CHARSET + mark, 1)


def origin_of(page: bytes) -> Origin:
    """What a page says of itself, near its beginning."""
    found = [mark.search(page[:HEAD_BYTES]) for mark in (RESULTS_MARK, CONTENT_MARK)]
    return Origin(*(match and match[1].decode() for match in found))


def content_digest(page: bytes) -> str:
    """SHA-256 of a page without its fonts, what the run cost, and what it says of this digest."""
    shown = _without(_without(page, *COSTS), *FONTS)
    return hashlib.sha256(CONTENT_MARK.sub(b"", shown, count=1)).hexdigest()


def _without(page: bytes, start: bytes, end: bytes) -> bytes:
    """A page without what stands between two marks, the marks included."""
    first, *parts = page.split(start)
    return first + b"".join(part.partition(end)[2] if end in part else start + part for part in parts)


def results_digest(results: Results, folder: Path | None) -> str:
    """SHA-256 of the results.json that has these results: of a folder, or as it would be written."""
    if folder is None:
        return hashlib.sha256(msgspec.json.format(msgspec.json.encode(results), indent=1)).hexdigest()
    return digest_of_files([folder / "results.json"])
