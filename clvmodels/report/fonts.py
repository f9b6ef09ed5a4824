"""The page's fonts, cut to the characters that the page holds and embedded as WOFF2."""

import base64
import io
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

SANS, SERIF = "CLV Sans SC", "CLV Serif"
FONT_FILES = {SANS: "clv-sans-sc.otf", SERIF: "clv-serif.otf"}

# Limits each face to the scripts that it has, so that a customer id in another script goes straight
# to the reader's own fonts.
SCRIPTS = "U+20-17F, U+370-3FF, U+2000-22FF, U+2500-27BF, U+3000-303F, U+4E00-9FFF, U+FF00-FFEF"

# Always kept: a search box, a filter or a sort must not bring up a letter that was not on the page.
TYPED = frozenset(map(chr, range(0x20, 0x7F)))


def font_file(family: str) -> Traversable:
    """The file of a family, as committed under report/assets."""
    return files("clvmodels.report") / "assets" / FONT_FILES[family]


def woff2_subset(family: str, characters: Iterable[str]) -> bytes:
    """The family's font with these characters alone, as WOFF2; the same characters give the same bytes."""
    return _cut(family, frozenset(characters) | TYPED)


@lru_cache(maxsize=16)  # pages of one run share many: the serif of all, and the whole of a page that is made again
def _cut(family: str, characters: frozenset[str]) -> bytes:
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    source = io.BytesIO(font_file(family).read_bytes())
    with TTFont(source, recalcTimestamp=False, recalcBBoxes=False, lazy=True) as font:
        whole = font.getGlyphOrder()
        aside = {tag: font[tag] for tag in ("CFF ", "name")}  # the subsetter would interpret each outline
        for tag in aside:
            del font[tag]
        subsetter = Subsetter(Options(layout_features=["kern", "pwid"], recalc_timestamp=False))
        subsetter.populate(unicodes=sorted(map(ord, characters)))
        subsetter.subset(font)
        kept = set(font.getGlyphOrder())
        _keep_outlines(aside["CFF "].cff[0], [place for place, name in enumerate(whole) if name in kept])
        for tag, table in aside.items():
            font[tag] = table
        font.flavor = "woff2"
        cut = io.BytesIO()
        font.save(cut)
        return cut.getvalue()


def _keep_outlines(face: Any, places: list[int]) -> None:
    """Leave the outlines at these places alone, as they are: in the committed files none calls upon another."""
    names = [face.charset[place] for place in places]
    for name in names:
        face.CharStrings.getItemAndSelector(name)  # read before its neighbours go
    index = face.CharStrings.charStringsIndex
    index.items = [index.items[place] for place in places]
    del index.file, index.offsets
    face.CharStrings.charStrings = {name: number for number, name in enumerate(names)}
    face.charset, face.numGlyphs = names, len(names)
    _keep_dictionaries(face, [face.FDSelect[place] for place in places])


def _keep_dictionaries(face: Any, chosen: list[int]) -> None:
    """Leave the font dictionaries that an outline has."""
    used = sorted(set(chosen))
    face.FDSelect.format, face.FDSelect.gidArray = None, [used.index(number) for number in chosen]
    dictionaries = [face.FDArray[number] for number in used]
    face.FDArray.items = dictionaries
    del face.FDArray.file, face.FDArray.offsets


def font_face(family: str, characters: Iterable[str]) -> str:
    """The CSS rule that embeds the family for these characters."""
    data = base64.b64encode(woff2_subset(family, characters)).decode("ascii")
    return (
        f'@font-face{{font-family:"{family}";font-display:block;unicode-range:{SCRIPTS};'
        f'src:url(data:font/woff2;base64,{data}) format("woff2")}}'
    )
