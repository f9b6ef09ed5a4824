"""Digests of sources by their text, without reading what is in them."""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from clvmodels.data.datasets import DATASETS, PREFIX
from clvmodels.data.files import find_files
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.files import digest_of_files


def source_digest(source: str) -> str:
    """SHA-256 of what a source has now, as a study that reads it notes it.

    Parameters
    ----------
    source : path, glob or folder of files, or "dataset:NAME"

    Raises
    ------
    DataError
        If it is not there, or cannot be read.
    """
    if not source.startswith(PREFIX):
        return _digest_of_path(source)
    dataset = DATASETS.get(source.removeprefix(PREFIX))
    if dataset is None:
        raise DataError(f'source = "{source}": no such data set in this version of clvmodels.')
    return survivors_digest(dataset.survivors) if dataset.survivors else _digest_of_path(str(dataset.path))


def survivors_digest(survivors: Mapping[str, Sequence[int]]) -> str:
    """SHA-256 of a table of customers still there after 0, 1, 2, ... renewals, by segment."""
    return hashlib.sha256(msgspec.json.encode(survivors, order="sorted")).hexdigest()


def _digest_of_path(source: str) -> str:
    files, _ = find_files(source)
    try:
        return digest_of_files(files)
    except OSError as problem:
        raise DataError(f"{source}: cannot be read ({problem.strerror}).") from None
