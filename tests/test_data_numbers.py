"""Numbers in text: what is written in any dress is read exactly, and what could be two numbers is refused."""

import math
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from clvmodels.data import read_transactions
from clvmodels.foundation.errors import DataError
from tests.reader_cases import amounts, frame

MARKS = [(".", None), (",", None), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "’")]
BLANKS = [" ", "\u00a0", "\u2009", "\u202f"]
SIGNS = ["", "€", "EUR", "eur"]


def amounts_of(texts, **options):
    return amounts(frame(amount=texts), **options)


def grouped(digits, mark):
    """Digits in groups of three."""
    head = len(digits) % 3
    return mark.join(([digits[:head]] if head else []) + [digits[i : i + 3] for i in range(head, len(digits), 3)])


@st.composite
def dressed(draw, decimal, thousands):
    """A number and a text that says it."""
    cents = draw(st.integers(0, 10**12))
    negative = draw(st.sampled_from(["", "-", "after", "()", "+", "−"]))
    whole, part = str(cents // 100), f"{cents % 100:02d}"
    if thousands is not None and draw(st.booleans()):
        mark = draw(st.sampled_from(BLANKS)) if thousands == " " else thousands
        whole = grouped(whole, mark)
    text = whole + decimal + part
    sign, gap, side = draw(st.sampled_from(SIGNS)), draw(st.sampled_from(["", " ", "\u00a0"])), draw(st.booleans())
    if sign:
        text = sign + gap + text if side else text + gap + sign
    lead = negative if negative in ("-", "+", "−") else ""
    text = f"({text})" if negative == "()" else text + "-" if negative == "after" else lead + text
    value = float(Decimal(cents) / 100)
    return draw(st.sampled_from(["", " "])) + text, -value if negative in ("-", "−", "after", "()") else value


@pytest.mark.parametrize(("decimal", "thousands"), MARKS)
@settings(
    max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)
@given(data=st.data())
def test_a_number_in_any_dress_is_read_exactly(decimal, thousands, data):
    cases = data.draw(st.lists(dressed(decimal, thousands), min_size=20, max_size=60))
    # One sign a column: the others are taken out.
    sign = data.draw(st.sampled_from(SIGNS[1:]))
    texts = [text for text, _ in cases]
    for other in SIGNS[1:]:
        texts = [text.replace(other, sign) for text in texts]
    found = amounts_of(texts, decimal=decimal, thousands=thousands, currency="EUR")
    assert found == [value for _, value in cases]


@settings(max_examples=8, deadline=None)
@given(st.lists(st.floats(-1e15, 1e15).filter(lambda value: not 0 < abs(value) < 5e-7), min_size=50, max_size=50))
def test_what_python_writes_of_a_float_is_read_as_that_float(values):
    assert amounts_of([repr(value) for value in values]) == values


@pytest.mark.parametrize(
    ("text", "options", "value"),
    [
        ("$1,234.56", {"thousands": ","}, 1234.56),
        ("US$ 5", {}, 5.0),
        ("-$12.50", {}, -12.5),
        ("$-12.50", {}, -12.5),
        ("($12.50)", {}, -12.5),
        ("$(12.50)", {}, -12.5),
        ("12.50-", {}, -12.5),
        ("+5", {}, 5.0),
        (".5", {}, 0.5),
        ("5.", {}, 5.0),
        ("1.234,50 €", {"decimal": ",", "thousands": ".", "currency": "EUR"}, 1234.5),
        ("1.5E+03", {}, 1500.0),
        ("1,5e3", {"decimal": ","}, 1500.0),
        ("¥1,234", {"thousands": ",", "currency": "JPY"}, 1234.0),
        ("￥88.00", {"currency": "CNY"}, 88.0),
        ("R$ 1.000,00", {"decimal": ",", "thousands": ".", "currency": "BRL"}, 1000.0),
        ("CHF 1’234.50", {"thousands": "'", "currency": "CHF"}, 1234.5),
        ("5 XAU", {"currency": "XAU"}, 5.0),
    ],
)
def test_usual_ways_to_write_an_amount_are_read(text, options, value):
    assert amounts_of([text], **({"currency": "USD"} | options)) == [value]


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        (["1", "$1,234.56"], {}, r'row 1: "\$1,234\.56".*Give thousands=","\.'),
        (["12,50", "3"], {}, r'Give decimal=","\.'),
        (["1,234"], {}, r'decimal=","( or|.*) .*thousands=",".*cannot be told'),
        (["1.234,50"], {}, r'Give decimal=",", thousands="\."\.'),
        (["1.234,50", "1,234.50"], {}, r'row 0: "1\.234,50"\)\. Amounts are plain numbers[^G]*$'),
        (["1.234"], {"decimal": ","}, r'"1\.234".*thousands="\."'),
        (["12,34.5"], {"thousands": ","}, '"12,34.5"'),
        (["1,2345"], {"thousands": ","}, '"1,2345"'),
        (["1_000"], {}, '"1_000"'),
        (["0x10"], {}, '"0x10"'),
        (["5%"], {}, '"5%"'),
        (["5K"], {}, '"5K"'),
        (["12 34"], {}, '"12 34"'),
        (["--5"], {}, '"--5"'),
        (["(5"], {}, r'"\(5"'),
        (["-(5)"], {}, r'"-\(5\)"'),
        (["-5-"], {}, '"-5-"'),
        (["$5$"], {}, r'"\$5\$"'),
        (["€5"], {}, r'"€5".*sign is none of USD: give currency= or currency_column='),
        (["A$5"], {}, "sign is none of USD"),
        (["$5", "US$5"], {}, r'mixes currency signs \(row 0: "\$5"; row 1: "US\$5"\)'),
        (["£5", "€5"], {"currency": None}, "mixes currency signs"),
        (["5", "None"], {}, 'row 1: "None"'),
        (["-"], {}, 'row 0: "-"'),
        (["∞"], {}, "∞"),
        (["１２"], {}, "１２"),
    ],
)
def test_what_could_be_two_numbers_or_none_is_refused_with_the_option_that_reads_it(texts, options, message):
    with pytest.raises(DataError, match=message):
        amounts_of(texts, **({"currency": "USD"} | options))


def test_a_sign_may_stand_by_some_amounts_only():
    assert amounts_of(["$5", "3", "(2)"], currency="USD") == [5.0, 3.0, -2.0]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"decimal": ";"}, r"decimal = ';': expected one of \"\.\", \",\""),
        ({"thousands": "_"}, "thousands = '_': expected one of"),
        ({"decimal": ",", "thousands": ","}, "are both"),
    ],
)
def test_marks_that_no_number_has_are_refused_before_the_source_is_opened(option, message):
    with pytest.raises(DataError, match=message):
        read_transactions("nowhere.csv", **option)


def test_amounts_in_dress_add_up_to_those_in_plain(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("customer_id;date;amount\n" + "a;2024-01-01;$1,234.56\na;2024-01-02;($0.10)\nb;2024-01-01;2\n" * 3)
    log = read_transactions(path, thousands=",", refunds="keep")
    assert math.isclose(sum(line.amount for line in log.ledger), 3 * 1236.46, abs_tol=1e-9)
