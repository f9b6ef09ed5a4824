"""A font cut to a page's characters, against the committed one that it was cut from."""

import io

import pytest
from fontTools.pens.recordingPen import RecordingPen
from fontTools.ttLib import TTFont

from clvmodels.report.fonts import SANS, SERIF, TYPED, font_file, woff2_subset

SHOWN = {SANS: "客户价值 €1,234 “é” →，。", SERIF: "€1,234 “é” →"}


def glyphs(font: TTFont, characters: set[str]) -> dict[str, tuple[object, float]]:
    """Outline and width of each character."""
    names, drawn = font.getBestCmap(), font.getGlyphSet()
    found = {}
    for character in characters & set(map(chr, names)):
        pen, glyph = RecordingPen(), drawn[names[ord(character)]]
        glyph.draw(pen)
        found[character] = (pen.value, glyph.width)
    return found


@pytest.fixture(scope="module", params=[SANS, SERIF])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def cut(family: str) -> TTFont:
    return TTFont(io.BytesIO(woff2_subset(family, SHOWN[family])))


def test_a_cut_font_has_the_characters_asked_for_and_no_others(family: str, cut: TTFont) -> None:
    with TTFont(io.BytesIO(font_file(family).read_bytes())) as whole:
        there = {chr(code) for code in whole.getBestCmap()}
    asked = set(SHOWN[family]) | TYPED
    assert asked <= there
    assert {chr(code) for code in cut.getBestCmap()} == asked


def test_a_cut_font_draws_its_characters_as_the_whole_one_does(family: str, cut: TTFont) -> None:
    asked = set(SHOWN[family]) | TYPED
    with TTFont(io.BytesIO(font_file(family).read_bytes())) as whole:
        assert glyphs(cut, asked) == glyphs(whole, asked)
        assert (cut["hhea"].ascent, cut["hhea"].descent) == (whole["hhea"].ascent, whole["hhea"].descent)


def test_a_cut_font_keeps_the_copyright_and_the_name_of_its_own(family: str, cut: TTFont) -> None:
    assert "Adobe" in str(cut["name"].getName(0, 3, 1, 0x409))
    assert str(cut["name"].getName(1, 3, 1, 0x409)) == family


def test_a_cut_font_keeps_the_kerning_of_its_letters(cut: TTFont) -> None:
    assert {record.FeatureTag for record in cut["GPOS"].table.FeatureList.FeatureRecord} == {"kern"}


def test_the_outlines_of_the_committed_fonts_call_upon_no_others(family: str) -> None:
    """A cut takes outlines as they are; with shared parts it would carry those of all the font."""
    with TTFont(io.BytesIO(font_file(family).read_bytes())) as font:
        (face,) = font["CFF "].cff.topDictIndex
        assert len(face.GlobalSubrs) == 0
        assert not any(getattr(part.Private, "Subrs", None) for part in face.FDArray)
