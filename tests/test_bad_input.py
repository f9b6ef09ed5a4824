"""The corpus of bad and nasty inputs: each is refused with what, where and how to fix it, or read exactly right.

No case may be answered wrong in silence, raise anything but our own errors, or take longer than `SECONDS`.
"""

import faulthandler
import io
import math
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.cli import main
from clvmodels.data.rereading import alternatives, choices
from tests.conftest import BG_NBD_PAPER, GAMMA_GAMMA_PAPER
from tests.corpus import givens
from tests.corpus.cases import Case, cases

SECONDS = 20
SAID = (UserWarning, RuntimeWarning)  # others are of libraries to each other
CASES = cases()


class RefusedError(Exception):
    """What a command says as it ends with exit code 2."""


REFUSALS = (clv.DataError, clv.FitError, clv.StudyError, RefusedError)


@contextmanager
def in_time() -> Iterator[None]:
    def stop(*_):
        raise TimeoutError(f"no answer in {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    faulthandler.dump_traceback_later(3 * SECONDS, exit=True, file=sys.__stderr__)  # where C does not let go
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# --- what is given ---


def given(case: Case, folder: Path) -> Any:
    """The source of a case: a value, a frame, or a path in the folder."""
    if case.source is not msgspec.UNSET:
        return case.source
    if case.build is not None:
        return getattr(givens, case.build)(folder)
    if case.frame is not None:
        return pd.DataFrame(case.frame)
    for name, text in case.files.items():
        (folder / name).write_text(text, encoding=case.encoding, newline="")
    if case.rows is not None or case.text is not None:
        text = "\n".join([case.header, *case.rows, ""]) if case.text is None else case.text
        (folder / case.file).write_bytes(text.encode(case.encoding))
    return folder / case.file


# --- what comes back ---


@dataclass(frozen=True)
class LogAnswer:
    """A log, and its summaries where the case has a window."""

    log: clv.TransactionLog
    customers: clv.CustomerSummary | None
    holdout: Any

    def value(self, key: str, expected: Any) -> Any:
        return getattr(self, f"of_{key}", lambda _: getattr(self.customers, key).tolist())(expected)

    def rows(self):
        return self.log.table.order_by("customer_id", "date").to_pyarrow().to_pylist()

    def of_ids(self, _):
        return sorted({row["customer_id"] for row in self.rows()})

    def of_id_lengths(self, _):
        return sorted(len(name) for name in self.of_ids(None))

    def of_days(self, _):
        return [[row["customer_id"], row["date"], row["amount"]] for row in self.rows()]

    def of_ledger(self, _):
        return {line.reason: line.rows for line in self.log.ledger}

    def of_notes(self, expected):
        """The notes that the case names; others may be there."""
        return {line.reason: line.rows for line in self.log.notes if line.reason in expected}

    def of_joined_or_noted(self, expected):
        """The one id, or one more and a note of it."""
        name, note = expected
        noted = [line.reason for line in self.log.notes if line.reason == note]
        return expected if self.of_ids(None) == [name] or (len(self.of_ids(None)) == 2 and noted) else self.of_ids(None)

    def of_set_aside(self, _):
        return {line.reason: line.rows for line in self.customers.set_aside}

    def of_holdout(self, _):
        return self.holdout.purchases.tolist()


def read_transactions(case: Case, folder: Path) -> LogAnswer:
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in case.options.items()}
    log = clv.read_transactions(given(case, folder), **options)
    assert sum(line.rows for line in log.ledger) == log.rows_read
    if not case.window:
        return LogAnswer(log, None, None)
    window = clv.Window(**case.window)
    customers = clv.customer_summary(log, window)
    return LogAnswer(log, customers, clv.holdout_summary(log, window) if window.holdout_end else None)


@dataclass(frozen=True)
class ColumnsAnswer:
    """A record with a column a key."""

    record: Any

    def value(self, key: str, expected: Any) -> Any:
        if key in ("ledger", "set_aside"):
            return {line.reason: line.rows for line in getattr(self.record, key)}
        if key == "finite":
            return bool(np.isfinite(self.record.mean).all())
        return getattr(self.record, key).tolist()


def from_frame(case: Case, folder: Path) -> ColumnsAnswer:
    return ColumnsAnswer(clv.CustomerSummary.from_frame(given(case, folder), **{"unit": "week", **case.options}))


def summary(case: Case, folder: Path) -> Any:
    """The customers of a case: of its frame, what its builder makes, else those of givens.py."""
    if case.frame is not None:
        return clv.CustomerSummary.from_frame(pd.DataFrame(case.frame), unit="week")
    return getattr(givens, case.build or "customers")(folder)


@dataclass(frozen=True)
class FitAnswer:
    """A fit whose numbers are finite, or not."""

    fit: clv.Fit

    def value(self, key: str, expected: Any) -> Any:
        return all(map(math.isfinite, (self.fit.log_likelihood, *self.fit.point.values())))


def fit(case: Case, folder: Path) -> FitAnswer:
    return FitAnswer(clv.fit(case.model, summary(case, folder), **{"method": "mle", **case.options}))


def predict(case: Case, folder: Path) -> ColumnsAnswer:
    known = clv.fit_at("bg_nbd", BG_NBD_PAPER, unit="week")
    return ColumnsAnswer(clv.predict(known, summary(case, folder), **case.options))


def sample_clv(case: Case, folder: Path) -> ColumnsAnswer:
    spend = clv.fit_at("gamma_gamma", GAMMA_GAMMA_PAPER, unit="week")
    known = spend if case.model == "gamma_gamma" else clv.fit_at("bg_nbd", BG_NBD_PAPER, unit="week")
    plain = {"horizon": 39, "annual_discount_rate": 0.1, "seed": 1, "draws": 10}
    return ColumnsAnswer(clv.sample_clv(known, spend, summary(case, folder), **plain | case.options))


def retention_table(case: Case, folder: Path) -> ColumnsAnswer:
    return ColumnsAnswer(clv.retention_table(given(case, folder), **{"unit": "month", **case.options}))


def from_survivors(case: Case, folder: Path) -> ColumnsAnswer:
    return ColumnsAnswer(clv.RetentionTable.from_survivors(given(case, folder), **{"unit": "month", **case.options}))


# --- commands ---


@dataclass(frozen=True)
class FilesAnswer:
    """What a command wrote."""

    folder: Path

    def value(self, key: str, expected: dict[str, Any]) -> Any:
        return {name: getattr(self, f"of_{key}")(self.folder / name, wanted) for name, wanted in expected.items()}

    def of_wrote(self, path: Path, wanted: str) -> str:
        text = path.read_text(encoding="utf-8")
        return wanted if wanted in text else text

    def of_ids_of(self, path: Path, _) -> list[str]:
        read = (
            pd.read_parquet
            if path.suffix == ".parquet"
            else lambda file: pd.read_csv(file, dtype=str, keep_default_na=False)
        )
        return read(path)["customer_id"].tolist()


def told(arguments: list[str]) -> None:
    """Run a command; its message where it is refused."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as ended:  # of argparse
            code = ended.code
    assert "Traceback" not in err.getvalue()
    assert code in (0, 2)
    if code:
        raise RefusedError(err.getvalue())


def command(case: Case, folder: Path) -> FilesAnswer:
    """Run the arguments of a case beside a summary, a fit, a fit that was cut, a study, and a file of yesterday."""
    given(case, folder)
    places = {name: folder / file for name, file in FILES.items()} | {"folder": folder, "log": folder / case.file}
    places["old"].write_text("of yesterday\n")
    givens.plain_frame_of_customers(folder).to_csv(places["summary"], index=False)
    clv.fit_at("bg_nbd", BG_NBD_PAPER, unit="week").save(places["fit"])
    places["cut_fit"].write_bytes(places["fit"].read_bytes()[:-2000])
    places["study"].write_text(givens.STUDY.replace("{folder}", folder.as_posix()))
    try:
        told([argument.format(**places) for argument in case.arguments])
    finally:
        assert places["old"].read_text() == "of yesterday\n"
    return FilesAnswer(folder)


def study(case: Case, folder: Path) -> FilesAnswer:
    """Run the study of a case over an earlier one's results."""
    if case.rows is None and case.text is None:
        givens.shop([f"{place:05d}" for place in range(40)]).to_csv(folder / "log.csv", index=False)
    given(case, folder)
    text = givens.STUDY
    for old, new in case.swap.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "study.toml").write_text(text.replace("{folder}", folder.as_posix()))
    earlier = folder / "reports" / "odd" / "results.json"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("of yesterday\n")
    try:
        told(["study", str(folder / "study.toml"), "--output", str(folder / "reports")])
    finally:
        reports = folder / "reports"
        files = {path.relative_to(reports) for path in reports.rglob("*") if path.is_file()}
        kept = {path for path in files if path.parts[0] == ".cache"}  # what a later run goes on from
        assert files - kept == {earlier.relative_to(reports)}
        assert earlier.read_text() == "of yesterday\n"
    return FilesAnswer(folder)


FILES = {"old": "old.csv", "summary": "summary.csv", "fit": "fit.nc", "cut_fit": "cut.nc", "study": "study.toml"}
ENTRIES: dict[str, Callable[[Case, Path], Any]] = {
    "read_transactions": read_transactions,
    "from_frame": from_frame,
    "fit": fit,
    "predict": predict,
    "sample_clv": sample_clv,
    "retention_table": retention_table,
    "from_survivors": from_survivors,
    "main": command,
    "study": study,
}


# --- what is right ---


def same(ours: Any, expected: Any) -> bool:
    """Equal, NaN to NaN."""
    if isinstance(expected, list):
        return len(ours) == len(expected) and all(map(same, ours, expected))
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(ours, float) and math.isnan(ours)
    return bool(ours == expected)


def require_answer(answer: Any, case: Case) -> None:
    assert case.read is not None, f"read, though it is to be refused: {answer}"
    for key, expected in case.read.items():
        ours = answer.value(key, expected)
        assert same(ours, expected), f"{key}: {ours}, not {expected}"


def require_message(message: str, case: Case) -> None:
    assert case.refused is not None, f"refused, though it is to be read: {message}"
    for words in case.refused:
        assert words.lower() in message.lower(), f'"{words}" is not said by: {message}'


@pytest.mark.parametrize(("entry", "case"), CASES, ids=[f"{entry}: {case.name}" for entry, case in CASES])
def test_bad_input_is_refused_with_its_place_or_read_right(entry, case, tmp_path):
    with in_time(), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            answer = ENTRIES[entry](case, tmp_path)
        except REFUSALS as problem:
            require_message(str(problem), case)
        else:
            require_answer(answer, case)
    said = [str(warning.message) for warning in told if issubclass(warning.category, SAID)]
    assert any(case.warns in text for text in said) if case.warns else not said


def test_the_corpus_is_large_and_its_names_are_its_own():
    names = [f"{entry}: {case.name}" for entry, case in CASES]
    assert len(names) == len(set(names)) >= 110
    assert all(case.refused is not None or case.read is not None for _, case in CASES)


# --- files that change ---


@pytest.mark.parametrize("change", ["other rows", "no file"])
def test_a_file_that_changes_after_it_was_read_tells_nothing_else_of_the_log(tmp_path, change):
    """Parquet is read where it lies; what is asked of a log later must be of the rows that it was made from."""
    path, rows = tmp_path / "log.parquet", pd.DataFrame({"customer_id": ["a", "b"], "date": ["2024-01-01"] * 2})
    rows.assign(amount=[1.0, 0.0]).to_parquet(path)
    log = clv.read_transactions(path)
    if change == "no file":
        path.unlink()
    else:
        rows.assign(amount=[0.0, 0.0]).to_parquet(path)
    try:
        zeros = [note.rows for note in log.notes if note.reason == "zero_amount"]
    except clv.DataError:
        zeros = [1]  # to refuse is right too
    assert zeros == [1]


LATER = {
    "choices": choices,
    "alternatives": alternatives,
    "keep_summary": lambda log: clv.keep_summary(log, Path(log.source).parent / "kept"),
}


@pytest.mark.parametrize("asked", LATER)
def test_what_looks_at_the_rows_again_refuses_a_file_that_has_changed(tmp_path, asked):
    path, rows = tmp_path / "log.parquet", pd.DataFrame({"customer_id": ["a", "b"], "date": ["2024-01-01"] * 2})
    rows.assign(amount=[1.0, 0.0]).to_parquet(path)
    log = clv.read_transactions(path)
    rows.assign(amount=[0.0, 2.0]).to_parquet(path)
    with pytest.raises(clv.DataError, match=r"log\.parquet: has changed since it was read"):
        LATER[asked](log)


# --- ids that are code to somebody ---

ODD_IDS = (
    "<script>alert(1)</script>",
    '=HYPERLINK("http://x.example","y")',
    "@SUM(A1:A9)",
    "../../etc/passwd",
    "'; DROP TABLE customers; --",
    "{{ 7 * 7 }}",
    "\u202egnp.exe",
    "\U0001f469\u200d\U0001f4bb",
    'a,"b"\nc',
    "x" * 10_000,
    "007",
    "7",
)


@pytest.fixture(scope="module")
def odd_shop(tmp_path_factory):
    """The folder of a study whose customers have odd ids, each with a refund that its page shows."""
    folder = tmp_path_factory.mktemp("odd_shop")
    log = givens.shop([*ODD_IDS, *(f"{place:05d}" for place in range(100, 140))])
    refunds = pd.DataFrame({"client": ODD_IDS, "day": "2023-01-01", "paid": -1.0})
    pd.concat([log, refunds]).to_csv(folder / "log.csv", index=False)
    text = givens.STUDY.replace("{folder}", folder.as_posix()).replace('"EUR"', '"EUR"\nrefunds = "drop"')
    (folder / "study.toml").write_text(text)
    told(["study", str(folder / "study.toml"), "--output", str(folder)])
    return folder / "odd"


def test_odd_ids_stay_text_up_to_the_tables(odd_shop):
    exact = pd.read_parquet(odd_shop / "customers.parquet")["customer_id"].tolist()
    shown = pd.read_csv(odd_shop / "customers.csv", dtype=str)["customer_id"].tolist()
    assert set(ODD_IDS) <= set(exact)
    assert shown == [f"'{name}" if name[0] in "=@" else name for name in exact]


def test_odd_ids_are_no_code_on_the_page(odd_shop):
    page = (odd_shop / "index.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
    assert "{{ 7 * 7 }}" in page
