"""Pseudonyms of customers: keyed hashes in place of ids, which nobody without the key can undo by trying ids."""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from clvmodels.data.engines import duckdb, engine_of, in_duckdb, materialise
from clvmodels.foundation.errors import DataError, EngineLimitError, LimitError

LEAST_KEY = 32  # bytes: no shorter key stands against someone who tries keys
LEAST_LETTERS = 8  # different ones of a key: fewer are no secret but a placeholder
PSEUDONYM = 10  # bytes of the hash, 80 bits: two of 10,000,000 customers share one with a chance of 4e-11
MARKED = 8  # bytes by which one key is told from another


class SharedPseudonymError(DataError):
    """Two customers have one pseudonym; it says nothing of them."""


@dataclass(frozen=True)
class Pseudonyms:
    """Names in place of ids: HMAC-SHA256 of the id under a key, 80 bits of it in 16 letters and digits.

    Without the key an id cannot be found by trying all ids, as it could from a plain hash; and the order of names
    tells nothing of the order of ids.

    Attributes
    ----------
    key : secret, at least 32 bytes; it is in no representation, message or file
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        key: Any = self.key  # whatever a caller gave
        if not isinstance(key, bytes) or len(key) < LEAST_KEY or len(set(key)) < LEAST_LETTERS:
            raise DataError(
                f"the key of pseudonyms is not bytes, at least {LEAST_KEY} of them and {LEAST_LETTERS} different. "
                "Take what `openssl rand -hex 32` prints."
            )

    def of(self, customer_id: str) -> str:
        """The name of a customer."""
        return base64.b32encode(self._keyed(b"customer", customer_id)[:PSEUDONYM]).decode().lower()

    @property
    def mark(self) -> str:
        """Tells whether two runs had one key, and nothing of it."""
        return self._keyed(b"mark", "")[:MARKED].hex()

    def _keyed(self, purpose: bytes, text: str) -> bytes:
        message = purpose + b"\0" + text.encode("utf-8", "surrogatepass")
        return hmac.digest(self.key, message, hashlib.sha256)


def renamed(lines: Any, columns: Sequence[str], pseudonyms: Pseudonyms) -> tuple[Any, Any]:
    """The lines with names for the ids in some columns, and a table of all names: customer_id, written.

    Both are kept in the DuckDB of this process.

    Raises
    ------
    SharedPseudonymError
        If two ids come to one name.
    """
    here = lines if engine_of(lines).connection is duckdb() else in_duckdb(lines.to_pyarrow())
    ids = {written for name in columns for written in here.select(name).distinct().to_pyarrow()[name].to_pylist()}
    names = _names(ids - {None}, pseudonyms)
    for name in columns:  # each kept before the next: one expression cannot join the names twice
        own = names.select(written_id=names.written, named=names.customer_id)
        joined = here.left_join(own, here[name] == own.written_id)
        here = materialise(joined.select(**{old: joined["named" if old == name else old] for old in here.columns}))
    return here, names


def _names(ids: set[str], pseudonyms: Pseudonyms) -> Any:
    """A table with a row an id, in the order of names."""
    rows = sorted((pseudonyms.of(written), written) for written in ids)
    if len({name for name, _ in rows}) < len(rows):
        raise SharedPseudonymError("two customers come to one pseudonym, by a rare chance. Take another key.")
    named, written = ([row[place] for row in rows] for place in (0, 1))
    return materialise(
        in_duckdb(pa.table({"customer_id": pa.array(named, pa.string()), "written": pa.array(written, pa.string())}))
    )


@contextmanager
def withheld(source: str, pseudonyms: Pseudonyms | None) -> Iterator[None]:
    """Where ids are to be replaced, what is wrong with a source is said without what the source holds.

    Raises
    ------
    DataError
        In place of one that may have ids in it.
    """
    try:
        yield
    except (EngineLimitError, LimitError, SharedPseudonymError):  # which have nothing of rows
        raise
    except DataError:
        if pseudonyms is None:
            raise
        raise DataError(
            f"{source}: cannot be read as it is. What is wrong is told by rows and values, which are kept out of "
            "messages where customers go by pseudonyms: read it without them, such as by `clvmodels summarize`, to "
            "see what it is."
        ) from None
