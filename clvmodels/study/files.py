"""Study files: of purchases, or with a kind of retention, or of a contest."""

from dataclasses import dataclass
from pathlib import Path

from clvmodels.foundation.errors import StudyError
from clvmodels.study.config import Study, purchase_study
from clvmodels.study.contest_config import ContestStudy, contest_study
from clvmodels.study.retention_config import RetentionStudy, retention_study
from clvmodels.study.strict import read_toml


@dataclass(frozen=True)
class StudyFile[Kind: Study | RetentionStudy | ContestStudy]:
    """A study with where it came from; `digest` is the SHA-256 of the file's bytes."""

    study: Kind
    path: Path
    digest: str


def read_study(path: str | Path) -> StudyFile[Study] | StudyFile[RetentionStudy] | StudyFile[ContestStudy]:
    """The study in a TOML file.

    Raises
    ------
    StudyError
        If the file is missing or not TOML, or a key or a word in it is not known.
    """
    toml = read_toml(Path(path))
    kind = toml.content.get("kind")
    if kind == "retention":
        return StudyFile(retention_study(toml), toml.path, toml.digest)
    if kind == "contest":
        return StudyFile(contest_study(toml), toml.path, toml.digest)
    if kind is not None:
        raise StudyError(
            f'{toml.path}, kind = {kind!r}: expected "retention" or "contest", or no kind for a study of purchases.'
        )
    return StudyFile(purchase_study(toml), toml.path, toml.digest)
