"""Strategies as data: the package's words, and a company's own in their place."""

from dataclasses import fields
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from clvmodels import read_strategies, run_study
from clvmodels.foundation.errors import StudyError
from clvmodels.report.fonts import SANS, font_file
from clvmodels.report.words import languages
from clvmodels.strategy import CELLS, lifecycle
from clvmodels.strategy.pyramid import TIERS
from clvmodels.strategy.strategies import CLASSES, LANGUAGES, LISTS

OWN = """
[matrix.low_low.en]
name = "Self-service only"
aims = ["Serve without loss."]
[matrix.low_low.zh]
name = "仅限自助服务"
aims = ["服务但不亏本。"]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "ours.toml"
    path.write_text(text, encoding="utf-8")
    return path


def sentences() -> dict[tuple[str, str, str], list[str]]:
    """Every text by scheme, class and language."""
    found = {}
    for scheme, classes in read_strategies().texts.items():
        for key, by_language in classes.items():
            for language, text in by_language.items():
                lists = [sentence for name in LISTS for sentence in getattr(text, name)]
                found[scheme, key, language] = [text.name, *lists]
    return found


def test_every_class_has_every_kind_of_words_in_every_language() -> None:
    assert CLASSES["matrix"] == CELLS
    assert CLASSES["pyramid"] == tuple(TIERS)
    assert set(LANGUAGES) == set(languages())
    texts = read_strategies().texts
    assert {scheme: tuple(classes) for scheme, classes in texts.items()} == CLASSES
    for classes in texts.values():
        for by_language in classes.values():
            assert tuple(by_language) == LANGUAGES
            filled = [{f.name for f in fields(text) if getattr(text, f.name)} for text in by_language.values()]
            assert filled == [{"name", *LISTS}] * len(LANGUAGES)


def test_stages_have_words_under_the_names_that_they_are_found_by() -> None:
    assert lifecycle.__doc__ is not None
    assert all(key.replace("_", "-") in lifecycle.__doc__ or key in lifecycle.__doc__ for key in CLASSES["lifecycle"])


def test_both_languages_have_as_many_sentences_on_every_class() -> None:
    for scheme, classes in read_strategies().texts.items():
        for key, text in classes.items():
            counts = {tuple(len(getattr(words, name)) for name in LISTS) for words in text.values()}
            assert len(counts) == 1, (scheme, key, counts)


def test_the_texts_hold_no_number_and_only_letters_of_the_page_s_font() -> None:
    with font_file(SANS).open("rb") as file, TTFont(file) as font:
        known = set(map(chr, font.getBestCmap()))
    for place, said in sentences().items():
        letters = set("".join(said))
        assert not any(letter.isdigit() for letter in letters), place
        assert letters - known == set(), place


def test_a_company_s_class_takes_the_place_of_ours_whole(tmp_path: Path) -> None:
    ours, theirs = read_strategies(), read_strategies(write(tmp_path, OWN))
    assert theirs.source == "ours.toml"
    changed = theirs.texts["matrix"]["low_low"]["en"]
    assert (changed.name, changed.aims, changed.offer) == ("Self-service only", ["Serve without loss."], [])
    for scheme, classes in ours.texts.items():
        for key, text in classes.items():
            assert (theirs.texts[scheme][key] == text) is ((scheme, key) != ("matrix", "low_low"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OWN.replace("matrix", "martix"), r'ours\.toml: unknown key "martix"\. Known keys: matrix, pyramid, lifecycle'),
        (OWN.replace("low_low", "low_lov"), r'ours\.toml, \[matrix\]: unknown key "low_lov"\. Known keys: high_high'),
        (OWN.replace(".zh", ".fr"), r'ours\.toml, \[matrix\.low_low\]: unknown key "fr"\. Known keys: en, zh'),
        (OWN.replace("aims", "amis"), r'\[matrix\.low_low\.en\]: unknown key "amis"\. Known keys: name, aims'),
        (OWN[: OWN.index("[matrix.low_low.zh")], r"\[matrix\.low_low\]: the language 'zh' is missing"),
        (OWN.replace('name = "Self-service only"', ""), r"\[matrix\.low_low\.en\]: .*missing required field `name`"),
        (OWN.replace("Self-service only", " "), r'\[matrix\.low_low\.en\]: the key "name" is empty'),
        (OWN.replace('["Serve without loss."]', '"Serve."'), r"\[matrix\.low_low\.en\]: Expected `array`.*aims"),
        ("matrix = 3", r"ours\.toml, \[matrix\] = 3: expected a table"),
        ("[matrix", r"ours\.toml is not TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        read_strategies(write(tmp_path, text))


STUDY = Path(__file__).parents[1] / "studies" / "cdnow_sample.toml"


def test_a_study_s_missing_file_is_refused_before_the_log_is_read(tmp_path: Path) -> None:
    text = STUDY.read_text(encoding="utf-8").replace('"dataset:cdnow_sample"', '"no/log.csv"')
    (tmp_path / "study.toml").write_text('strategies = "nowhere.toml"\n' + text, encoding="utf-8")
    with pytest.raises(StudyError, match=r"nowhere\.toml: cannot read the strategies"):
        run_study(tmp_path / "study.toml", output=tmp_path)
