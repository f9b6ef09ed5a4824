"""Days in a source: dates and times in every form, on the clock of the zone whose days count."""

import datetime as dt
import re
from typing import Any

import ibis

from clvmodels.data.engines import try_strptime
from clvmodels.data.ids import as_text
from clvmodels.data.layout import DATE_WORDS, Column, Layout
from clvmodels.data.texts import stripped
from clvmodels.data.zones import from_utc, on_the_clock_of, to_utc
from clvmodels.foundation.errors import DataError

PLAIN_DAY, PLAIN_TIME = "____-__-__", "____-__-_____:__:__"
DATED = r"^[1-9]\d{3}-\d{2}-\d{2}$"
# 2024-01-31T23:59:59.123+01:00, or parts of it: the clock is group 1, what it differs from UTC group 2
OFFSET = r"(Z|UTC|[+-]\d{2}:?\d{2}|[+-]\d{2})"
TIMED = rf"^[1-9]\d{{3}}-\d{{2}}-\d{{2}}[T ]((?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?)(?:[.,]\d+)?\s?{OFFSET}?$"
ENDING = rf"\s*{OFFSET}$"  # where a format ends with %z
WIDTHS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "y": 2, "j": 3}
CLOCK_CODES = "HIMSpf"
EXCEL_EPOCH = dt.datetime(1899, 12, 30)
LARGEST_SERIAL = 2_958_465  # 9999-12-31 as a spreadsheet counts
EARLIEST_YEAR, LATEST_YEAR = 1000, 9999  # %Y reads 97 as the year 97
GUESSES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y",
)  # fmt: skip
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
GUESSED = tuple(guess + clock for guess in GUESSES for clock in CLOCKS)
FORMS_OF_DIGITS = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}
# Numbers that are dates: the format, and those of the years 1990 to 2050.
NUMBER_FORMS = (("excel", 32_874, 55_153), ("epoch_s", 631_152_000, 2_556_143_999))


def read_day(value: Any, column: Column, layout: Layout) -> dict[str, Any]:
    """The day of a value; role_offset and role_timed tell of times where that matters.

    role_offset : how far a text's clock is from UTC as it is written, "" where it says nothing; null without a time
    role_timed : whether there is a time of day; only where a zone or a day's beginning is counted by
    """
    kind, role = value.type(), column.role
    if kind.is_date():
        return _with_timed(role, value, ibis.literal(False), layout)  # noqa: FBT003
    if kind.is_timestamp():
        local = _of_typed(value, column, layout)
        shown = local if kind.timezone is not None else value
        return _with_timed(role, _shifted(local, layout), shown != shown.truncate("D"), layout)
    if layout.date_format in DATE_WORDS:
        return _of_number(value, column, layout)
    if layout.date_format is not None:
        return _of_format(as_text(value), role, layout.date_format, layout)
    if not kind.is_string():
        hint = date_hint(_first_written(value), layout)
        raise DataError(
            f'column "{column.name}" holds {kind}, which can be read as dates in several ways: '
            f'give date_format (such as "%Y%m%d" for 19970131), or convert the column to dates. {hint}'.rstrip()
        )
    return _of_iso(value, role, layout)


def date_hint(written: str, layout: Layout) -> str:
    """How to read a date that was not read."""
    zoned = re.search(ENDING, written) is not None
    if layout.time_zone is not None and layout.written_in is None and not zoned and _is_iso(written):
        return (
            f'It names no time zone: give written_in=, such as "{layout.time_zone}" if times are written in the zone '
            "whose days count."
        )
    if layout.date_format is not None:
        return f'It does not fit date_format="{layout.date_format}".'
    fitting = [form for form in (*GUESSED, *FORMS_OF_DIGITS.values()) if _fits(written, form)]
    fitting = fitting or _number_forms(written)
    if not fitting:
        return (
            "Dates are expected as days that exist, written 1997-03-04; "
            'for another form give date_format, such as "%d/%m/%Y".'
        )
    order = " (the order of day and month cannot be told from it)" if len(fitting) > 1 else ""
    return f"Give date_format={' or '.join(f'"{form}"' for form in fitting)}{order}."


def _of_typed(value: Any, column: Column, layout: Layout) -> Any:
    """The local time of a column of moments or times."""
    aware = value.type().timezone is not None
    if layout.time_zone is None:
        return value.cast("timestamp") if aware else value
    if aware:
        return on_the_clock_of(layout.time_zone, value)
    if layout.written_in is None:
        raise DataError(
            f'column "{column.name}" holds times without a zone: give written_in=, the zone that they are written in, '
            f'such as written_in="UTC", to have their days in time_zone="{layout.time_zone}".'
        )
    return _counted(value.cast("timestamp(6)"), layout)


def _of_iso(value: Any, role: str, layout: Layout) -> dict[str, Any]:
    """ISO dates, with or without a time; `cases` are tried in order, so that the plainest forms cost least."""
    nothing = ibis.null("date")
    plain = value.like(PLAIN_DAY) & (value >= "1")
    seconds = value.like(PLAIN_TIME) & (value >= "1")  # and nothing after them
    text = ibis.ifelse(plain | seconds, "", stripped(value))  # what takes longer to read
    offset = text.re_extract(TIMED, 2)
    if not _moved(layout):
        written = text.re_search(DATED) | text.re_search(TIMED)
        day = ibis.cases(
            (plain, value.try_cast("date")),
            (seconds, value.try_cast("timestamp").date()),
            (written, text.left(10).try_cast("date")),
            else_=nothing,
        )
        offsets = ibis.cases((plain, ibis.null("string")), (seconds, ""), (text.length() == 10, ibis.null("string")),
                             else_=_one_spelling(offset))  # fmt: skip
        return {role: day, f"{role}_offset": offsets}
    clock = text.left(10).concat(" ", text.re_extract(TIMED, 1))
    local = ibis.ifelse(seconds, value, clock).try_cast("timestamp")
    short = plain | text.re_search(DATED)
    day = ibis.ifelse(
        short, ibis.ifelse(plain, value, text).try_cast("date"), _shifted(_placed(local, offset, layout), layout)
    )
    read = {role: day, f"{role}_timed": ibis.ifelse(short, ibis.literal(False), local != local.truncate("D"))}  # noqa: FBT003
    if layout.time_zone is not None:
        return read
    return read | {f"{role}_offset": short.ifelse(ibis.null("string"), _one_spelling(offset))}


def _of_format(text: Any, role: str, form: str, layout: Layout) -> dict[str, Any]:
    """Dates in a format of strptime."""
    zoned = form.rstrip().endswith("%z")
    form = form.rstrip().removesuffix("%z").rstrip()
    offset = text.re_extract(ENDING, 1) if zoned else ibis.literal("")
    local = try_strptime(text.re_replace(ENDING, "") if zoned else text, form)
    good = text.re_search(r"\d") & local.year().between(EARLIEST_YEAR, LATEST_YEAR)
    codes = re.findall(r"%-?(.)", form)
    if re.fullmatch(r"(%[A-Za-z])+", form) and set(codes) <= set(WIDTHS):
        good = good & (text.length() == sum(WIDTHS[code] for code in codes))  # 2011111 is two days
    if zoned:
        good = good & (offset != "")
    timed = bool(set(codes) & set(CLOCK_CODES))
    local = ibis.ifelse(good, local, ibis.null("timestamp"))
    if not timed:
        return _with_timed(role, local.date(), ibis.literal(False), layout)  # noqa: FBT003
    placed = _placed(local, offset, layout) if _moved(layout) else local
    read = _with_timed(role, _shifted(placed, layout), ibis.literal(True), layout)  # noqa: FBT003
    return read if layout.time_zone is not None or not zoned else read | {f"{role}_offset": _one_spelling(offset)}


def _of_number(value: Any, column: Column, layout: Layout) -> dict[str, Any]:
    """Days since 1900 as a spreadsheet counts them, or seconds or milliseconds since 1970 in UTC."""
    number = value.strip().try_cast("float64") if value.type().is_string() else value.cast("float64")
    if layout.date_format == "excel":
        good = number.between(61, LARGEST_SERIAL)  # a spreadsheet's 29 February 1900 is serial 60
        microseconds, epoch = number * 86_400e6, EXCEL_EPOCH
    else:
        scale = 1e6 if layout.date_format == "epoch_s" else 1e3
        microseconds, epoch = number * scale, dt.datetime(1970, 1, 1)
        good = number.abs() < 253_402_300_800e6 / scale
    whole = ibis.ifelse(good, microseconds, ibis.null("float64")).round().cast("int64")
    time = ibis.literal(epoch, type="timestamp") + whole.as_interval("us")
    local = time
    if layout.time_zone is not None:
        local = _counted(time, layout) if layout.date_format == "excel" else from_utc(layout.time_zone, time)
    return _with_timed(column.role, _shifted(local, layout), time != time.truncate("D"), layout)


def _one_spelling(offset: Any) -> Any:
    """+01, +0100 and +01:00 alike, and Z as +0000."""
    plain = offset.replace(":", "")
    return ibis.cases(
        ((plain == "Z") | (plain == "UTC"), "+0000"), (plain.length() == 3, plain.concat("00")), else_=plain
    )


def _placed(local: Any, offset: Any, layout: Layout) -> Any:
    """A local time on the clock that counts, by the offset written with it or the zone that it is written in."""
    if layout.time_zone is None:
        return local
    digits = offset.re_replace(r"[^\d]", "")
    minutes = digits.left(2).try_cast("int64") * 60 + digits.substr(2).nullif("").try_cast("int64").fill_null(0)
    minutes = ibis.cases((digits == "", 0), (offset.startswith("-"), -minutes), else_=minutes)
    by_offset = from_utc(layout.time_zone, local - minutes.as_interval("m"))
    named = _counted(local, layout) if layout.written_in is not None else ibis.null("timestamp")
    return ibis.ifelse(offset == "", named, by_offset)


def _counted(local: Any, layout: Layout) -> Any:
    """A time of the zone that it is written in, on the clock of the zone that counts."""
    if layout.written_in is None:
        raise DataError("written_in= is needed: the zone that times are written in.")
    if layout.written_in == layout.time_zone:
        return local
    return from_utc(str(layout.time_zone), to_utc(layout.written_in, local))


def _shifted(local: Any, layout: Layout) -> Any:
    """The day of a local time; hours before the day begins are of the day before."""
    return (local - ibis.interval(minutes=layout.day_starts)).date() if layout.day_starts else local.date()


def _moved(layout: Layout) -> bool:
    return layout.time_zone is not None or layout.day_starts > 0


def _with_timed(role: str, day: Any, timed: Any, layout: Layout) -> dict[str, Any]:
    return {role: day} | ({f"{role}_timed": timed} if _moved(layout) else {})


def _first_written(value: Any) -> str:
    first = value.as_table().filter(value.notnull()).limit(1).to_pyarrow().to_pylist()
    return str(next(iter(first[0].values()))) if first else ""


def _is_iso(written: str) -> bool:
    return re.search(TIMED, written) is not None


def _number_forms(written: str) -> list[str]:
    try:
        number = float(written)
    except ValueError:
        return []
    forms = [form for form, first, last in NUMBER_FORMS if first <= number <= last]
    return forms + (["epoch_ms"] if any(f == "epoch_s" and a <= number / 1000 <= b for f, a, b in NUMBER_FORMS) else [])


def _fits(written: str, form: str) -> bool:
    digits = written.removesuffix(".0")
    if digits.isdigit() and FORMS_OF_DIGITS.get(len(digits)) != form:
        return False  # Python reads other lengths too
    try:
        read = dt.datetime.strptime(digits if digits.isdigit() else written, form)
    except ValueError:
        return False
    return 1900 <= read.year <= 2100 if digits.isdigit() else read.year >= EARLIEST_YEAR
