"""Days: dates in every form, times on the clock of the zone that counts, held to Python's zoneinfo."""

import datetime as dt
import zoneinfo

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from clvmodels.data import read_transactions
from clvmodels.foundation.errors import DataError
from tests.reader_cases import HEADER, days, frame

ZONES = [
    "UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Tokyo",
    "America/St_Johns", "America/Sao_Paulo", "Pacific/Kiritimati",
]  # fmt: skip
UTC = dt.UTC


def day_of(moment, zone, starts=0):
    """The day of a moment by Python's own zones."""
    return str((moment.astimezone(zoneinfo.ZoneInfo(zone)).replace(tzinfo=None) - dt.timedelta(minutes=starts)).date())


def moments():
    """Moments of which one at least is not at midnight."""
    return st.lists(
        # Times of a frame have no fold, which would name the later of two moments, and the clock after a gap.
        st.datetimes(dt.datetime(1972, 1, 1), dt.datetime(2023, 12, 31)).map(
            lambda moment: moment.replace(microsecond=0, fold=0)
        ),
        min_size=40, max_size=40,
    ).map(lambda found: [*found, dt.datetime(2020, 6, 1, 12, 34)])  # fmt: skip


# Each example reads forty rows, so few do; to shrink them would take minutes.
quick = settings(
    max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)

# --- zones ---


@pytest.mark.parametrize("zone", ZONES)
@quick
@given(moments(), st.integers(0, 1439), st.sampled_from(["text", "offset", "typed", "aware"]))
def test_the_day_of_a_moment_is_that_of_zoneinfo(zone, found, starts, form):
    aware = [moment.replace(tzinfo=UTC) for moment in found]
    written = {
        "text": [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in found],
        "offset": [moment.astimezone(zoneinfo.ZoneInfo(ZONES[i % 10])).isoformat() for i, moment in enumerate(aware)],
        "typed": pd.Series(found),
        "aware": pd.Series(aware).dt.tz_convert("Asia/Tokyo"),
    }[form]
    expected = [day_of(moment, zone, starts) for moment in aware]
    if form == "offset":  # seconds in the offsets of the first years are no ISO form
        written = [text if len(text) == 25 else aware[i].isoformat() for i, text in enumerate(written)]
    assert days(frame(date=written), time_zone=zone, written_in="UTC", day_starts=starts) == expected


@pytest.mark.parametrize("zone", ZONES)
@quick
@given(moments())
def test_a_local_time_is_the_moment_that_zoneinfo_takes_it_for(zone, found):
    expected = [day_of(moment.replace(tzinfo=zoneinfo.ZoneInfo(zone)), "America/Los_Angeles") for moment in found]
    assert days(frame(date=pd.Series(found)), written_in=zone, time_zone="America/Los_Angeles") == expected


@pytest.mark.parametrize("minute", range(0, 180, 15))
@pytest.mark.parametrize(
    ("zone", "night"),
    [("America/New_York", dt.date(2024, 3, 10)), ("America/New_York", dt.date(2024, 11, 3)),
     ("Europe/Berlin", dt.date(2024, 10, 27)), ("Australia/Lord_Howe", dt.date(2024, 4, 7)),
     ("Pacific/Apia", dt.date(2011, 12, 30))],  # a day that never was
)  # fmt: skip
def test_summer_time_nights_are_those_of_zoneinfo(zone, night, minute):
    # Hours that are skipped or shown twice, on clocks whose midnight falls within them.
    local = [dt.datetime.combine(night, dt.time()) + dt.timedelta(minutes=minute + 60 * hour) for hour in range(3)]
    for other in ("Etc/GMT+6", "Etc/GMT+5", "Etc/GMT-1", "Etc/GMT-11", "Etc/GMT-10"):
        expected = [day_of(moment.replace(tzinfo=zoneinfo.ZoneInfo(zone)), other) for moment in local]
        assert days(frame(date=pd.Series(local)), written_in=zone, time_zone=other) == expected


def test_without_a_zone_the_day_is_the_one_written_in_every_kind_of_source(tmp_path):
    late = pd.Series(pd.to_datetime(["2024-01-01 23:30", "2024-01-02 00:30"])).dt.tz_localize("Asia/Tokyo")
    own = frame(date=late)
    own.to_parquet(tmp_path / "log.parquet")
    expected = ["2024-01-01", "2024-01-02"]
    assert days(own) == days(pl.from_pandas(own)) == days(pa.Table.from_pandas(own)) == expected
    assert days(tmp_path / "log.parquet") == expected
    assert days(frame(date=[moment.isoformat() for moment in late])) == expected


def test_a_purchase_before_the_day_begins_is_of_the_day_before():
    written = ["2024-01-02 02:00", "2024-01-02 03:59:59", "2024-01-02T04:00:00", "2024-01-02", "2024-01-01 23:00:00.5"]
    expected = ["2024-01-01", "2024-01-01", "2024-01-02", "2024-01-02", "2024-01-01"]
    assert days(frame(date=written), day_starts=240) == expected
    log = read_transactions(frame(date=written), day_starts="04:00")
    assert log.occasions == 2


def test_times_without_a_zone_need_to_say_where_they_are_written():
    with pytest.raises(DataError, match=r'give written_in=, .*such as written_in="UTC"'):
        days(frame(date=pd.to_datetime(["2024-01-01 10:00"])), time_zone="Europe/Berlin")
    with pytest.raises(DataError, match=r'row 1: "2024-01-01 10:00"\)\. It names no time zone: give written_in='):
        days(frame(date=["2024-01-01T10:00Z", "2024-01-01 10:00"]), time_zone="Europe/Berlin")


def test_offsets_that_differ_need_a_zone_whose_days_count():
    written = ["2024-01-31T23:30:00+01:00", "2024-07-31T23:30:00+02:00"]
    with pytest.raises(DataError, match=r"mixes offsets from UTC \(row 0: .*; row 1: .*Give time_zone="):
        days(frame(date=written))
    assert days(frame(date=written), time_zone="Europe/Berlin") == ["2024-01-31", "2024-07-31"]
    with pytest.raises(DataError, match="mixes offsets from UTC"):
        days(frame(date=["2024-01-31T23:30:00", "2024-07-31T23:30:00Z"]))
    same = ["2024-01-31T23:30Z", "2024-01-31T23:30:00+00:00", "2024-01-31 23:30+00", "2024-01-31 23:30:00.123 UTC"]
    assert days(frame(date=same)) == ["2024-01-31"] * 4


def test_moments_of_several_zones_in_one_column_of_a_frame_are_refused():
    mixed = pd.Series(
        [pd.Timestamp("2024-01-01 10:00", tz="UTC"), pd.Timestamp("2024-01-01 10:00", tz="Asia/Tokyo")], dtype=object
    )
    with pytest.raises(DataError, match=r"several kinds.*row 1"):
        days(frame(date=mixed))


@pytest.mark.parametrize(
    "date",
    [["2024-01-01"] * 2, ["2024-01-01 00:00:00"] * 2, pd.to_datetime(["2024-01-01"] * 2), [dt.date(2024, 1, 1)] * 2],
)
@pytest.mark.parametrize("option", [{"day_starts": 240}, {"time_zone": "Europe/Berlin", "written_in": "UTC"}])
def test_days_without_times_cannot_be_counted_by_a_zone_or_an_hour(date, option):
    with pytest.raises(DataError, match="has days without a time of day, or all at midnight"):
        days(frame(date=date), **option)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"time_zone": "Europe/Berln"}, 'no such time zone.*Did you mean "Europe/Berlin"'),
        ({"time_zone": "UTC", "written_in": "EST5"}, 'written_in = "EST5": no such time zone'),
        ({"written_in": "UTC"}, "give time_zone= too"),
        ({"day_starts": "24:00"}, 'day_starts = .24:00.: expected a time of day'),
        ({"date_format": "%d/%m/%Y %Z"}, '"%Z" is not read'),
        ({"date_format": "%z %d/%m/%Y"}, "%z must come last"),
        ({"date_format": "epoch"}, 'expected codes such as .* or one of "excel", "epoch_s", "epoch_ms"'),
        ({"encoding": "utf-9"}, 'encoding = "utf-9"'),
        ({"encoding": ()}, "name at least one"),
        ({"delimiter": ",,"}, "expected one character"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_are_refused_before_the_source_is_opened(option, message):
    with pytest.raises(DataError, match=message):
        read_transactions("nowhere.csv", **option)


# --- forms ---


@pytest.mark.parametrize(
    ("written", "date_format", "day"),
    [
        ("31/01/2011", "%d/%m/%Y", "2011-01-31"),
        ("1/2/97", "%d/%m/%y", "1997-02-01"),
        ("20110131", "%Y%m%d", "2011-01-31"),
        ("20110131235959", "%Y%m%d%H%M%S", "2011-01-31"),
        ("Jan 31, 2011 11:30 PM", "%b %d, %Y %I:%M %p", "2011-01-31"),
        ("31/01/2011 00:30 +0900", "%d/%m/%Y %H:%M %z", "2011-01-31"),
        ("40574", "excel", "2011-01-31"),
        ("40574.99", "excel", "2011-01-31"),
        ("1296518399", "epoch_s", "2011-01-31"),
        ("1296518399999", "epoch_ms", "2011-01-31"),
        (" 2011-01-31 ", None, "2011-01-31"),
        ("2011-01-31T23:59", None, "2011-01-31"),
        ("2011-01-31 23:59:59,123", None, "2011-01-31"),
    ],
)
def test_a_date_in_a_stated_form_is_its_day(written, date_format, day):
    assert days(frame(date=[written]), date_format=date_format) == [day]


@pytest.mark.parametrize(
    ("values", "form", "day"),
    [
        ([40574, 40574], "excel", "2011-01-31"),
        ([40574.5, 40574.0], "excel", "2011-01-31"),
        ([1296518399, 1296432000], "epoch_s", "2011-01-31"),
        ([1296518399999, 1296432000000], "epoch_ms", "2011-01-31"),
        ([20110131, 20110131], "%Y%m%d", "2011-01-31"),
        ([20110131.0, 20110131.0], "%Y%m%d", "2011-01-31"),
    ],
)
def test_numbers_are_dates_in_the_form_that_is_stated_and_refused_with_a_hint_else(values, form, day):
    assert days(frame(date=values), date_format=form) == [day] * 2
    with pytest.raises(DataError, match=f'give date_format .*Give date_format="{form}"'):
        days(frame(date=values))
    with pytest.raises(DataError, match=f'Give date_format="{form}"'):
        days(frame(date=[str(value) for value in values]))


def test_excel_and_epoch_count_by_the_zone_too():
    assert days(frame(date=[40574.99]), date_format="excel", written_in="UTC", time_zone="Asia/Tokyo") == ["2011-02-01"]
    assert days(frame(date=[1296518399]), date_format="epoch_s", time_zone="Asia/Tokyo") == ["2011-02-01"]
    assert days(frame(date=["31/01/2011 20:30 -0500"]), date_format="%d/%m/%Y %H:%M %z", time_zone="UTC") == [
        "2011-02-01"
    ]


@quick
@given(st.lists(st.dates(dt.date(1900, 3, 1), dt.date(2999, 12, 31)), min_size=30, max_size=30))
def test_days_written_by_python_are_read_in_the_same_format(found):
    for form in ("%Y-%m-%d", "%d.%m.%Y", "%Y%m%d", "%d %B %Y", "%m/%d/%Y"):
        written = [date.strftime(form) for date in found]
        assert days(frame(date=written), date_format=form) == [str(date) for date in found]
    assert days(frame(date=[str(date) for date in found])) == [str(date) for date in found]
    serials = [(date - dt.date(1899, 12, 30)).days for date in found]
    assert days(frame(date=serials), date_format="excel") == [str(date) for date in found]


@pytest.mark.parametrize(
    ("written", "options", "message"),
    [
        (["2024-01-01", "01/02/2024"], {}, r'1 of 2 rows \(first: row 1: "01/02/2024".*cannot be told'),
        (["31/01/2024", "2024-01-01"], {"date_format": "%d/%m/%Y"}, 'row 1: "2024-01-01".*does not fit date_format'),
        (["31/01/24"], {"date_format": "%d/%m/%Y"}, 'row 0: "31/01/24".*does not fit'),
        (["31/01/24"], {}, r'Give date_format="%d/%m/%y"\.'),
        (["2011111"], {"date_format": "%Y%m%d"}, "does not fit"),
        (["2024/01/31"], {}, r'Give date_format="%Y/%m/%d"\.'),
        (["2024-1-31"], {}, r'Give date_format="%Y-%m-%d"\.'),
        (["2024-01-01 25:00"], {}, "days that exist"),
        (["2024-01-01 10:00 o'clock"], {}, "days that exist"),
        (["2024-01-01 10:00 Europe/Berlin"], {}, "days that exist"),
        (["2024-02-30T10:00:00"], {}, "days that exist"),
        (["-2024-01-1"], {}, "days that exist"),
        (["0024-01-01"], {}, "days that exist"),
        (["1e99"], {"date_format": "epoch_s"}, "does not fit"),
        (["1700000000000"], {"date_format": "epoch_s"}, "does not fit"),
        (["-5"], {"date_format": "excel"}, "does not fit"),
        (["31/01/2024 10:00"], {"date_format": "%d/%m/%Y %H:%M %z"}, "does not fit"),
        (["NaT"], {}, '"NaT"'),
    ],
)
def test_a_date_that_does_not_fit_is_refused_with_its_row_and_the_fix(written, options, message):
    with pytest.raises(DataError, match=message):
        days(frame(date=written), **options)


def test_a_day_that_is_hidden_among_a_million_shapes_is_named_with_its_line(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(HEADER + "a,2024-01-01,1\n" * 5000 + "a,2024-1-2,1\n" + "a,2024-01-03 10:00,1\n")
    with pytest.raises(DataError, match=r'1 of 5002 rows \(first: log\.csv, line 5002: "2024-1-2"'):
        days(path)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("date", [dt.date(2024, 1, 1), "2024-01-02"], r"1 date, 1 str \(first that is no date: row 1, '2024-01-02'\)"),
        ("amount", [1.0, "2", 3], r"2 number, 1 str \(first that is no number: row 1, '2'\)"),
        ("amount", [1.0, True, 3], "1 bool"),
    ],
)
def test_objects_of_mixed_kinds_are_refused_with_their_row(column, values, message):
    with pytest.raises(DataError, match=message):
        days(frame(**{column: pd.Series(values, dtype=object)}))


def test_a_parquet_file_of_moments_is_read_by_the_zone(tmp_path):
    table = pa.table({
        "customer_id": ["a", "b"], "amount": [1.0, 2.0],
        "date": pa.array([0, 90_000_000], pa.timestamp("ms", "America/New_York")),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "log.parquet")
    assert days(tmp_path / "log.parquet") == ["1969-12-31", "1970-01-01"]
    assert days(tmp_path / "log.parquet", time_zone="Asia/Tokyo") == ["1970-01-01", "1970-01-02"]
