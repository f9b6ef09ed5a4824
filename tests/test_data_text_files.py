"""Text files: in any dress read as what they say, or refused with the file and the line."""

import datetime as dt
import gzip

import pyarrow as pa
import pytest

from clvmodels.foundation.errors import DataError
from tests.reader_cases import HEADER, amounts, ids, read

PLAIN = HEADER + 'Zoë,2024-01-01,1.5\n"b ""x"", y",2024-01-02,2\n'
ROWS = [("Zoë", dt.date(2024, 1, 1), 1.5), ('b "x", y', dt.date(2024, 1, 2), 2.0)]


@pytest.fixture
def write(tmp_path):
    """Writes bytes or text to a file and returns its path."""

    def to(content, name="log.csv", encoding="utf-8"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return to


def zstd(content):
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(content)
    return out.getvalue().to_pybytes()


# --- dress ---


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_are_told_by_the_file(write, delimiter, end):
    fields = [["customer_id", "date", "amount"], ["007", "2024-01-01", "1.5"], ["8", "2024-01-02", "2"]]
    path = write(end.join(delimiter.join(row) for row in fields) + end)
    assert read(path) == [("007", dt.date(2024, 1, 1), 1.5), ("8", dt.date(2024, 1, 2), 2.0)]


def test_a_delimiter_that_is_common_in_the_header_does_not_hide_that_which_makes_the_columns(write):
    path = write("note (a,b,c,d,e);customer_id;date;amount\nx,y;7;2024-01-01;1\n")
    assert ids(path) == ["7"]


def test_another_delimiter_is_read_where_it_is_named(write):
    assert ids(write(PLAIN.replace(",", "^").replace('""x""^ y', '""x"", y')), delimiter="^") == ["Zoë", 'b "x", y']


@pytest.mark.parametrize(
    "text",
    [
        "\n\n" + PLAIN,
        "sep=,\n" + PLAIN,
        PLAIN.replace("\n", "\n\n"),
        PLAIN.removesuffix("\n"),
        PLAIN.replace("\n", ",\n"),
        PLAIN.replace("1.5\n", "1.5,\n").replace("2\n", "2,\n"),
        PLAIN.replace("1.5\n", "1.5\r\n"),
        PLAIN.replace("customer_id,date", " customer_id , date"),
        "\ufeff" + PLAIN,
        "\ufeffsep=,\r\n" + PLAIN.replace("\n", "\r\n"),
    ],
    ids=["empty lines first", "sep=", "empty lines", "no last end", "empty last column", "rows end with a delimiter",
         "mixed line ends", "blanks around names", "byte order mark", "byte order mark, sep= and \\r\\n"],
)  # fmt: skip
def test_what_spreadsheets_leave_in_a_file_changes_no_row(write, text):
    assert read(write(text)) == ROWS


def test_a_header_on_two_lines_and_quoted_ends_of_lines_are_read(write):
    path = write('customer_id,"note\nof two lines",date,amount\n"a\nb","x\n\ny",2024-01-01,1\n')
    assert ids(path) == ["a\nb"]


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
@pytest.mark.parametrize("named", [True, False])
def test_packed_files_are_read_whatever_their_name(write, pack, named):
    suffix = {gzip.compress: ".gz", zstd: ".zst"}[pack] if named else ""
    assert read(write(pack(PLAIN.encode()), f"log.csv{suffix}")) == ROWS


# --- encodings ---


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le"])
def test_a_file_is_read_in_the_encoding_that_is_named(write, encoding):
    assert read(write(PLAIN, encoding=encoding), encoding=encoding) == ROWS


@pytest.mark.parametrize("encoding", ["gbk", "gb18030"])
def test_chinese_files_are_read_in_their_encoding(write, encoding):
    path = write(HEADER + "王芳,2024-01-01,1\n", encoding=encoding)
    assert ids(path, encoding=encoding) == ["王芳"]


def test_each_file_is_read_in_the_first_encoding_that_fits_it(write, tmp_path):
    write(HEADER + "王芳,2024-01-01,1\n", "a.csv", encoding="gb18030")
    write(HEADER + "李明,2024-01-01,1\n", "b.csv", encoding="utf-8")
    assert sorted(ids(tmp_path / "*.csv", encoding=("utf-8", "gb18030"))) == ["李明", "王芳"]
    with pytest.raises(DataError, match=r'a\.csv: is not text in encoding="utf-8".*encoding="gb18030"'):
        read(tmp_path / "*.csv")


def test_a_wrong_encoding_names_the_line_and_those_that_would_fit(write):
    text = HEADER + "a,2024-01-01,1\n" * 100_000 + "Zo\xeb,2024-01-01,1\n"
    path = write(text, encoding="latin-1")
    with pytest.raises(DataError, match=r'log\.csv: is not text in encoding="utf-8" \(first: line 100002\).*"cp1252"'):
        read(path)
    with pytest.raises(DataError, match='fit encoding="utf-16"'):
        read(write(HEADER + "a,2024-01-01,1\n", encoding="utf-16"))
    with pytest.raises(DataError, match='is not text in encoding="gb18030"'):
        read(write(HEADER + "a\xff,2024-01-01,1\n", encoding="latin-1"), encoding="gb18030")


def test_the_place_of_a_bad_value_is_that_in_the_file_as_it_lies_there(write):
    path = write(HEADER + '"王\r\n芳",2024-01-01,1\r\n王芳,2024-01-01,?\r\n', encoding="gb18030")
    with pytest.raises(DataError, match=r'log\.csv, line 4: "\?"'):
        read(path, encoding="gb18030")


# --- several files ---


def test_files_are_joined_by_the_names_of_their_columns(write, tmp_path):
    write(HEADER + "a,2024-01-01,1\n", "1.csv")
    write("amount;extra;customer_id;date\n2;x;b;2024-01-02\n", "2.csv")
    write("customer_id|date|amount|more\nc|2024-01-03|3|\n", "3.csv")
    write(HEADER + "d,2024-01-04,4\n", "4.csv")
    assert sorted(zip(ids(tmp_path / "*.csv"), amounts(tmp_path / "*.csv"), strict=True)) == [
        ("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0),
    ]  # fmt: skip


def test_a_file_that_lacks_a_column_is_refused_by_its_name(write, tmp_path):
    write(HEADER + "a,2024-01-01,1\n", "1.csv")
    write("customer_id,date,price\nb,2024-01-02,2\n", "2.csv")
    with pytest.raises(DataError, match=r'2\.csv: no column "amount".*it has: customer_id, date, price'):
        read(tmp_path / "*.csv")


def test_a_bad_value_is_placed_in_its_own_file_of_several(write, tmp_path):
    write(HEADER + "a,2024-01-01,1\n", "1.csv")
    write("amount,customer_id,date\n2,b,2024-01-02\n?,b,2024-01-02\n", "2.csv")
    write(HEADER + "d,2024-01-04,4\n" * 3, "3.csv")
    with pytest.raises(DataError, match=r'2\.csv, line 3: "\?"'):
        read(tmp_path / "*.csv")


# --- refusals ---


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEADER, "there are no rows"),
        ("\n\n", "no line with the names of columns"),
        ("customer_id\na\nb\n", 'no column "date".*it has: customer_id'),
        (
            HEADER + "a,2024-01-01,1\nb,2024-01-01,2,3\n",
            'Line 3 has 4 fields where the header has 3: "b,2024-01-01,2,3"',
        ),
        (HEADER + "a,2024-01-01,1,\n" * 9 + "b,2024-01-01,2,3\n", "Line 11 has 4 fields"),
        (HEADER + 'a,2024-01-01,1\n"b,2024-01-01,2\nc,2024-01-01,3\n', "Line 3: a quote is opened and not closed"),
        (HEADER + 'a,2024-01-01,1\n"b" x,2024-01-01,2\n', "Line 3: a quote"),
        (HEADER + "a\0b,2024-01-01,1\n", "is not text in encoding"),
        (b"PAR1" + b"\0" * 20, r'is a Parquet file: name it "log\.parquet"'),
        (b"PK\x03\x04" + b"\0" * 20, "is a workbook or a zip archive"),
        (b"BZh9" + b"\0" * 20, "is packed by bzip2"),
        (gzip.compress(PLAIN.encode() * 2000)[:200], "cannot be unpacked"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_line(write, content, message):
    with pytest.raises(DataError, match=message):
        read(write(content))


def test_a_nul_byte_far_down_in_an_id_is_refused(write):
    path = write(HEADER + "a,2024-01-01,1\n" * 80_000 + "b\0,2024-01-01,1\n")
    with pytest.raises(DataError, match=r"first: log\.csv, line 80002.*NUL"):
        read(path)


def test_a_line_of_blank_separated_columns_with_a_field_too_many_is_refused(write):
    path = write(" customer_id date amount\n 1  2024-01-01   1\n 2  2024-01-01   5 6\n")
    with pytest.raises(DataError, match=r"is missing in 1 of 2 rows \(first: log\.csv, line 3\)"):
        read(path, delimiter=" ")


@pytest.mark.parametrize("name", ["shop.sqlite", "shop.db", "shop.duckdb"])
def test_a_data_base_is_refused_with_the_line_of_code_that_reads_it(write, name):
    mark = b"SQLite format 3\0" if name != "shop.duckdb" else b"DUCK"
    engine = "duckdb" if name == "shop.duckdb" else "sqlite"
    with pytest.raises(DataError, match=rf'ibis\.{engine}\.connect\(".*{name}"\)\.table\("NAME"\)'):
        read(write(mark + b"\0" * 100, name))


def test_a_sheet_is_no_option_of_a_text_file(write):
    with pytest.raises(DataError, match='is no workbook, and so has no sheet "x"'):
        read(write(PLAIN), sheet="x")
