"""SECURITY.md: each promise is held by a test that names it and that fails without it."""

import ast
import dataclasses
import functools
import gzip
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import warnings
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

import clvmodels as clv
from clvmodels.cli import main
from clvmodels.data.engines import duckdb
from clvmodels.data.pseudonyms import Pseudonyms
from clvmodels.foundation.contest_results import ContestResults
from clvmodels.foundation.errors import LimitError
from clvmodels.foundation.files import FORMULA, LONGEST_NAME, file_name, not_a_formula, whole
from clvmodels.foundation.limits import LIMITS
from clvmodels.foundation.records import LedgerLine
from clvmodels.report.index import render_index
from clvmodels.report.reading import read_results
from clvmodels.report.render import render_page, write_atomically
from clvmodels.report.sections import pages_of
from clvmodels.report.tables import csv_of, json_block
from clvmodels.report.voice import SourceOf
from clvmodels.study import read_study
from clvmodels.study.outputs import write_table
from clvmodels.study.publish import publish
from tests.contest_report_fixture import fixture_contest
from tests.corpus import givens
from tests.effects_cases import customers_of, traits
from tests.forecast_cases import readable_by
from tests.report_fixture import fixture_results, without_figures
from tests.retention_report_fixture import fixture_retention

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "clvmodels"
PROMISES = (ROOT / "SECURITY.md").read_text(encoding="utf-8").partition("## What is not promised")[0]
NAMED = re.findall(r'<a id="([\w-]+)"></a>', PROMISES)
HELD: dict[str, list[str]] = {}
ELSEWHERE = {
    "locks": "test_setup.py::test_a_lock_pins_and_hashes_every_requirement",
    "registry": "test_setup.py::test_a_lock_holds_no_address",
}
SECRET = "0123456789abcdef" * 3


def promise(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Marks a test as one that fails where a promise of SECURITY.md does not hold."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        for name in names:
            HELD.setdefault(name, []).append(test.__name__)
        return test

    return mark


# --- promises and tests ---


def test_every_promise_has_a_test_and_every_test_a_promise() -> None:
    assert len(NAMED) == len(set(NAMED)) >= 25
    assert set(NAMED) == {*HELD, *ELSEWHERE}
    for place in ELSEWHERE.values():
        file, _, name = place.partition("::")
        tests = ast.walk(ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8")))
        assert name in {test.name for test in tests if isinstance(test, ast.FunctionDef)}


def test_every_line_of_what_is_promised_has_a_name() -> None:
    promised = PROMISES.partition("## What is promised")[2]
    lines = [line for line in promised.splitlines() if line.startswith("- ")]
    assert [line for line in lines if not re.match(r'- <a id="([\w-]+)"></a>\*\*\1\*\* ', line)] == []
    assert len(lines) == len(NAMED)


# --- who the customers are ---

IDS = [f"MARKED{place:05d}" for place in range(60)]


def everything(folder: Path) -> str:
    """All that the files of a folder say, unpacked."""
    said = []
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            said.append(pd.read_parquet(path).to_csv())
        elif path.suffix == ".nc":
            said.append(stored_text(path))
        elif path.is_file():
            said.append(path.read_bytes().decode("utf-8", "replace"))  # arrays are no text
    return "\n".join([*said, *(path.name for path in folder.rglob("*"))])


def stored_text(path: Path) -> str:
    """Names, attributes and values of a netCDF file."""
    said: list[str] = []
    with h5py.File(path) as file:
        said += [str(dict(file.attrs))]
        file.visititems(lambda name, node: said.append(f"{name} {dict(node.attrs)} {np.array(node)!r}"))
    return "\n".join(said)


def private_study(folder: Path, privacy: str, *, source: str = "log.csv", extra: str = "") -> Path:
    text = givens.STUDY.replace("{folder}", folder.as_posix()).replace("log.csv", source)
    text = text.replace('"EUR"', '"EUR"\nrefunds = "drop"').replace("[window]", f"{extra}[window]")
    text = text.replace("draws = 200", "draws = 100") + "best = false\n"
    (folder / "study.toml").write_text(f'privacy = "{privacy}"\n{text}')
    return folder / "study.toml"


def write_marked(folder: Path) -> None:
    """A shop's log with refunds that its ledger shows, and a file of its customers, in another order."""
    log = givens.shop(IDS)
    refunds = pd.DataFrame({"client": IDS[:6], "day": "2023-02-01", "paid": -1.0})
    friends = {name: IDS[place - 1] for place, name in enumerate(IDS)}
    log = pd.concat([log, refunds]).assign(friend=lambda rows: rows["client"].map(friends))
    log.to_csv(folder / "log.csv", index=False)
    traits = pd.DataFrame({"customer_id": IDS[::-1], "web": [place % 2 for place in range(len(IDS))]})
    traits.to_csv(folder / "customers.csv", index=False)


def said_of(run: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> str:
    run()
    told = capsys.readouterr()
    return told.out + told.err


@pytest.fixture(scope="module")
def pseudonymous(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a pseudonymous study, and what its run said."""
    folder = tmp_path_factory.mktemp("pseudonymous")
    write_marked(folder)
    parts = '[value.parts]\nreferrer = "friend"\n\n'
    traits = f'[customers]\nsource = "{folder.as_posix()}/customers.csv"\ncovariates = ["web"]\n\n'
    file = private_study(folder, "pseudonymous", extra=parts + traits + '[fit.purchases]\ncovariates = ["web"]\n\n')
    (folder / "odd").mkdir()
    for name in ("index.html", "data.pdf", "index.zh.html"):
        (folder / "odd" / name).write_text(IDS[0])
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLVMODELS_PSEUDONYM_KEY", SECRET)
        results = clv.run_study(file, output=folder, tell=lines.append)
        clv.render_report(results, output=folder / "odd" / "index.html")
    return folder / "odd", "\n".join(lines)


@promise("pseudonyms")
def test_no_id_is_in_what_a_pseudonymous_study_writes_or_says(pseudonymous: tuple[Path, str]) -> None:
    folder, lines = pseudonymous
    said = everything(folder) + lines
    assert "MARKED" not in said
    assert Pseudonyms(SECRET.encode()).of(IDS[7]) in said


@promise("pseudonyms")
def test_one_customer_has_one_pseudonym_in_all_tables_and_its_own_rows(pseudonymous: tuple[Path, str]) -> None:
    folder, _ = pseudonymous
    named = {Pseudonyms(SECRET.encode()).of(name): name for name in IDS}
    customers, holdout = (pd.read_parquet(folder / f"{name}.parquet") for name in ("customers", "holdout"))
    assert set(customers["customer_id"]) == set(named) >= set(holdout["customer_id"])
    assert {row.customer_id for row in read_results(folder).act_on} <= set(named)
    log = givens.shop(IDS)
    days = log.groupby("client")["day"].nunique() - 1
    counted = customers.set_index("customer_id")["frequency"].rename(index=named)
    assert counted.sort_index().tolist() == days.sort_index().tolist()


@promise("pseudonyms")
def test_the_order_of_pseudonyms_tells_nothing_of_the_order_of_ids(pseudonymous: tuple[Path, str]) -> None:
    folder, _ = pseudonymous
    named = {Pseudonyms(SECRET.encode()).of(name): name for name in IDS}
    for name in ("customers.csv", "holdout.csv"):
        order = [named[pseudonym] for pseudonym in pd.read_csv(folder / name)["customer_id"]]
        assert abs(spearmanr(range(len(order)), np.argsort(np.argsort(order))).statistic) < 4 / np.sqrt(len(order))


@promise("pseudonyms")
def test_a_pseudonym_is_80_bits_of_a_keyed_hash() -> None:
    expected = "6mj5eczgza6pbyba"  # printf 'customer\0a' | openssl dgst -sha256 -hmac KEY -binary | head -c 10 | base32
    assert Pseudonyms(SECRET.encode()).of("a") == expected
    assert Pseudonyms(SECRET.encode()[::-1]).of("a") != expected


@promise("pseudonyms")
def test_two_customers_with_one_pseudonym_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pseudonyms, "of", lambda _, name: name[0])
    with pytest.raises(clv.DataError, match="one pseudonym"):
        clv.read_transactions(
            pd.DataFrame({"customer_id": ["a1", "a2"], "date": "2024-01-01", "amount": 1.0}),
            pseudonym_key=SECRET.encode(),
        )


def test_a_pseudonymous_log_is_the_log_by_other_names() -> None:
    open_log = clv.read_transactions("dataset:cdnow_sample")
    log = clv.read_transactions("dataset:cdnow_sample", pseudonym_key=SECRET.encode())
    named = open_log.table.to_pandas().assign(
        customer_id=lambda t: t["customer_id"].map(Pseudonyms(SECRET.encode()).of)
    )
    key = ["customer_id", "date"]
    pd.testing.assert_frame_equal(
        log.table.to_pandas().sort_values(key, ignore_index=True),
        named.sort_values(key, ignore_index=True),
        check_dtype=False,
    )
    counts = [[(line.reason, line.rows, line.amount) for line in (*of.ledger, *of.notes)] for of in (log, open_log)]
    assert counts[0] == counts[1]  # also ids that differ by case alone, which pseudonyms do not show


@promise("pseudonym-key")
@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({}, "neither of CLVMODELS_PSEUDONYM_KEY and CLVMODELS_PSEUDONYM_KEY_FILE is set"),
        ({"CLVMODELS_PSEUDONYM_KEY": SECRET, "CLVMODELS_PSEUDONYM_KEY_FILE": "x"}, "both of"),
        ({"CLVMODELS_PSEUDONYM_KEY": SECRET[:31]}, "at least 32"),
        ({"CLVMODELS_PSEUDONYM_KEY": "a1" * 32}, "8 different"),
        ({"CLVMODELS_PSEUDONYM_KEY_FILE": "/no/such/file"}, "cannot be read"),
    ],
)
def test_without_a_key_of_32_bytes_there_are_no_pseudonyms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, str], message: str
) -> None:
    for name in ("CLVMODELS_PSEUDONYM_KEY", "CLVMODELS_PSEUDONYM_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "log.csv").write_text("no log, which nobody comes to read")
    with pytest.raises(clv.StudyError, match=message) as refused:
        clv.run_study(private_study(tmp_path, "pseudonymous"), output=tmp_path)
    assert not any(value in str(refused.value) for name, value in told.items() if name.endswith("KEY"))


@promise("pseudonym-key")
def test_the_key_is_in_no_file_message_or_representation(pseudonymous: tuple[Path, str]) -> None:
    folder, lines = pseudonymous
    pseudonyms = Pseudonyms(SECRET.encode())
    for form in (SECRET, SECRET.encode().hex(), hashlib.sha256(SECRET.encode()).hexdigest()):
        assert form not in everything(folder) + lines
        assert form not in repr(pseudonyms) + str(pseudonyms)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["pseudonym_key"] == pseudonyms.mark
    assert len(pseudonyms.mark) == 16
    assert pseudonyms.mark != Pseudonyms(SECRET.encode()[::-1]).mark


@promise("pseudonym-key")
def test_the_key_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from clvmodels.study.privacy import pseudonyms_for

    (tmp_path / "key").write_text(SECRET + "\n")
    monkeypatch.delenv("CLVMODELS_PSEUDONYM_KEY", raising=False)
    monkeypatch.setenv("CLVMODELS_PSEUDONYM_KEY_FILE", str(tmp_path / "key"))
    assert pseudonyms_for("pseudonymous", tmp_path / "study.toml") == Pseudonyms(SECRET.encode())


ROWS_THAT_FAIL = {
    "a date": "MARKED1,yesterday,1\n",
    "an amount": "MARKED1,2024-01-01,MARKED2\n",
    "a field too many": "MARKED1,2024-01-01,1,MARKED2\n",
    "two ways of an id": "MARKED,2024-01-01,1\n7,2024-01-01,1\n7.0,2024-01-02,1\n7.5,2024-01-01,1\n",
    "an open quote": 'MARKED1,2024-01-01,"MARKED2\n',
}


@promise("pseudonym-errors")
@pytest.mark.parametrize("fault", ROWS_THAT_FAIL)
def test_errors_hold_no_values_where_ids_are_replaced(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text("customer_id,date,amount\nMARKED0,2024-01-01,1\n" + ROWS_THAT_FAIL[fault])
    with pytest.raises(clv.DataError):
        clv.read_transactions(path)
    with pytest.raises(clv.DataError, match="kept out of messages") as refused:
        clv.read_transactions(path, pseudonym_key=SECRET.encode())
    assert not re.search(r"MARKED|yesterday|7\.0", str(refused.value))


@promise("pseudonym-errors")
def test_errors_of_the_customers_file_hold_no_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_marked(tmp_path)
    (tmp_path / "customers.csv").write_text("customer_id,web\nMARKED00001,1\nMARKED00001,0\n")
    traits = f'[customers]\nsource = "{tmp_path.as_posix()}/customers.csv"\ncovariates = ["web"]\n\n'
    file = private_study(tmp_path, "pseudonymous", extra=traits + '[fit.purchases]\ncovariates = ["web"]\n\n')
    monkeypatch.setenv("CLVMODELS_PSEUDONYM_KEY", SECRET)
    with pytest.raises(clv.DataError, match="kept out of messages") as refused:
        clv.run_study(file, output=tmp_path)
    assert "MARKED" not in str(refused.value)


@pytest.fixture(scope="module")
def without_customers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study without customers, in which an open run has left its report."""
    folder = tmp_path_factory.mktemp("without")
    write_marked(folder)
    file = private_study(folder, "without")
    text = file.read_text().replace('["en"]', '["en", "zh"]').replace('en = "An odd shop"', 'en = "A", zh = "甲"')
    file.write_text(text)
    left = folder / "odd"
    left.mkdir()
    for name in ("customers.csv", "customers.parquet", "holdout.csv", "index.pdf", "index.fr.html", "data.zh.pdf"):
        (left / name).write_text(IDS[0])
    (left / "results.json").write_text('{"study": {"name": "odd"}}')
    assert main(["study", str(file), "--output", str(folder)]) == 0
    return left


@promise("without-customers", "earlier-reports")
def test_a_study_without_customers_leaves_none_in_its_folder(without_customers: Path) -> None:
    from clvmodels.study.privacy import UNSEEN

    said = everything(without_customers)
    names = [Pseudonyms(UNSEEN).of(name) for name in IDS]
    assert "MARKED" not in said
    assert not any(name in said for name in names)
    assert not list(without_customers.glob("customers.*")) + list(without_customers.glob("holdout.*"))
    results = read_results(without_customers)
    assert results.act_on == []
    refunds = next(line for line in results.data.ledger if line.reason == "refund_dropped")
    assert (refunds.rows, refunds.sample) == (6, ())


@promise("without-customers")
def test_the_pages_say_that_they_are_without_customers(without_customers: Path) -> None:
    for name, words in (("index.html", "no single customers"), ("index.zh.html", "不逐个列出客户")):
        page = (without_customers / name).read_text(encoding="utf-8")
        assert re.search(rf'<p class="privacy">[^<]*{words}', page)
        assert 'id="explorer-data"' not in page


@promise("earlier-reports")
def test_a_study_made_private_removes_what_its_open_run_left(
    pseudonymous: tuple[Path, str], without_customers: Path
) -> None:
    for folder in (pseudonymous[0], without_customers):
        assert not list(folder.glob("*.pdf")) + list(folder.glob("index.fr.html"))
    assert not (pseudonymous[0] / "index.zh.html").exists()


@promise("contracts")
def test_a_study_of_retention_without_customers_has_no_examples(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    start = pd.Timestamp("2020-01-15")
    ends = [start + pd.DateOffset(months=int(age)) if age < 12 else None for age in rng.geometric(0.2, 60)]
    rows = pd.DataFrame({"customer_id": IDS, "start": start, "end": ends})
    rows.loc[len(rows)] = ["MARKED9", pd.Timestamp("2022-01-01"), None]  # after the observation
    rows.to_csv(tmp_path / "log.csv", index=False, date_format="%Y-%m-%d")
    study = (
        'kind = "retention"\nname = "r"\nseed = 1\nlanguages = ["en"]\n{privacy}[title]\nen = "R"\n'
        f'[contracts]\nsource = "{(tmp_path / "log.csv").as_posix()}"\nunit = "month"\ncurrency = "EUR"\n'
        'observation_end = 2021-02-01\n[models]\nmain = "geometric"\nrivals = []\n[fit]\ndraws = 100\n'
        "[check]\nlearn_to = [4]\nahead = 2\n[value]\nprice = 1.0\nannual_discount_rate = 0.1\n"
    )
    said = {}
    for privacy in ("open", "without"):
        (tmp_path / f"{privacy}.toml").write_text(study.format(privacy=f'privacy = "{privacy}"\n'))
        clv.run_study(tmp_path / f"{privacy}.toml", output=tmp_path / privacy)
        said[privacy] = everything(tmp_path / privacy)
    assert "MARKED9" in said["open"]
    assert not re.search(r"MARKED\d", said["without"])  # nor in what is kept to go on from


@promise("contracts")
def test_the_results_of_a_contest_have_no_place_for_an_id() -> None:
    met: set[Any] = set()

    def meet(kind: Any) -> None:
        if kind in met:
            return
        met.add(kind)
        for field in dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ():
            meet(field.type)
        for inner in getattr(kind, "__args__", ()):
            meet(inner)

    meet(ContestResults)
    names = {field.name for kind in met if dataclasses.is_dataclass(kind) for field in dataclasses.fields(kind)}
    assert len(met) > 20
    assert LedgerLine not in met
    assert not {"customer_id", "customer_ids", "sample", "ledger"} & names


# --- what a saved fit holds ---

MODELS_APART = ("pareto_ggg", "pareto_nbd_abe")  # fitted customer by customer, seconds


def fitted(model: str, size: int) -> Any:
    """A fit to customers with marked ids; of one model, with covariates."""
    told = customers_of(traits(size, seed=size), seed=size)
    marked = np.array([f"MARKED{place:05d}" for place in range(size)], dtype=object)
    customers = readable_by(model, dataclasses.replace(told, customer_id=marked))
    effects = {"covariates": {"alpha": ["age", "channel"]}} if model == "bg_nbd" else {}
    return clv.fit(model, customers, method="laplace", draws=100, seed=1, **effects)


def stored_numbers(path: Path) -> int:
    """How many numbers a file holds, in arrays and in its description."""
    counts: list[int] = []

    def count(node: Any) -> int:
        if isinstance(node, dict):
            return sum(map(count, node.values()))
        return sum(map(count, node)) if isinstance(node, list) else isinstance(node, (int, float))

    with h5py.File(path) as file:
        file.visititems(lambda _, node: counts.append(node.size if isinstance(node, h5py.Dataset) else 0))
        described = json.loads(file.attrs["clvmodels"])
    described.pop("checks"), described.pop("notes")  # as many as were worth saying
    return sum(counts) + count(described)


@promise("fits")
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in MODELS_APART else [])
        for name, model in clv.MODELS.items()
        if model.family in ("purchases", "spend")
    ],
)
def test_a_saved_fit_holds_no_customers(tmp_path: Path, model: str) -> None:
    held = []
    for size in (100, 200):
        with warnings.catch_warnings(action="ignore"):
            fit = fitted(model, size)
        fit.save(tmp_path / "fit.nc")
        held.append(stored_numbers(tmp_path / "fit.nc"))
        assert "MARKED" not in stored_text(tmp_path / "fit.nc")
        assert b"MARKED" not in (tmp_path / "fit.nc").read_bytes()
    assert held[0] == held[1] > 50


# --- no code ---

FOREIGN = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "code", "codeop"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}


@functools.cache
def trees() -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(PACKAGE.rglob("*.py"))]


@promise("no-code")
def test_nothing_that_is_read_can_be_run() -> None:
    wrong = []
    for path, tree in trees():
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            wrong += [(path, name) for name in names if name.split(".")[0] in FOREIGN]
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec", "compile", "__import__"}:
                wrong.append((path, node.func.id))
            called = ast.unparse(node.func)
            if called in SHELLS or called.endswith(("read_pickle", "to_pickle", "read_object", "loads_pickle")):
                wrong.append((path, called))
            keywords = {word.arg: word.value for word in node.keywords}
            for word in ("allow_pickle", "shell"):
                if word in keywords and not (isinstance(keywords[word], ast.Constant) and not keywords[word].value):
                    wrong.append((path, word))
    assert wrong == []


@promise("no-code")
def test_a_fit_that_holds_objects_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "fit.nc", "w") as file:
        file.attrs["clvmodels"] = "{}"
        file.create_dataset("alpha", data=np.array(["os.system('false')"], dtype=object), dtype=h5py.string_dtype())
    with pytest.raises(clv.FitError, match="holds no numbers"):
        clv.load_fit(tmp_path / "fit.nc")


# --- names and SQL ---

HOSTILE_NAMES = (
    'amount"; DROP TABLE canary; --',
    "amount'); DROP TABLE canary; --",
    "amount`; DELETE FROM canary; --",
    "amount]\u0000".replace("\u0000", "\\0") + ' UNION SELECT * FROM canary --"',
    "{amount} %s ? :1 $1",
    "сумма \u202e金额",
)


@pytest.fixture
def canary() -> Any:
    duckdb().raw_sql("CREATE OR REPLACE TEMP TABLE canary AS SELECT 42 AS told")
    yield lambda: duckdb().raw_sql("SELECT told FROM canary").fetchall()
    duckdb().raw_sql("DROP TABLE canary")


@promise("sql")
@pytest.mark.parametrize("kind", ["csv", "parquet", "frame", "arrow", "table", "xlsx"])
@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_of_columns_and_values_never_become_sql(tmp_path: Path, canary: Any, kind: str, name: str) -> None:
    who, day, reason = f"client {name}", f"day {name}", f"reason {name}"
    rows = pd.DataFrame({who: [name, "b"], day: ["2024-01-01", "2024-01-02"], name: [1.5, 2.0], reason: [name, "ok"]})
    source: Any = tmp_path / f"log {name}".replace("/", "").replace("\\", "")[:60]
    if kind == "csv":
        rows.to_csv(source, index=False)
    elif kind == "parquet":
        source = source.with_name(source.name.replace(".", "") + ".parquet")
        rows.to_parquet(source)
    elif kind == "xlsx":
        source = tmp_path / "log.xlsx"
        pytest.importorskip("openpyxl")
        rows.to_excel(source, index=False)
    else:
        source = {"frame": rows, "arrow": pa.Table.from_pandas(rows)}.get(kind)
        if kind == "table":
            source = duckdb().create_table("hostile_rows", pa.Table.from_pandas(rows), temp=True, overwrite=True)
    log = clv.read_transactions(source, customer=who, date=day, amount=name, exclude={reason: [name + "?"]})
    read = log.table.order_by("date").to_pyarrow().to_pylist()
    assert [(row["customer_id"], row["amount"]) for row in read] == [(name, 1.5), ("b", 2.0)]
    assert log.notes
    assert canary() == [(42,)]


# What may stand in the text of a statement: names that Ibis has generated, sizes, words of settings.
IN_STATEMENTS = {"name", "made", "max(MEMORY_A_PART_MB, _first_memory_mb(duckdb()))", "_first_memory_mb(connection)"}
IN_STATEMENTS |= {"str(before).lower()"}


@promise("sql")
def test_statements_are_put_together_of_our_own_names_alone() -> None:
    found = set()
    for _, tree in trees():
        for node in ast.walk(tree):
            is_statement = isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant)
            if is_statement and re.match(
                r"\s*(SELECT|SET|DROP|CREATE|INSERT|DELETE|UPDATE|COPY|ATTACH|PRAGMA|ALTER) ", node.values[0].value
            ):
                found |= {ast.unparse(part.value) for part in node.values if isinstance(part, ast.FormattedValue)}
    assert found == IN_STATEMENTS


@promise("sql")
@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", ["log[1]", "log*", "log?"])
def test_a_file_named_like_a_pattern_is_read_as_itself(tmp_path: Path, kind: str, name: str) -> None:
    """DuckDB took log[1].csv, as browsers name a second download, for a pattern, and read log1.csv."""
    for stem, ids in (("log1", ["other"]), ("log2", ["other"]), (name, ["a", "b"])):
        rows = pd.DataFrame({"customer_id": ids, "date": "2024-01-01", "amount": 1.0})
        write_table(rows, tmp_path / f"{stem}.{kind}")
    log = clv.read_transactions(tmp_path / f"{name}.{kind}")
    assert sorted(log.table.to_pyarrow()["customer_id"].to_pylist()) == ["a", "b"]


@promise("no-network")
def test_a_source_that_looks_like_an_address_is_not_fetched(tmp_path: Path) -> None:
    from clvmodels.data.small_tables import read_table

    called: list[object] = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)

    def listen() -> None:
        while server.fileno() >= 0:
            try:
                called.append(server.accept())
            except (TimeoutError, OSError):
                continue

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    place = f"http://127.0.0.1:{server.getsockname()[1]}/log"
    for read in (clv.read_transactions, clv.load_fit, read_table, clv.run_study, read_results):
        for ending in (".csv", ".parquet", ".nc", ".toml"):
            with pytest.raises((clv.DataError, clv.FitError, clv.StudyError)):
                read(place + ending)  # type: ignore[operator]
    setting = duckdb().raw_sql("SELECT current_setting('autoinstall_known_extensions')").fetchall()
    server.close()
    listener.join()
    assert called == []
    assert setting == [(False,)]


# --- what files can ask for ---

APART = """
import json, resource, sys, time
import clvmodels as clv
from clvmodels.data.small_tables import read_table
from clvmodels.report.reading import read_results
from clvmodels.study import read_study
read = {"log": clv.read_transactions, "table": read_table, "fit": clv.load_fit, "study": read_study,
        "results": read_results}
most = 5_000_000_000
resource.setrlimit(resource.RLIMIT_AS, (most, most))
for kind, path in json.loads(sys.argv[1]):
    begun = time.process_time()
    try:
        answer = ["read", str(read[kind](path))[:20]]
    except (clv.DataError, clv.StudyError, clv.FitError) as problem:
        answer = [type(problem).__name__, str(problem)]
    except BaseException as problem:
        answer = ["fault", repr(problem)]
    seconds, held = time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print("answer", json.dumps([*answer, seconds, held]), flush=True)
"""
HEADER = b"customer_id,date,amount\n"
ROWS = b"a,2024-01-01,1\n" * 700_000


def packed(beginning: bytes, block: bytes, times: int) -> bytes:
    """What unpacks to a block many times over, made without unpacking it."""
    return gzip.compress(beginning) + gzip.compress(block, 9) * times


def packed_zstd(beginning: bytes, block: bytes, times: int) -> bytes:
    codec = pa.Codec("zstd")
    return bytes(codec.compress(beginning, asbytes=True) + codec.compress(block, asbytes=True) * times)


def workbook(path: Path, sheet: bytes, times: int = 1) -> None:
    office, main = "http://schemas.openxmlformats.org/officeDocument/2006/relationships", "spreadsheetml/2006/main"
    package, of = "http://schemas.openxmlformats.org/package/2006", 'xmlns="http://schemas.openxmlformats.org'
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
        f'ContentType="{kinds}.sheet.main+xml"/><Override PartName="/xl/s.xml" ContentType="{kinds}.worksheet+xml"/>'
        "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {of}/{main}" xmlns:r="{office}"><sheets><sheet name="s" sheetId="1" '
        'r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/worksheet" Target="s.xml"/></Relationships>',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            file.writestr(name, '<?xml version="1.0"?>' + text)
        with file.open("xl/s.xml", "w", force_zip64=True) as stream:
            stream.write(f'<?xml version="1.0"?><worksheet {of}/{main}"><sheetData>'.encode())
            for _ in range(times):
                stream.write(sheet)
            stream.write(b"</sheetData></worksheet>")


def sparse(path: Path, size: int) -> None:
    """A file of zeros that takes no room."""
    path.touch()
    os.truncate(path, size)


def shapes(path: Path, rows: int, columns: int) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["clvmodels"] = "{}"
        file.create_dataset("alpha", shape=(rows, columns), dtype="f8", chunks=(min(rows, 1000), min(columns, 1000)))


# promise, kind of reader, name of the file, what makes it, what its error says
BOMBS: tuple[tuple[str, str, str, Callable[[Path], Any], str], ...] = (
    ("unpacked", "log", "rows.csv.gz", lambda p: p.write_bytes(packed(HEADER, ROWS, 120)), "LIMIT_UNPACKED"),
    ("unpacked", "log", "rows.csv.zst", lambda p: p.write_bytes(packed_zstd(HEADER, ROWS, 120)), "LIMIT_UNPACKED"),
    ("unpacked", "table", "table.csv.gz", lambda p: p.write_bytes(packed(HEADER, ROWS, 120)), "LIMIT_UNPACKED"),
    ("unpacked", "table", "table.csv.bz2", lambda p: p.write_bytes(b"BZh"), "unpack it"),
    (
        "endless-lines", "log", "line.csv.gz",
        lambda p: p.write_bytes(packed(HEADER + b"a,", b"x" * 10_000_000, 30)), "longer than",
    ),
    (
        "endless-lines", "log", "line.csv",
        lambda p: p.write_bytes(HEADER + b"a,2024-01-01,1\nb," + b"x" * 40_000_000), "longer than",
    ),
    (
        "endless-lines", "log", "quote.csv.gz",
        lambda p: p.write_bytes(packed(HEADER + b'a,"', ROWS, 30)), "quote is opened",
    ),
    (
        "wide-tables", "log", "wide.csv",
        lambda p: p.write_text(",".join(map(str, range(20_000))) + "\n"), "LIMIT_COLUMNS",
    ),
    (
        "wide-tables", "log", "wide.parquet",
        lambda p: pq.write_table(pa.table({str(i): [1] for i in range(10_001)}), p), "LIMIT_COLUMNS",
    ),
    (
        "wide-tables", "table", "long.parquet",
        lambda p: pq.write_table(pa.table({str(i): pa.nulls(10**6) for i in range(501)}), p), "LIMIT_CELLS",
    ),
    (
        "workbooks", "log", "far.xlsx",
        lambda p: workbook(
            p, b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
        ), "LIMIT_WORKBOOK",
    ),
    ("study-files", "study", "deep.toml", lambda p: p.write_text("a = " + "[" * 10_000 + "]" * 10_000), "too deep"),
    ("study-files", "study", "dots.toml", lambda p: p.write_text(f"[{'.'.join('a' * 5000)}]"), "too deep"),
    ("study-files", "study", "large.toml", lambda p: sparse(p, 10**9), "LIMIT_STUDY_FILE"),
    (
        "result-files", "results", "deep.json",
        lambda p: p.write_text('{"x":' + "[" * 10**5 + "]" * 10**5 + "}"), "not the",
    ),
    ("result-files", "results", "large.json", lambda p: sparse(p, 10**10), "LIMIT_RESULTS_FILE"),
    ("fit-files", "fit", "vast.nc", lambda p: shapes(p, 10**6, 10**6), "LIMIT_DRAWS"),
    ("fit-files", "fit", "large.nc", lambda p: shapes(p, 10**4, 10**5), "LIMIT_DRAWS"),
    ("fit-files", "fit", "empty.nc", lambda p: shapes(p, 1, 1), "is not a fit"),
    ("fit-files", "fit", "text.nc", lambda p: p.write_text("x"), "is not a fit"),
)  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str, float, int]]:
    """What each bomb is answered with in a process of 5 GB, with processor seconds and megabytes held up to there."""
    folder = tmp_path_factory.mktemp("bombs")
    for _, _, name, make, _ in BOMBS:
        make(folder / name)
    asked = [(kind, str(folder / name)) for _, kind, name, _, _ in BOMBS] + [("study", "/dev/zero")]
    ended = subprocess.run(
        [sys.executable, "-c", APART, json.dumps(asked)], capture_output=True, text=True, cwd=ROOT, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    lines = [json.loads(line[7:]) for line in ended.stdout.splitlines() if line.startswith("answer ")]
    assert len(lines) == len(asked), ended.stderr[-2000:]
    return dict(zip([Path(path).name for _, path in asked], lines, strict=True))


@promise(*dict.fromkeys(name for name, *_ in BOMBS))
@pytest.mark.parametrize("name", [name for _, _, name, _, _ in BOMBS])
def test_a_small_file_cannot_ask_for_much(answers: dict[str, tuple[str, str, float, int]], name: str) -> None:
    (says,) = (says for _, _, other, _, says in BOMBS if other == name)
    kind, said, seconds, held = answers[name]
    assert kind in ("LimitError", "DataError", "StudyError", "FitError")
    assert says in said
    assert name in said
    assert seconds < 10
    assert held < 1200


@promise("study-files")
def test_a_device_is_no_study_file(answers: dict[str, tuple[str, str, float, int]]) -> None:
    assert "a device" in answers["zero"][1]


@promise("workbooks")
@pytest.mark.slow
def test_a_sheet_that_unpacks_without_end_ends_its_own_process(tmp_path: Path) -> None:
    row = b"<row>" + b"<c><v>1</v></c>" * 100 + b"</row>"
    workbook(tmp_path / "long.xlsx", row * 1000, times=1000)  # 2 GB, 100,000,000 cells
    assert (tmp_path / "long.xlsx").stat().st_size < 10_000_000
    with pytest.raises(LimitError, match="LIMIT_WORKBOOK"):
        clv.read_transactions(tmp_path / "long.xlsx")


@promise("endless-lines")
def test_a_last_line_without_end_is_not_left_out_in_silence(tmp_path: Path) -> None:
    """DuckDB left out a last line that is longer than its buffers of 32 MB, and said nothing."""
    path = tmp_path / "log.csv"
    path.write_bytes(HEADER + b"a,2024-01-01,1\n" + b"b" * 40_000_000 + b",2024-01-01,1\n")
    with pytest.raises(clv.DataError, match="longer than"):
        clv.read_transactions(path)


@promise("damaged-parquet")
def test_a_parquet_file_that_lies_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pq.write_table(
        pa.table({"customer_id": ["a", "b"] * 50, "date": ["2024-01-01"] * 100, "amount": [1.0] * 100}), path
    )
    right = path.read_bytes()
    footer = len(right) - 8 - int.from_bytes(right[-8:-4], "little")
    rng, answered = np.random.default_rng(7), {"read": 0, "refused": 0}
    for _ in range(60):
        wrong = bytearray(right)
        low, high = (footer, len(right)) if rng.random() < 0.8 else (4, footer)
        wrong[rng.integers(low, high)] = rng.choice([0xFF, 0x7F, 0x80, rng.integers(256)])
        path.write_bytes(wrong)
        try:
            log = clv.read_transactions(path)
            answered["read"] += log.rows_read == 100
        except clv.DataError:
            answered["refused"] += 1
    assert answered["read"] + answered["refused"] == 60
    assert answered["refused"] > 30


@promise("raised-limits")
@pytest.mark.parametrize("name", LIMITS)
def test_an_error_of_a_limit_names_it_and_the_setting_that_raises_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from clvmodels.foundation.limits import require_within, stated

    limit = LIMITS[name]
    with pytest.raises(LimitError, match=rf"x: more than {limit.value:,} {limit.what}\..* set {name} higher"):
        require_within(limit, limit.value + 1, "x")
    monkeypatch.setenv(name, str(limit.value + 1))
    require_within(limit, limit.value + 1, "x")
    for told in ("", "0", "-1", "many", "1e9"):
        monkeypatch.setenv(name, told)
        with pytest.raises(clv.DataError, match=f"{name} = {told!r}: expected a whole number"):
            stated(limit)


@promise("raised-limits")
def test_a_raised_limit_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log.csv").write_text("customer_id,date,amount,shop,till\na,2024-01-01,1,x,y\n")
    monkeypatch.setenv("CLVMODELS_LIMIT_COLUMNS", "4")
    with pytest.raises(LimitError, match="more than 4 columns"):
        clv.read_transactions(tmp_path / "log.csv")
    monkeypatch.setenv("CLVMODELS_LIMIT_COLUMNS", "5")
    assert clv.read_transactions(tmp_path / "log.csv").rows_read == 1


@promise("unpacked", "wide-tables", "workbooks", "study-files", "result-files", "fit-files")
def test_the_numbers_of_the_promises_are_those_of_the_limits() -> None:
    values = {name.removeprefix("CLVMODELS_LIMIT_"): f"{limit.value:,}" for name, limit in LIMITS.items()}
    gigabytes = {"RESULTS_FILE": "500 MB", "DRAWS": "4 GB", "STUDY_FILE": "1 MB"}
    for name, value in values.items():
        assert re.search(rf"(?<![\d,]){gigabytes.get(name, value)}(?!\d|,\d)", PROMISES.replace("\n  ", " ")), name


UNBOUNDED = 1_000


def repeats_in(node: Any, *, inside: bool = False) -> bool:
    """Whether a parsed pattern repeats, without bound, what repeats without bound."""
    for code, argument in node:
        name = str(code)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            _, most, inner = argument
            endless = int(most) > UNBOUNDED
            if (endless and inside) or repeats_in(inner, inside=inside or endless):
                return True
        elif name == "SUBPATTERN":
            if repeats_in(argument[3], inside=inside):
                return True
        elif name == "BRANCH":
            if any(repeats_in(branch, inside=inside) for branch in argument[1]):
                return True
        elif name in ("ASSERT", "ASSERT_NOT") and repeats_in(argument[1], inside=inside):
            return True
    return False


@promise("patterns")
def test_no_pattern_repeats_a_repetition() -> None:
    import re._parser as parser  # type: ignore[import-not-found]

    assert repeats_in(parser.parse(r"(a+)+b"))
    assert not repeats_in(parser.parse(r"\w+(?:\[\d+\])?-[a-z]{2,4}"))
    patterns = []
    for path, tree in trees():
        for node in ast.walk(tree):
            of_re = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if of_re and isinstance(node.func.value, ast.Name) and node.func.value.id == "re" and node.args:
                text = node.args[0]
                if isinstance(text, ast.Constant):
                    patterns.append((path.name, text.value))
    assert len(patterns) > 10
    allowed = {r"\w+(?:\[(?:\.\.\.|\d+)\])*"}  # its inner repetition begins and ends with brackets, so one way fits
    drawn = "figures.py"  # reads what matplotlib drew, whose elements begin and end with brackets too
    found = [(file, text) for file, text in patterns if file != drawn and text not in allowed]
    assert [text for _, text in found if repeats_in(parser.parse(text))] == []


# --- pages ---

EVIL = "\"'><script>evil()</script><img src=x onerror=evil()></title></style><!--{{7*7}}{x}javascript:evil()"


class Elements(HTMLParser):
    """Elements of a page, and what could run in it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.runs: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            address = (value or "").strip().lower()
            if name.startswith("on") or name in ("srcdoc", "formaction", "action", "http-equiv"):
                self.runs.append((name, address[:23]))
            if name in ("href", "src", "xlink:href") and re.match(r"[a-z][a-z0-9+.-]*:", address):
                self.runs.append((name, address[:14]))


def elements(page: str) -> Elements:
    parsed = Elements()
    parsed.feed(page)
    return parsed


def hostile(results: Any, places: str) -> Any:
    """Results with hostile text at every place that fits a pattern of dotted names, list places left out."""

    def put(node: Any, path: str) -> Any:
        if isinstance(node, dict):
            return {key: put(value, f"{path}.{key}") for key, value in node.items()}
        if isinstance(node, list):
            return [put(value, path) for value in node]
        if isinstance(node, str) and re.fullmatch(places, path):
            met.append(path)
            return EVIL
        return node

    met: list[str] = []
    made = msgspec.convert(put(msgspec.to_builtins(results), ""), type(results))
    assert met
    return made


def pages(results: Any, language: str) -> list[str]:
    layouts = pages_of(results)
    names = {layout.stem: EVIL + layout.stem for layout in layouts}
    source = SourceOf(results, None, [], (f"draws/{EVIL}.nc",), pages=names)
    return [render_page(source, language, layout=layout) for layout in layouts]


FROM_OUTSIDE = {
    "purchases": (
        lambda: without_figures(fixture_results()),
        (
            r"\.study\.(name|title\..*|background\..*|source|version|.*_digest)|\.data\..*\.(reason|sample)|\.act_on\.customer_id"
            r"|\.strategies\.(source|texts\..*)|\.models\.(fits|sensitivity)\..*(name|model|key|parameter|diagnosis|references.*)"
            r"|\.models\.not_fitted.*|\.comparison\.(methods|best\.problem|.*method)|\.ranking\.problem|\.matrix\.cells\.name"
        ),
    ),
    "retention": (
        lambda: dataclasses.replace(fixture_retention(), donors=None, cohorts=None, back_tests=[]),
        r"\.study\.(name|title\..*|background\..*|version|.*_digest)|\.ledger\.sample|\.left_out\..*|\.fits\..*name",
    ),
    "contest": (
        lambda: dataclasses.replace(fixture_contest(), data=fixture_contest().data[:1]),
        r"\.study\.(name|title\..*|background\..*|version|.*_digest)|\.data\.(title\..*|source)|\.left_out\..*",
    ),
}
OWN = [("http-equiv", "content-security-policy"), ("href", "data:,")]


@promise("html")
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    "kind", ["purchases", *(pytest.param(k, marks=pytest.mark.slow) for k in ("retention", "contest"))]
)
def test_hostile_text_is_text_on_every_page(kind: str, language: str) -> None:
    make, places = FROM_OUTSIDE[kind]
    for page in pages(hostile(make(), places), language):
        made = elements(page)
        assert made.tags.count("script") == 2  # the numbers' formats, and our own
        assert not {"img", "iframe", "object", "embed", "base"} & set(made.tags)
        assert [run for run in made.runs if run not in OWN and not run[1].startswith("data:text/csv")] == []
        assert "<script>evil" not in page
        assert "&lt;script&gt;evil()" in page
        assert "{{7*7}}" in page


@promise("html")
def test_hostile_text_is_text_on_the_page_over_all_studies(tmp_path: Path) -> None:
    for place, (make, places) in enumerate(FROM_OUTSIDE.values()):
        folder = tmp_path / f"{place}<img src=x>&'\""
        folder.mkdir()
        (folder / "results.json").write_bytes(msgspec.json.encode(hostile(make(), places)))
        (folder / "index.html").write_text("x")
    (tmp_path / "broken<script>").mkdir()
    (tmp_path / "broken<script>" / "results.json").write_text('{"study": "<script>evil()</script>"}')
    for path in render_index(tmp_path):
        page = path.read_text(encoding="utf-8")
        made = elements(page)
        assert made.tags.count("script") == 2
        assert not {"img", "iframe", "object", "embed", "base"} & set(made.tags)
        assert [run for run in made.runs if run not in OWN] == []
        assert "&lt;script&gt;evil()" in page


@promise("pages-alone")
def test_a_page_allows_nothing_but_its_own_script_and_styles() -> None:
    (page, *_) = pages(without_figures(fixture_results()), "en")
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    assert script is not None
    import base64

    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert rules == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "font-src": "data:",
        "img-src": "data:",
        "script-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert page.index("Content-Security-Policy") < min(page.index("<style"), page.index("<script"))


@promise("pages-alone", "page-data")
def test_our_scripts_make_no_markup_and_fetch_nothing() -> None:
    scripts = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "report" / "assets").glob("*.js"))
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|fetch\(|XMLHttpRequest|import\("
    )
    assert re.findall(forbidden, scripts) == []


@promise("page-data")
def test_data_for_the_script_has_no_letter_of_markup() -> None:
    content = {"</script>": "<!--<script>-->", "&lt;": "]]>\u2028"}
    block = str(json_block(content))
    assert not set("<>&") & set(block)
    assert json.loads(block) == content
    with pytest.raises(ValueError, match="JSON"):
        json_block(float("nan"))


# --- cells and names ---

BEFORE = ("", " ", "\t", "\r", "\n", "\ufeff", "\u200b", "\u00a0", "\u3000", "\0", " \u200b ")
FORMULAS = [before + mark + "cmd|' /C calc'!A0" for before in BEFORE for mark in "=+-@＝＋－＠"]


@promise("formulas")
def test_no_cell_or_head_that_is_written_is_a_formula(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"=head": FORMULAS, "number": -1.5, "plain": "a=b"})
    write_table(frame, tmp_path / "table.csv")
    back = pd.read_csv(tmp_path / "table.csv", dtype=str, keep_default_na=False)
    assert list(back) == ["'=head", "number", "plain"]
    assert back["'=head"].str.startswith("'").all()
    assert set(back["number"]) == {"-1.5"}
    assert set(back["plain"]) == {"a=b"}
    link = csv_of(["=head"], [[text] for text in FORMULAS])
    assert len(re.findall("%0A(?:%22)?%27", link)) == len(FORMULAS)
    assert csv_of(["=head"], [["x"]]).startswith("data:text/csv;charset=utf-8,%27%3Dhead")


@promise("formulas")
def test_a_table_on_the_terminal_has_no_formula(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = pd.DataFrame({"customer_id": ["=1+1", "b"], "date": "2024-01-01", "amount": 1.0})
    rows.to_csv(tmp_path / "log.csv", index=False)
    assert main(["summarize", str(tmp_path / "log.csv"), "--calibration-end", "2024-01-01"]) == 0
    assert "\n'=1+1," in capsys.readouterr().out


@promise("formulas")
def test_the_buttons_of_a_page_quote_as_files_do() -> None:
    script = (PACKAGE / "report" / "assets" / "tables.js").read_text(encoding="utf-8")
    (theirs,) = re.findall(r'value\.replace\(/\^\(\?:(.*)\)/u, "\'\$&"\)', script)
    assert theirs == FORMULA.pattern


@promise("formulas")
def test_every_writer_of_csv_is_one_of_those_that_quote() -> None:
    writers = {
        (path.relative_to(PACKAGE).as_posix(), node.attr)
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("to_csv", "writerow", "writerows", "write_csv")
    }
    assert writers == {
        ("cli.py", "to_csv"),
        ("evaluation/sbc.py", "writerow"),  # ranks: numbers, and names of methods and quantities
        ("study/outputs.py", "to_csv"),
        ("report/tables.py", "writerow"),
        ("report/tables.py", "writerows"),
    }


@promise("formulas")
@given(st.text(max_size=8))
def test_a_quoted_text_is_no_formula_and_others_stay(text: str) -> None:
    written = not_a_formula(text)
    assert written in (text, f"'{text}")
    seen = written.lstrip(" \t\r\n\0\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00a0\u3000")
    assert written[:1] == "'" or seen[:1] not in tuple("=+-@＝＋－＠")


@promise("names")
@given(st.text(max_size=300))
def test_a_name_of_a_file_leads_nowhere(text: str) -> None:
    name = file_name(text)
    assert re.fullmatch(r"[\w.-]+", name)
    assert name not in (".", "..")
    assert not name.startswith(".")
    assert len(name.encode()) <= LONGEST_NAME + 9


@promise("names")
def test_two_texts_have_two_names() -> None:
    texts = [
        "a/b",
        "a_b",
        "a\\b",
        "../a",
        "..",
        ".",
        "",
        "/",
        "/etc/passwd",
        "a\0b",
        "CON",
        "con.sbg",
        "nul",
        "a.",
        "a",
    ]
    texts += ["x" * 300, "x" * 299, "区" * 300, "区" * 301, "a b", "a:b", "COM1"]
    names = [file_name(text) for text in texts]
    assert len({name.lower() for name in names}) == len(texts)
    assert file_name("High End") != file_name("High_End") == "High_End"


@promise("names")
@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a\\u0000b", "..", "", ".x", "x.", "x/y", "x" * 65, "con:x", "ｘ", "CON", "lpt1"]
)
def test_a_study_is_named_by_letters_and_digits(tmp_path: Path, name: str) -> None:
    file = private_study(tmp_path, "open")
    file.write_text(file.read_text().replace('name = "odd"', f'name = "{name}"'))
    with pytest.raises(clv.StudyError, match="expected letters, digits"):
        read_study(file)


@promise("links")
def test_outputs_are_not_written_through_links(tmp_path: Path) -> None:
    outside, report = tmp_path / "outside", tmp_path / "report"
    outside.write_text("precious")
    report.mkdir()
    for name in ("table.csv", ".table.csv", f".table.csv.{os.getpid()}.partial", "index.html", "fit.nc"):
        (report / name).symlink_to(outside)
    write_table(pd.DataFrame({"a": [1]}), report / "table.csv")
    write_atomically(report / "index.html", "page")
    clv.fit_at("bg_nbd", {"r": 0.24, "alpha": 4.4, "a": 0.8, "b": 2.4}, unit="week").save(report / "fit.nc")
    with whole(report / ".table.csv") as partial:
        partial.write_text("x")
    assert outside.read_text() == "precious"
    assert not any((report / name).is_symlink() for name in ("table.csv", ".table.csv", "index.html", "fit.nc"))


@promise("links")
def test_links_in_a_report_folder_are_replaced_and_what_they_lead_to_stays(tmp_path: Path) -> None:
    elsewhere, report = tmp_path / "elsewhere", tmp_path / "report"
    elsewhere.mkdir()
    report.mkdir()
    (elsewhere / "bg_nbd.nc").write_text("precious")
    (report / "draws").symlink_to(elsewhere)
    (report / "results.json").symlink_to(elsewhere / "bg_nbd.nc")

    def write(folder: Path) -> None:
        (folder / "draws").mkdir()
        (folder / "draws" / "bg_nbd.nc").write_text("new")
        (folder / "results.json").write_text("{}")

    publish(report, write)
    assert (elsewhere / "bg_nbd.nc").read_text() == "precious"
    assert [path.name for path in elsewhere.iterdir()] == ["bg_nbd.nc"]
    assert not (report / "draws").is_symlink()
    assert (report / "results.json").read_text() == "{}"
