"""Texts inside the engine."""

from collections.abc import Iterable
from typing import Any

import ibis

BETWEEN = "\x1f"


def among(text: Any, words: Iterable[str]) -> Any:
    """Whether a text is one of some words.

    Notes
    -----
    DuckDB makes `IN` with several words a join, for which it works out the text in all rows, also where the text is
    asked for in few of them: for amounts with signs that took a hundred times as long as to read plain ones.
    """
    listed = ibis.literal(BETWEEN + BETWEEN.join(words) + BETWEEN)
    return listed.contains(ibis.literal(BETWEEN).concat(text, BETWEEN))


def stripped(text: Any) -> Any:
    """A text without blanks around it.

    Only a text that begins or ends with a blank is trimmed: DuckDB takes five times as long to trim as to see that.
    """
    blank = (text < "!") | (text.right(1) < "!")
    return blank.ifelse(text.strip(), text)
