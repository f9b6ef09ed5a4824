"""The page's fonts, cut to the characters that the page holds and embedded as WOFF2."""

import base64
import io
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

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

    with TTFont(io.BytesIO(font_file(family).read_bytes()), recalcTimestamp=False, lazy=True) as font:
        subsetter = Subsetter(Options(layout_features=["kern", "pwid"], hinting=False, recalc_timestamp=False))
        subsetter.populate(unicodes=sorted(map(ord, characters)))
        subsetter.subset(font)
        font.flavor = "woff2"
        target = io.BytesIO()
        font.save(target)
    return target.getvalue()


def font_face(family: str, characters: Iterable[str]) -> str:
    """The CSS rule that embeds the family for these characters."""
    data = base64.b64encode(woff2_subset(family, characters)).decode("ascii")
    return (
        f'@font-face{{font-family:"{family}";font-display:block;unicode-range:{SCRIPTS};'
        f'src:url(data:font/woff2;base64,{data}) format("woff2")}}'
    )
