"""Reading a log from a study file and from the command line: one set of options, one answer, one account."""

import inspect
import re

import msgspec
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.cli import COUNTING_OPTIONS, LAYOUT_OPTIONS, main
from clvmodels.foundation.counting import WORDS
from clvmodels.study import read_study
from clvmodels.study.config import DataTable

LOG = """\
Kunde;Tag;Preis;Menge;Code;Rechnung
007;01.02.2024;1.234,50;2;A1;R1
007;15.03.2024;10,00;1;POST;R2
007;20.03.2024;5,00;-1;A2;R3
;21.03.2024;7,00;1;A1;R4
8;02.02.2024;3,00;1;A1;R5
8;02.02.2024;3,00;1;A1;R5
8;05.04.2024;0,00;1;A3;R6
8;09.05.2024;4,00;1;A3;R7
"""
OPTIONS = {
    "customer": "Kunde",
    "date": "Tag",
    "amount": "Preis",
    "quantity": "Menge",
    "order": "Rechnung",
    "currency": "EUR",
    "date_format": "%d.%m.%Y",
    "decimal": ",",
    "thousands": ".",
    "refunds": "drop",
    "zero_amounts": "drop",
    "missing_ids": "drop",
    "duplicates": "drop",
    "last_day": "2024-04-30",
    "exclude": {"Code": ["POST", "X"]},
}
USED = [("007", "2024-02-01", 2469.0), ("8", "2024-02-02", 3.0)]
STUDY = """
name = "shop"
seed = 1
languages = ["en"]
title = {{ en = "A shop" }}
[data]
source = "{source}"
currency = "EUR"
{data}
[window]
calibration_end = 2024-03-31
holdout_end = 2024-04-30
{window}
[value]
horizon = 26
annual_discount_rate = 0.1
margin = 1.0
"""


@pytest.fixture
def log_file(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(LOG, encoding="utf-8")
    return path


def flags(options):
    """The options as arguments of a command line."""
    given = []
    for name, value in options.items():
        values = (
            [f"{column}={word}" for column, words in value.items() for word in words] if name == "exclude" else [value]
        )
        for one in values:
            given += [f"--{name.replace('_', '-')}", str(one)]
    return given


def toml(options):
    """The options as lines of a study file."""
    lines = []
    for name, value in options.items():
        if name == "exclude":
            inner = ", ".join(f'"{column}" = {words}' for column, words in value.items())
            lines.append(f"{name} = {{ {inner} }}")
        else:
            lines.append(f"{name} = {value}" if name.endswith("_day") else f"{name} = {value!r}")
    return "\n".join(lines)


def study_of(tmp_path, *, source="log.csv", data="", window=""):
    file = tmp_path / "shop.toml"
    file.write_text(STUDY.format(source=source, data=data, window=window), encoding="utf-8")
    return read_study(file).study


def days_of(log):
    table = log.table.order_by("customer_id", "date").to_pandas()
    return [(row.customer_id, str(row.date)[:10], row.amount) for row in table.itertuples(index=False)]


# --- one set of options ---

OWN = ("source", "pseudonym_key")  # a secret is in no study file and on no command line


def test_the_study_file_and_the_command_line_have_the_options_of_the_function():
    options = {name: of for name, of in inspect.signature(clv.read_transactions).parameters.items() if name not in OWN}
    fields = {field.name: field for field in msgspec.structs.fields(DataTable) if field.name != "source"}
    assert set(fields) == set(options) == {*LAYOUT_OPTIONS, *COUNTING_OPTIONS}
    for name, field in fields.items():
        if name != "currency":  # a study must name it
            assert field.default == options[name].default, name


def test_the_words_of_a_study_file_are_those_that_count():
    for name, words in WORDS.items():
        (field,) = (field for field in msgspec.structs.fields(DataTable) if field.name == name)
        assert msgspec.inspect.type_info(field.type).values == tuple(sorted(words))


def test_defaults_told_by_the_command_line_are_those_of_the_function():
    options = inspect.signature(clv.read_transactions).parameters
    told = {name: re.search(r"\((\S+)\)$", text) for name, text in (LAYOUT_OPTIONS | COUNTING_OPTIONS).items()}
    for name, found in told.items():
        default = options[name].default
        assert (found[1] if found else None) == (default or None), name


def test_a_study_reads_a_log_as_the_function_does(tmp_path, log_file):
    options = {name: value for name, value in OPTIONS.items() if name != "currency"}
    data = study_of(tmp_path, source=log_file.as_posix(), data=toml(options)).data
    log = clv.read_transactions(data.source, **data.options)
    assert days_of(log) == USED
    assert log.ledger == clv.read_transactions(log_file, **OPTIONS).ledger
    assert sum(line.rows for line in log.ledger) == log.rows_read == 8


def test_summarize_reads_a_log_as_the_function_does(tmp_path, log_file, capsys):
    out = tmp_path / "summary.csv"
    end = ["--calibration-end", "2024-02-29", "--unit", "day"]
    assert main(["summarize", str(log_file), *end, *flags(OPTIONS), "--output", str(out)]) == 0
    summary = pd.read_csv(out, dtype={"customer_id": str})
    assert list(zip(summary.customer_id, summary["T"], strict=True)) == [("007", 28.0), ("8", 27.0)]
    assert "8 rows = 2 used + 6 set aside" in capsys.readouterr().err


# --- the account ---


def test_summarize_accounts_for_every_row(log_file, capsys):
    assert main(["summarize", str(log_file), "--calibration-end", "2024-02-29", *flags(OPTIONS)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("customer_id,")
    rows, used, aside = (int(n) for n in re.match(r"(\d+) rows = (\d+) used \+ (\d+) set aside", told.err).groups())
    lines = re.findall(r"^  (\w+) +([\d,]+) +[-\d,.]+$", told.err.split("worth knowing")[0], re.MULTILINE)
    by_reason = {reason: int(count.replace(",", "")) for reason, count in lines}
    assert rows == used + aside == sum(by_reason.values())
    expected = ("missing_id", "excluded", "after_last_day", "zero_amount", "duplicate", "refund_dropped")
    assert all(by_reason[reason] == 1 for reason in expected)


def test_an_option_that_is_not_given_is_not_passed_to_a_named_data_set(capsys):
    assert main(["summarize", "dataset:cdnow_sample", "--calibration-end", "1997-09-30", "--zero-amounts", "drop"]) == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) > 2300
    assert re.search(r"^  zero_amount +\d", told.err, re.MULTILINE)
    assert main(["summarize", "dataset:cdnow_sample", "--calibration-end", "1997-09-30", "--amount", "x"]) == 2
    assert "brings its own columns" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--exclude", "POST"], "expected COLUMN=VALUE"),
        (["--exclude", "=POST"], "expected COLUMN=VALUE"),
        (["--last-day", "30.04.2024"], "expected a day such as"),
        (["--refunds", "ignore"], "invalid choice: 'ignore'"),
    ],
)
def test_an_argument_that_cannot_be_meant_is_refused(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["summarize", "log.csv", "--calibration-end", "2024-03-31", *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_values_with_an_equals_sign_can_be_excluded(tmp_path, capsys):
    path = tmp_path / "log.csv"
    path.write_text("customer_id,date,amount,note\na,2024-01-01,1,x=y\na,2024-01-08,2,z\nb,2024-01-01,1,z\n")
    assert main(["summarize", str(path), "--calibration-end", "2024-01-31", "--exclude", "note=x=y"]) == 0
    assert re.search(r"^  excluded +1 ", capsys.readouterr().err, re.MULTILINE)


def test_several_encodings_and_names_are_set_apart_by_commas(tmp_path, capsys):
    for name, encoding in (("a.csv", "utf-8"), ("b.csv", "gbk")):
        (tmp_path / name).write_bytes("张三,2024-01-01,1\n".encode(encoding))
    command = ["summarize", str(tmp_path / "*.csv"), "--calibration-end", "2024-01-31"]
    assert main([*command, "--columns", "customer_id,date,amount", "--encoding", "utf-8,gbk"]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["张三"]


# --- the study file ---


@pytest.mark.parametrize(
    ("data", "window", "message"),
    [
        ('refunds = "net off"', "", '[data] refunds = \'net off\': expected one of "drop", "keep", "match", "net"'),
        ('duplicates = "refuse"', "", "[data] duplicates"),
        ("day_starts = 4", "", "[data] day_starts = 4"),
        ("encoding = 8", "", "[data] encoding = 8"),
        ('last_day = "30 April"', "", "[data] last_day = '30 April'"),
        ('exclude = { code = "POST" }', "", "[data.exclude] code = 'POST'"),
        ("exclude = { code = [1] }", "", "[data.exclude] code[0] = 1"),
        ('exclude = { a = ["x"], b = 3 }', "", "[data.exclude] b = 3"),
        ("exclude = { code = [] }", "", "at least one"),
        ('time_zome = "UTC"', "", 'unknown key "time_zome"; did you mean "time_zone"?'),
        ("first_day = 2024-05-01\nlast_day = 2024-04-30", "", "[data]: last_day 2024-04-30 is before first_day"),
        ("last_day = 2024-04-29", "", "[data] last_day = 2024-04-29: it is before the check ends"),
        ("", "acquired_from = 2024-04-01", "[window]: acquired_from 2024-04-01 is after calibration_end"),
        ("", "acquired_until = 2024-04-01", "[window]: acquired_until 2024-04-01 is after calibration_end"),
        (
            "",
            "acquired_from = 2024-02-02\nacquired_until = 2024-02-01",
            "[window]: acquired_from 2024-02-02 is after acquired_until",
        ),
    ],
)
def test_a_contradiction_in_a_study_is_told_with_its_place(tmp_path, data, window, message):
    with pytest.raises(clv.StudyError, match=re.escape(message)):
        study_of(tmp_path, data=data, window=window)


def test_the_window_of_a_study_has_the_days_between_which_customers_were_won(tmp_path):
    window = study_of(tmp_path, window="acquired_from = 2024-01-15\nacquired_until = 2024-02-15").contest_window
    assert (str(window.acquired_from), str(window.acquired_until)) == ("2024-01-15", "2024-02-15")


def test_an_encoding_may_be_one_or_several(tmp_path):
    assert study_of(tmp_path, data='encoding = "gbk"').data.encoding == "gbk"
    assert study_of(tmp_path, data='encoding = ["utf-8", "gbk"]').data.encoding == ("utf-8", "gbk")
