"""Numbers as readers of each language write them."""

import math
import re

import pytest

from clvmodels.foundation.estimates import Estimate
from clvmodels.report.numbers import Numbers, numbers_for, tidy
from clvmodels.report.words import read_words


def numbers(language: str, currency: str = "USD") -> Numbers:
    return numbers_for(read_words(language).texts, currency)


def loose(amount: str) -> str:
    """An amount without what keeps it on one line."""
    return amount.replace("\u00a0", " ").replace("\u2060", "")


@pytest.mark.parametrize(
    ("value", "english", "chinese"),
    [
        (778412.0, "$778,000", "77.8 万美元"),
        (1_024_500.0, "$1.02 million", "102 万美元"),
        (2.5e9, "$2.5 billion", "25 亿美元"),
        (999_600.0, "$1 million", "100 万美元"),
        (9_996.0, "$10,000", "1 万美元"),
        (33.0258, "$33", "33 美元"),
        (-1500.0, "−$1,500", "−1,500 美元"),
        (math.nan, "–", "–"),
        (None, "–", "–"),
    ],
)
def test_large_amounts_are_three_figures_in_the_language_s_own_scale(
    value: float | None, english: str, chinese: str
) -> None:
    assert loose(numbers("en").compact(value)) == english
    assert loose(numbers("zh").compact(value)) == chinese


@pytest.mark.parametrize(
    ("language", "text"), [("en", "−\u2060$1.02\u00a0million"), ("zh", "−102\u00a0万美元")], ids=["en", "zh"]
)
def test_no_line_ends_within_an_amount_of_running_text(language: str, text: str) -> None:
    assert numbers(language).compact(-1_024_500.0) == text


@pytest.mark.parametrize("currency", ["USD", "CNY", "EUR", "GBP", "XAU"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_amounts_of_running_text_hold_their_sign_and_their_currency(language: str, currency: str) -> None:
    of = numbers(language, currency)
    for amount in (of.money(-3.5), of.exact(-3.5), of.compact(-2.5e9)):
        assert " " not in amount
        assert re.match("−(\\d|\u2060)", amount)


@pytest.mark.parametrize(("value", "text"), [(99.99, "$99.99"), (99.996, "$100"), (0.0, "$0.00"), (-3.5, "−$3.50")])
def test_amounts_in_full_have_cents_below_a_hundred(value: float, text: str) -> None:
    assert loose(numbers("en").money(value)) == text


def test_an_unknown_currency_is_written_by_its_code() -> None:
    assert loose(numbers("en", "XAU").money(5.0)) == "XAU 5.00"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.564, "56%"),
        (0.004, "0.4%"),
        (0.0002, "<0.1%"),
        (0.0, "0%"),
        (1.0, "100%"),
        (-0.12, "−12%"),
        (None, "–"),
    ],
)
def test_small_shares_are_not_shown_as_none(value: float | None, text: str) -> None:
    assert numbers("en").share(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.075, "7.5%"),
        (0.1, "10%"),
        (0.07, "7%"),
        (0.2125, "21.25%"),
        (0.0004, "0.04%"),
        (1.0, "100%"),
        (0.0, "0%"),
        (-0.005, "−0.5%"),
        (math.nan, "–"),
    ],
)
def test_a_setting_has_the_digits_that_it_was_given(value: float, text: str) -> None:
    assert numbers("en").setting(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123456, "0.0123"),
        (0.7, "0.700"),
        (1812.4, "1,812"),
        (0.0, "0"),
        (-0.0446, "−0.0446"),
        (math.inf, "–"),
    ],
)
def test_scores_have_three_figures_and_whole_numbers_all_of_theirs(value: float, text: str) -> None:
    assert numbers("en").significant(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "+10%"), (-0.1, "−10%"), (0.0, "0%"), (0.025, "+2.5%"), (0.1 + 0.2, "+30%"), (-1e-17, "0%"), (2.0, "+200%")],
)
def test_a_gap_on_an_axis_has_its_sign_and_no_more_digits_than_it_needs(value: float, text: str) -> None:
    assert numbers("en").axis_gap(value) == text


def test_a_number_that_rounds_to_zero_has_no_sign() -> None:
    assert numbers("en").decimal(-0.0004, 2) == "0.00"


def test_dates_and_lengths_are_written_as_each_language_does() -> None:
    assert numbers("en").date("1998-06-30") == "30 June 1998"
    assert numbers("zh").date("1998-06-30") == "1998 年 6 月 30 日"
    assert numbers("zh").short_date("1998-06-03") == "1998-06-03"
    assert numbers("en").length(1.0, "week") == "1 week"
    assert numbers("en").length(2.5, "month") == "2.5 months"
    assert numbers("en").length(0.25, "year") == "0.25 years"
    assert numbers("en").length(1095.5, "day") == "1,095.5 days"
    assert numbers("zh").length(52.0, "week") == "52 周"


def test_an_interval_without_bounds_is_a_dash() -> None:
    single = Estimate(1.0, None, None, None, None)
    assert numbers("en").interval(single, numbers("en").decimal) == "–"


def test_lists_are_joined_in_words() -> None:
    assert numbers("en").listed(["a", "b", "c"]) == "a, b and c"
    assert numbers("zh").listed(["照旧", "lifetimes"]) == "照旧和 lifetimes"
    assert numbers("en").listed([]) == ""


def test_blanks_stay_between_chinese_and_latin_only() -> None:
    assert (
        tidy("未来 52 周 的 <strong>价值</strong> 为 3 美元 至 4 美元")
        == "未来 52 周的<strong>价值</strong>为 3 美元至 4 美元"
    )
