"""Workbooks: sheets as rows, dates as dates, ids as text."""

import datetime as dt
import zipfile
from xml.sax.saxutils import escape

import pytest

from clvmodels.data import read_transactions
from clvmodels.foundation.errors import DataError
from tests.reader_cases import days, ids, read

HEAD = ["customer_id", "date", "amount"]
SPREADSHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
EPOCH = dt.datetime(1899, 12, 30)


def xlsx(path, **sheets):
    """Writes rows of numbers, texts and dates as the smallest workbook that a reader takes."""
    with zipfile.ZipFile(path, "w") as book:
        names = "".join(f'<sheet name="{n}" sheetId="{i}" r:id="r{i}"/>' for i, n in enumerate(sheets, 1))
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{SPREADSHEET}" xmlns:r="{RELATIONS}"><sheets>{names}</sheets></workbook>',
        )
        links = "".join(
            f'<Relationship Id="r{i}" Type="{RELATIONS}/worksheet" Target="worksheets/s{i}.xml"/>'
            for i in range(1, len(sheets) + 1)
        )
        book.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="b" Type="{RELATIONS}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        style = f'<Relationship Id="s" Type="{RELATIONS}/styles" Target="styles.xml"/>'
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships">{links}{style}</Relationships>',
        )
        book.writestr(
            "xl/styles.xml",
            f'<styleSheet xmlns="{SPREADSHEET}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs>'
            "</styleSheet>",
        )
        book.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
        )
        for number, rows in enumerate(sheets.values(), 1):
            lines = "".join(
                f'<row r="{r}">{"".join(_cell(c, r, value) for c, value in enumerate(row))}</row>'
                for r, row in enumerate(rows, 1)
                if row
            )
            book.writestr(
                f"xl/worksheets/s{number}.xml",
                f'<worksheet xmlns="{SPREADSHEET}"><sheetData>{lines}</sheetData></worksheet>',
            )
    return path


def _cell(column, row, value):
    place = f'r="{"ABCDEFGH"[column]}{row}"'
    if value is None:
        return ""
    if isinstance(value, dt.date):
        moment = value if isinstance(value, dt.datetime) else dt.datetime.combine(value, dt.time())
        return f'<c {place} s="1"><v>{(moment - EPOCH) / dt.timedelta(days=1)!r}</v></c>'
    if isinstance(value, str):
        return f'<c {place} t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f"<c {place}><v>{value!r}</v></c>"


def ods(path, rows):
    """The smallest sheet of OpenDocument."""
    cells = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'
            if isinstance(value, str)
            else f'<table:table-cell office:value-type="float" office:value="{value}"/>'
            for value in row
        )
        + "</table:table-row>"
        for row in rows
    )
    names = " ".join(f'xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in ("office", "table", "text"))
    with zipfile.ZipFile(path, "w") as book:
        book.writestr(
            "META-INF/manifest.xml",
            '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
        )
        book.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        book.writestr(
            "content.xml",
            f"<office:document-content {names}><office:body><office:spreadsheet>"
            f'<table:table table:name="One">{cells}</table:table></office:spreadsheet></office:body>'
            "</office:document-content>",
        )
    return path


JANUARY = dt.datetime(2024, 1, 2, 13, 30)


def test_a_sheet_gives_whole_ids_days_and_amounts(tmp_path):
    rows = [HEAD, [17850, JANUARY, 1.5], [], [7, dt.date(2024, 1, 3), 2]]
    path = xlsx(tmp_path / "log.xlsx", Sheet1=rows)
    assert read(path) == [("17850", dt.date(2024, 1, 2), 1.5), ("7", dt.date(2024, 1, 3), 2.0)]
    assert read_transactions(path).rows_read == 2


def test_an_open_document_is_read(tmp_path):
    path = ods(tmp_path / "log.ods", [HEAD, ["007", "2024-01-01", 1.5], ["8", "2024-01-02", 2]])
    assert read(path) == [("007", dt.date(2024, 1, 1), 1.5), ("8", dt.date(2024, 1, 2), 2.0)]


def test_texts_keep_their_zeros_and_numbers_that_read_like_them_are_joined(tmp_path):
    path = xlsx(tmp_path / "log.xlsx", One=[HEAD, ["007", JANUARY, 1], ["12", JANUARY, 1], [12, JANUARY, 1]])
    with pytest.warns(UserWarning, match="1 ids are numbers"):
        assert ids(path) == ["007", "12", "12"]


def test_one_of_several_sheets_must_be_named(tmp_path):
    other = [HEAD, ["b", JANUARY, 2]]
    path = xlsx(tmp_path / "log.xlsx", May=[HEAD, ["a", JANUARY, 1]], June=other)
    with pytest.raises(DataError, match=r'has the sheets "May", "June"\. Name one by sheet='):
        read(path)
    assert ids(path, sheet="June") == ["b"]
    with pytest.raises(DataError, match='has no sheet "July"; it has "May", "June"'):
        read(path, sheet="July")


def test_workbooks_are_joined_by_the_names_of_their_columns(tmp_path):
    xlsx(tmp_path / "1.xlsx", One=[HEAD, ["a", JANUARY, 1]])
    xlsx(tmp_path / "2.xlsx", Two=[["x", *HEAD[::-1]], [None, 2, JANUARY, "b"], [None, None, JANUARY, "c"]])
    with pytest.raises(DataError, match=r'"amount" is missing in 1 of 3 rows \(first: 2\.xlsx, row 3\)'):
        read(tmp_path / "*.xlsx")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["a", "soon", 1], r"several kinds.*no datetime: log\.xlsx, row 3, 'soon'"),
        (["a", JANUARY, "n/a"], r"several kinds.*no number: log\.xlsx, row 3, 'n/a'"),
        ([5, JANUARY, 1], r"mixes texts and numbers.*log\.xlsx, row 3, 5"),
    ],
)
def test_cells_of_another_kind_are_refused_with_their_row(tmp_path, row, message):
    path = xlsx(tmp_path / "log.xlsx", One=[HEAD, ["a", JANUARY, 1], row, ["a", JANUARY, 1]])
    with pytest.raises(DataError, match=message):
        read(path)


def test_days_that_lost_their_format_are_read_as_serials(tmp_path):
    path = xlsx(tmp_path / "log.xlsx", One=[HEAD, ["a", 40574, 1]])
    with pytest.raises(DataError, match='Give date_format="excel"'):
        read(path)
    assert days(path, date_format="excel") == ["2011-01-31"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 and no more", "cannot be read as a workbook"),
        (b"text", "cannot be read as a workbook"),
        (b"", "is empty"),
    ],
)
def test_a_damaged_workbook_is_refused(tmp_path, content, message):
    path = tmp_path / "log.xlsx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(path)


def test_an_empty_sheet_is_refused(tmp_path):
    with pytest.raises(DataError, match="there are no rows"):
        read(xlsx(tmp_path / "log.xlsx", One=[HEAD]))
    with pytest.raises(DataError, match='no column "customer_id"'):
        read(xlsx(tmp_path / "log.xlsx", One=[]))


def test_workbooks_and_texts_are_no_one_source(tmp_path):
    xlsx(tmp_path / "1.xlsx", One=[HEAD])
    (tmp_path / "2.csv").write_text("a\n")
    with pytest.raises(DataError, match="matches both Excel and text files"):
        read(tmp_path / "*")
