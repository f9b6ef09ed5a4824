"""Remake the report's two fonts from Noto Sans SC and Noto Serif SC (SIL Open Font License 1.1).

    python3 -m pip download --no-deps -d build/fonts pylopdf-fonts-zh-cn
    python scripts/make_font.py build/fonts/pylopdf_fonts_zh_cn-*.whl

writes clvmodels/report/assets/clv-sans-sc.otf (Latin, punctuation, the 3,755 characters of GB 2312
level 1) and clv-serif.otf (Latin alone, for headings and large numbers). The same wheel gives the same
bytes. Both get names of their own, as a changed font must not pass for the original.
"""

import argparse
import io
import zipfile
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

ASSETS = Path(__file__).resolve().parent.parent / "clvmodels" / "report" / "assets"
LATIN = {*range(0x20, 0x7F), *range(0xA0, 0x180)}
SIGNS = {ord(sign) for sign in "–—‘’“”†‡•…′″€−×÷±≈≠≤≥√∞→←↑↓↗↘▲▼■●○◆✓αβγδεθκλμνπρσφχψωΓΔΘΛΣΦΩ"}


def gb2312(rows: range) -> set[int]:
    """Code points of some rows of GB 2312: 1 to 3 are signs, 16 to 55 the characters of level 1."""
    cells = (bytes([row + 0xA0, column + 0xA0]).decode("gb2312", "ignore") for row in rows for column in range(1, 95))
    return {ord(cell) for cell in cells if cell}


def rename(font: TTFont, family: str) -> None:
    """Give the font its own name; copyright and licence stay as they were."""
    table = font["name"]
    table.names = [record for record in table.names if record.nameID in (0, 13, 14) and record.langID == 0x409]
    postscript = family.replace(" ", "") + "-Regular"
    texts = {1: family, 2: "Regular", 3: postscript, 4: family, 5: "Version 1.000", 6: postscript}
    for name_id, text in texts.items():
        table.setName(text, name_id, 3, 1, 0x409)
    top = font["CFF "].cff
    top.fontNames = [postscript]
    for key, text in (("FullName", family), ("FamilyName", family)):
        setattr(top.topDictIndex[0], key, text)


def cut(source: bytes, characters: set[int], family: str, target: Path) -> None:
    """Write the font with these characters alone, under its new name."""
    font = TTFont(io.BytesIO(source), recalcTimestamp=False)
    options = Options(layout_features=["kern", "pwid"], hinting=False, notdef_outline=True, recalc_timestamp=False)
    options.drop_tables += ["DSIG", "VORG", "vhea", "vmtx", "BASE"]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)
    rename(font, family)
    font["CFF "].cff.desubroutinize()  # a page's cut takes outlines as they are
    font.save(target)
    print(f"{target.name}: {len(font.getBestCmap())} characters, {target.stat().st_size / 1e6:.2f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description="Remake the report's fonts.")
    parser.add_argument("wheel", type=Path, help="the wheel of pylopdf-fonts-zh-cn")
    with zipfile.ZipFile(parser.parse_args().wheel) as wheel:
        sans = wheel.read("pylopdf_fonts_zh_cn/NotoSansSC-Regular.otf")
        serif = wheel.read("pylopdf_fonts_zh_cn/NotoSerifSC-Regular.otf")
    chinese = gb2312(range(1, 4)) | gb2312(range(16, 56))
    cut(sans, LATIN | SIGNS | chinese, "CLV Sans SC", ASSETS / "clv-sans-sc.otf")
    cut(serif, LATIN | SIGNS, "CLV Serif", ASSETS / "clv-serif.otf")


if __name__ == "__main__":
    main()
