"""The text catalogues: every language says the same, with the same gaps, in letters that the font has."""

import dataclasses
import io
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fontTools.ttLib import TTFont

from clvmodels.baselines import BASELINES
from clvmodels.data.ledger import COUNTED, SET_ASIDE
from clvmodels.evaluation.predictive_checks import PURCHASE_KEYS, SPEND_CLASSES, SPEND_MOMENTS
from clvmodels.evaluation.scores import SCORES
from clvmodels.foundation.counting import WORDS, CountingRules
from clvmodels.foundation.errors import StudyError
from clvmodels.inference.sensitivity import diagnosis
from clvmodels.models import MODELS
from clvmodels.report.fonts import SANS, font_file
from clvmodels.report.sections.predictive import MEANINGS
from clvmodels.report.words import languages, read_words

# What the data floor may say of a log: rows set aside, and rows or customers used that deserve a look.
ASIDE = (
    "missing_id",
    "excluded",
    "other_currency",
    "before_first_day",
    "after_last_day",
    "zero_amount",
    "duplicate",
    "first_refund",
    "refund_day",
    "refund_dropped",
    "refund_matched",
    "refund_unmatched",
)
NOTED = (
    "zero_amount",
    "repeated_line",
    "far_date",
    "similar_id",
    "mixed_id",
    "several_orders",
    "first_row_refund",
    "largest_row",
    "left_truncated",
    "last_period_cut",
    "exclude_unseen",
)

PACKAGE = Path(__file__).parent.parent / "clvmodels"

# References are citations and formats are patterns; elsewhere a digit would be a result that nobody computed.
MAY_HOLD_DIGITS = ("format.", "method.references")


def texts(node: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a catalogue with its place."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from texts(value, f"{place}.{key}".lstrip("."))
    elif isinstance(node, list):
        for position, value in enumerate(node):
            yield from texts(value, f"{place}[{position}]")
    elif isinstance(node, str):
        yield place, node


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def code(floor: str) -> str:
    """All Python of a floor."""
    return "".join(path.read_text(encoding="utf-8") for path in sorted((PACKAGE / floor).glob("*.py")))


@pytest.fixture(params=languages())
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def catalogue(language: str) -> dict[str, str]:
    found = dict(texts(read_words(language).texts))
    return {place: text for place, text in found.items() if not place.startswith("format.axis_scales")}


def test_every_language_has_the_same_keys(language: str) -> None:
    assert set(catalogue(language)) == set(catalogue("en"))


def test_every_language_has_the_same_placeholders(language: str) -> None:
    english, other = catalogue("en"), catalogue(language)
    dates = (
        "format.date",
        "format.short_date",
        "format.month_year",
    )  # a language leaves out what it does not write
    differ = [key for key in english if key not in dates and placeholders(english[key]) != placeholders(other[key])]
    assert differ == []


def test_no_sentence_holds_a_number_of_its_own(language: str) -> None:
    with_digits = [
        place
        for place, text in catalogue(language).items()
        if not place.startswith(MAY_HOLD_DIGITS) and any(character.isdigit() for character in text)
    ]
    assert with_digits == []


def test_the_embedded_font_has_every_character_of_the_catalogue(language: str) -> None:
    with TTFont(io.BytesIO(font_file(SANS).read_bytes())) as font:
        characters = set(map(chr, font.getBestCmap()))
    needed = set("".join(catalogue(language).values()))
    assert needed - characters == set()


def test_every_score_baseline_and_model_of_the_registries_has_a_name(language: str) -> None:
    words = read_words(language)
    assert set(SCORES) <= set(words.at("scores"))
    assert set(BASELINES) <= set(words.at("methods"))
    assert set(MODELS) <= set(words.at("models_named"))


def test_what_a_coefficient_changes_has_a_name_for_every_parameter_that_takes_covariates(language: str) -> None:
    """A letter means one thing in all models of purchases and spend; a model of retention has texts of its own."""
    known = read_words(language).at("models.acts_on")
    taking = [
        (model, parameter.name) for model in MODELS.values() for parameter in model.parameters if parameter.covariates
    ]
    keys = {f"{model.name}_{letter}" if model.family == "retention" else letter for model, letter in taking}
    keys |= {name for model in MODELS.values() for name in model.terms_act_on}
    assert len(keys) >= 10
    assert keys - set(known) == set()


def test_every_check_of_a_fit_is_explained(language: str) -> None:
    keys = set(re.findall(r'Check\(\s*"(\w+)"', code("inference")))
    assert len(keys) >= 5
    assert keys | {"infinite_mean"} <= set(read_words(language).at("checks"))


def test_every_reason_of_a_ledger_has_a_text(language: str) -> None:
    """Fates of rows by the data floor's own lists, other reasons as its code and the study's write them."""
    written = re.findall(r'(?:LedgerLine|_counted)\(\s*"(\w+)"', code("data") + code("foundation") + code("study"))
    written += re.findall(r'day\(window\.\w+\), "(\w+)"\)', code("data"))  # customers won outside a window
    assert {"zero_amount", "mixed_id", "no_positive_spend", "after_calibration", "won_before"} <= set(written)
    few = {"few_customers", "few_repeat_buyers"}
    reasons = read_words(language).at("reasons")
    assert {*COUNTED, *SET_ASIDE, *written, *few, *ASIDE, *NOTED} - set(reasons) == set()
    assert all(reasons.values())


def test_every_reason_and_note_of_a_log_is_explained_with_what_was_done_and_what_to_ask(language: str) -> None:
    words = read_words(language)
    for group, keys in (
        ("aside", {"refund_netted", *ASIDE}),
        ("noted", {"few_customers", "few_repeat_buyers", *NOTED}),
    ):
        found = words.at(f"quality.{group}")
        assert set(found) == keys
        assert all(set(entry) == {"meaning", "done", "ask"} and all(entry.values()) for entry in found.values())


def test_every_choice_of_what_counts_and_each_of_its_words_is_put_in_words(language: str) -> None:
    options = read_words(language).at("quality.options")
    assert set(options) == {field.name for field in dataclasses.fields(CountingRules)}
    for option, entry in options.items():
        assert entry["name"]
        assert set(entry.get("words", {})) == set(WORDS.get(option, ()))
        assert all(entry.get("words", {}).values())
        assert ("stated" in entry) is (option not in WORDS)


def test_the_catalogue_knows_which_way_each_score_is_better() -> None:
    said = {"low": {"lower"}, "high": {"higher"}, "zero": {"zero", "stated"}}
    words = read_words("en")
    wrong = [name for name, rule in SCORES.items() if words.detail("scores", name, "better") not in said[rule.better]]
    assert wrong == []


def test_only_scores_of_the_best_customers_are_of_the_kind_top(language: str) -> None:
    kinds = {name: read_words(language).detail("scores", name, "kind") for name in SCORES}
    assert {name for name, kind in kinds.items() if kind == "top"} == {"spend_capture_10", "spend_capture_20"}
    assert {name.split("_")[1] for name, kind in kinds.items() if kind == "rank"} == {"spearman", "gini"}


def test_every_quantity_of_a_predictive_check_and_what_its_miss_means_has_a_text(language: str) -> None:
    words = read_words(language)
    aspects = {quantity for _, quantity, _ in PURCHASE_KEYS} | set(SPEND_MOMENTS)
    assert aspects <= set(words.at("predictive.quantities"))
    assert set(MEANINGS) == set(words.at("predictive.means"))


def test_every_meaning_of_a_miss_is_of_a_quantity_that_is_checked() -> None:
    checked = {(quantity, group) for _, quantity, group in PURCHASE_KEYS}
    checked |= {(moment, group) for moment in SPEND_MOMENTS for group in SPEND_CLASSES}
    triggers = frozenset.union(*MEANINGS.values())
    assert {(quantity, group) for quantity, group, _ in triggers} <= checked
    assert {side for _, _, side in triggers} == {"above", "below"}


def test_every_kept_unit_of_a_study_has_a_name(language: str) -> None:
    told = re.findall(r'units\.unit\(\s*f?"(\w+)(?: \{\w+[^"]*)?",(.*?)\n(?:    )+\)', code("study"), re.S)
    keys = {name for name, rest in told if "codec=None" not in rest} - {"rival_", "compare_", "rivals_"}
    assert {"fit_calibration", "strategy", "segment", "contest", "results"} <= keys
    names = set(read_words(language).at("steps"))
    assert keys <= names
    assert {"compare_mle", "compare_laplace", "compare_nuts", "rivals_purchases", "rivals_spend"} <= names


def test_every_diagnosis_of_a_prior_has_a_name(language: str) -> None:
    assert set(read_words(language).at("models.diagnoses")) == {"none", "prior_dominates", "prior_data_conflict"}
    assert {diagnosis(prior, data) for prior in (0.0, 1.0) for data in (0.0, 1.0)} <= set(
        read_words(language).at("models.diagnoses")
    )


def test_values_are_escaped_and_sentences_are_not() -> None:
    sentence = read_words("en").say("contest.won", score="<b>", methods="a & b")
    assert "<strong>&lt;b&gt;</strong>" in sentence
    assert "a &amp; b" in sentence


def test_a_key_that_a_catalogue_lacks_shows_itself_as_a_name_and_is_refused_as_a_sentence() -> None:
    words = read_words("en")
    assert words.name("methods", "my_own_rule") == "my_own_rule"
    with pytest.raises(KeyError, match=r"en\.toml has no 'headline.nothing'"):
        words.say("headline.nothing")


def test_an_unknown_language_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(StudyError, match='language = "fr": expected one of "en", "zh"'):
        read_words("fr")
