"""Files that a study reads: their digests before it runs, and whether they are still the same while it does."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from clvmodels.data.datasets import DATASETS, PREFIX
from clvmodels.data.files import find_files, stamps_of
from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.files import digest_of_files


@dataclass(frozen=True)
class Inputs:
    """Files by the source that names them, with the SHA-256 of their bytes and their stamps when it was taken."""

    files: dict[str, tuple[Path, ...]]
    digests: dict[str, str]
    stamps: dict[Path, tuple[int, int]]

    def still(self) -> None:
        """Refuse files that someone has written to, by their stamps.

        Raises
        ------
        StudyError
            If there is one.
        """
        for path, stamp in self.stamps.items():
            if not path.is_file() or stamps_of([path]) != {path: stamp}:
                raise _changed(path)

    def still_the_same(self) -> None:
        """Refuse files whose bytes are not those that the study began with.

        Raises
        ------
        StudyError
            If there is one.
        """
        self.still()
        for source, files in self.files.items():
            if digest_of_files(files) != self.digests[source]:
                raise _changed(files[0])


def find_inputs(sources: Iterable[str]) -> Inputs:
    """The files of some sources: paths, globs, folders of Parquet files, or data sets by name.

    Raises
    ------
    DataError
        If there is none for one of them.
    """
    files = {source: _files_of(source) for source in dict.fromkeys(sources)}
    stamps = stamps_of([path for found in files.values() for path in found])
    return Inputs(files, {source: digest_of_files(found) for source, found in files.items()}, stamps)


def _files_of(source: str) -> tuple[Path, ...]:
    if source.startswith(PREFIX):
        dataset = DATASETS.get(source.removeprefix(PREFIX))
        # one that is not known is refused by its reader, and one without a file is in the code
        return (dataset.path,) if dataset is not None and dataset.file and dataset.is_here else ()
    return find_files(source)[0]


def _changed(path: Path) -> StudyError:
    return StudyError(
        f"{path} has changed while the study ran. Nothing was published, and the report is as it was before; run the "
        "study again when nobody writes to it."
    )
