"""The customers of a page: which are read, in what order, and that the block for the script says what the rows say."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.files import not_a_formula
from clvmodels.report import customers as shown
from clvmodels.report.customers import read_customers
from clvmodels.report.sections.explorer import explorer
from clvmodels.report.tables import csv_of, json_block
from clvmodels.report.voice import Source, voice_for
from tests.report_fixture import CELLS, HOSTILE_ID, fixture_results, without_figures, write_fixture_customers

section = importlib.import_module("clvmodels.report.sections.explorer")  # the name leads to its function


def table(rows: int, **columns: Any) -> pa.Table:
    rng = np.random.default_rng(5)
    made: dict[str, Any] = {
        "customer_id": [f"{i:04d}" for i in rng.permutation(rows)],
        "cell": rng.choice(CELLS, rows),
        "clv_mean": np.round(rng.lognormal(2, 1, rows), 1),  # rounded, so that there are ties
        "sbg_notes": ["not for the page"] * rows,
    }
    return pa.table({**made, **columns})


def ids(folder: Path) -> list[str]:
    found = read_customers(folder)
    assert found is not None
    return [str(value) for value in found.rows["customer_id"].to_pylist()]


def by_value(rows: pa.Table) -> list[str]:
    """Ids by value, the largest first and none last, ties by id; in plain Python."""
    pairs = zip(rows["clv_mean"].to_pylist(), rows["customer_id"].to_pylist(), strict=True)
    finite = [(value if value is not None and value == value else -np.inf, name) for value, name in pairs]
    return [name for value, name in sorted(finite, key=lambda pair: (-pair[0], pair[1]))]


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_the_first_customers_of_a_large_base_are_those_of_the_whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    rows = table(997)
    monkeypatch.setattr(shown, "WHOLE", 300)
    monkeypatch.setattr(shown, "FIRST", 40)
    monkeypatch.setattr(shown, "ROWS_AT_ONCE", 64)
    if kind == "parquet":
        pq.write_table(rows, tmp_path / "customers.parquet")
    else:
        pyarrow.csv.write_csv(rows, tmp_path / "customers.csv")
    assert ids(tmp_path) == by_value(rows)[:40]
    found = read_customers(tmp_path)
    assert found is not None
    assert found.count == 997
    assert "sbg_notes" not in found.rows.column_names


def test_of_a_large_base_with_a_rank_half_are_the_first_by_rank_and_the_others_by_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = np.random.default_rng(6).permutation(500) + 1
    rows = table(500, rank=ranks)
    monkeypatch.setattr(shown, "WHOLE", 100)
    monkeypatch.setattr(shown, "FIRST", 20)
    monkeypatch.setattr(shown, "ROWS_AT_ONCE", 33)
    pq.write_table(rows, tmp_path / "customers.parquet")
    rank_of = dict(zip(rows["customer_id"].to_pylist(), ranks.tolist(), strict=True))
    order = by_value(rows)
    wanted = {name for name in order if rank_of[name] <= 10}
    wanted.update([name for name in order if name not in wanted][:10])
    assert ids(tmp_path) == [name for name in order if name in wanted]


def test_a_base_up_to_the_limit_is_shown_whole_and_one_more_customer_is_a_large_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "WHOLE", 100)
    monkeypatch.setattr(shown, "FIRST", 10)
    for rows, held in ((0, 0), (1, 1), (100, 100), (101, 10)):
        pq.write_table(table(rows), tmp_path / "customers.parquet")
        assert len(ids(tmp_path)) == held


@pytest.mark.slow
def test_a_million_customers_are_read_in_bounded_memory(tmp_path: Path) -> None:
    """Twenty columns that no page shows are never in memory, nor are the customers beyond the first."""
    count = 1_000_000
    rng = np.random.default_rng(7)
    rows = {f"extra_{number}": rng.normal(size=count) for number in range(20)}
    pq.write_table(table(count, **rows), tmp_path / "customers.parquet")
    code = (
        "import sys, pathlib, pyarrow as pa; from clvmodels.report.customers import read_customers; "
        "found = read_customers(pathlib.Path(sys.argv[1])); "
        "print(found.rows.num_rows, found.count, pa.default_memory_pool().max_memory())"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    held, of, most = map(int, run.stdout.split())
    assert (held, of) == (10_000, count)
    assert most < 150e6  # the table is 200 MB


def test_customers_without_a_mean_come_last(tmp_path: Path) -> None:
    rows = table(4, clv_mean=pa.array([1.0, None, float("nan"), 2.0]))
    pq.write_table(rows, tmp_path / "customers.parquet")
    assert ids(tmp_path)[:2] == by_value(rows)[:2]


def test_a_table_that_is_not_of_customers_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"customer_id": ["a"], "cell": ["x"]}), tmp_path / "customers.parquet")
    with pytest.raises(StudyError, match=r"customers\.parquet: not the customers table .*no column clv_mean"):
        read_customers(tmp_path)
    (tmp_path / "customers.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(StudyError, match=r"customers\.parquet: not the customers table"):
        read_customers(tmp_path)


def test_a_folder_without_a_table_has_no_customers(tmp_path: Path) -> None:
    assert read_customers(tmp_path) is None


@pytest.fixture(scope="module")
def fixture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("customers")
    write_fixture_customers(folder)
    return folder


def built(folder: Path, language: str = "en") -> dict[str, Any]:
    results = without_figures(fixture_results())
    found = read_customers(folder)
    return explorer(Source(results, found, [], ("customers.parquet",)), voice_for(results, language))


def test_the_block_holds_every_customer_and_no_letter_that_could_be_markup(fixture_folder: Path) -> None:
    context = built(fixture_folder)
    block = json.loads(context["block"])
    assert re.findall("[<>&]", context["block"]) == []
    assert len(block["ids"]) == 600
    assert HOSTILE_ID in block["ids"]
    assert len(context["rows"]) == section.PLAIN
    lengths = {len(word["codes"]) for word in block["words"]}
    lengths |= {len(values) for field in block["fields"] for values in field["values"]}
    assert lengths | {len(block["undecided"])} == {600}


def test_packed_numbers_are_as_exact_as_the_page_writes_them(fixture_folder: Path) -> None:
    """What is packed differs from the table by no more than half of the last digit that is shown."""
    block = json.loads(built(fixture_folder)["block"])
    found = read_customers(fixture_folder)
    assert found is not None
    fields = {field["names"][0]: np.array(field["values"][0], dtype=float) for field in block["fields"]}
    value = found.rows["clv_mean"].to_numpy()
    assert np.all(np.abs(fields["clv_mean"] - value) <= np.where(value < 99.995, 0.005, 0.5) + 1e-9)
    assert np.all(np.abs(fields["p_alive"] - 100 * found.rows["p_alive"].to_numpy()) <= 0.5 + 1e-9)
    assert fields["frequency"].tolist() == found.rows["frequency"].to_pylist()


TIES = [0.125, 2.675, 1.005, 0.5, 1.5, 2.5, -0.125, 0.0, 99.994999, 99.995, 100.5, 101.5, None, np.nan, np.inf]


@pytest.mark.parametrize(("pack", "digits"), [(section._whole, 0), (section._tenths, 1)])
def test_packed_numbers_are_rounded_as_text_is(pack: Any, digits: int) -> None:
    finite = [value for value in TIES if value is not None and np.isfinite(value)]
    packed = pack(pa.chunked_array([TIES], pa.float64()))
    assert packed == [float(f"{value:.{digits}f}") for value in finite] + [None] * 3
    assert all(isinstance(value, int) == float(value).is_integer() for value in packed if value is not None)


def test_money_is_packed_in_cents_below_a_hundred_and_a_column_of_nothing_as_nothing() -> None:
    assert section._money(pa.chunked_array([TIES], pa.float64())) == [
        *(0.12, 2.67, 1, 0.5, 1.5, 2.5, -0.12, 0, 99.99, 100, 100, 102),  # 1.005 is below 1.005
        *(None, None, None),
    ]
    assert section._money(pa.chunked_array([pa.nulls(2)])) == [None, None]


def test_a_small_share_has_a_decimal_and_the_least_stands_for_less() -> None:
    shares = pa.chunked_array([[0.0, 0.0001, 0.0005, 0.00949, 0.0095, 0.125, 1.0, None]])
    assert section._share(shares) == [0, 0.05, 0.1, 0.9, 1, 12, 100, None]


@pytest.mark.parametrize(("language", "said"), [("en", "The first 20 of 600 customers"), ("zh", "600 位客户中列出")])
def test_a_page_that_shows_the_first_customers_says_where_the_others_are(
    fixture_folder: Path, monkeypatch: pytest.MonkeyPatch, language: str, said: str
) -> None:
    assert "customers.parquet" not in built(fixture_folder, language)["intro"]
    monkeypatch.setattr(section, "LARGEST_BLOCK", 20_000)  # ids may be long: what counts is the size of the page
    monkeypatch.setattr(section, "FIRST", 20)
    context = built(fixture_folder, language)
    assert said in context["intro"]
    assert "customers.parquet" in context["intro"]
    assert len(json.loads(context["block"])["ids"]) == 20


def test_tables_of_older_studies_without_tiers_and_stages_are_shown_without_them(tmp_path: Path) -> None:
    pq.write_table(table(3), tmp_path / "customers.parquet")
    context = built(tmp_path)
    assert [name for name, _, _ in context["filters"]] == ["cell"]
    assert [word["name"] for word in json.loads(context["block"])["words"]] == ["cell"]


def test_a_word_that_the_catalogue_does_not_know_is_shown_as_it_is(tmp_path: Path) -> None:
    pq.write_table(table(3, tier=["gold", "wood", "gold"]), tmp_path / "customers.parquet")
    (tiers,) = [options for name, _, options in built(tmp_path)["filters"] if name == "tier"]
    assert [key for key, _ in tiers] == ["gold", "wood"]
    assert tiers[1] == ("wood", "wood")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\tx", "\rx"])
def test_text_that_a_spreadsheet_would_run_gets_a_quote_in_a_csv_file(text: str) -> None:
    assert not_a_formula(text) == f"'{text}"
    assert f"'{text}" in _content(csv_of(["a", "b"], [[text, -1.5]]))


def test_numbers_stay_numbers_in_a_csv_file() -> None:
    assert _content(csv_of(["a", "b"], [[-1.5, 2]])).splitlines()[1] == "-1.5,2"


def _content(address: str) -> str:
    from urllib.parse import unquote

    return unquote(address.partition(",")[2])


def test_a_block_refuses_numbers_that_json_does_not_have() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        json_block([float("nan")])
    assert json.loads(json_block(["</script>"])) == ["</script>"]
