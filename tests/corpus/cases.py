"""Cases of the corpus, as their TOML files say them.

A file names the entry that its cases are given to (`call`); a case says what is given and what is right: `refused`,
words that the message holds (what is wrong, where, how to fix it), or `read`, exact values of the answer. A case with
both is right either way: it may be refused, and if it is read, then so.
"""

import tomllib
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).parent


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is given, and what is right.

    The input is one of: `rows` of a text file under `header`; a whole `text`; several `files` by name; a pandas
    `frame`; what the function `build` of givens.py makes; or any value as the `source` itself.
    """

    name: str
    header: str = "customer_id,date,amount"
    rows: tuple[str, ...] | None = None
    text: str | None = None
    files: dict[str, str] = {}
    frame: dict[str, list[Any]] | None = None
    build: str | None = None
    source: Any = msgspec.UNSET
    file: str = "log.csv"
    encoding: str = "utf-8"
    model: str = "bg_nbd"
    options: dict[str, Any] = {}
    window: dict[str, Any] = {}
    arguments: tuple[str, ...] = ()
    swap: dict[str, str] = {}
    refused: tuple[str, ...] | None = None
    read: dict[str, Any] | None = None
    warns: str | None = None


def cases() -> list[tuple[str, Case]]:
    """The entry and the case, of every file."""
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        found += [(content["call"], msgspec.convert(case, Case)) for case in content["case"]]
    return found
