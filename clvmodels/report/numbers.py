"""Numbers as a reader of a language writes them: counts, shares, money, dates, lengths of time."""

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from clvmodels.foundation.estimates import Estimate

NOTHING = "–"
MINUS = "−"
NO_BREAK = "\u00a0"
JOINER = "\u2060"  # no line ends before or after it
NO_CHANGE = 5e-7  # less than that of a total is the dust of adding floats up
TINY = 1e-4  # below it, zeros before the first figure no longer read at a glance

# A blank stands between Chinese and digits or Latin letters, never between two Chinese characters.
_WIDE = r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
_STRONG = r"(?:</?strong>)*"
_BLANK = re.compile(f"(?<={_WIDE})({_STRONG})[ {NO_BREAK}]({_STRONG})(?={_WIDE})")


def tidy(text: str) -> str:
    """The text without blanks between two Chinese characters, which joining phrases leaves behind."""
    return _BLANK.sub(r"\1\2", text)


def _unbroken(amount: str) -> str:
    """An amount of running text, which no line's end parts from its sign, its currency or its scale."""
    sign, rest = (MINUS, amount.removeprefix(MINUS)) if amount.startswith(MINUS) else ("", amount)
    return sign + (JOINER if sign and not rest[0].isdigit() else "") + rest.replace(" ", NO_BREAK)


@dataclass(frozen=True)
class Numbers:
    """The formats of one language and one currency.

    Attributes
    ----------
    formats : the group [format] of the text catalogue
    units : names of the units of time, one and many
    money_pattern, cell_pattern, axis_pattern : where the currency stands beside an amount, in text, in a
        table's cell and on an axis
    """

    formats: Mapping[str, Any]
    units: Mapping[str, Mapping[str, str]]
    money_pattern: str
    cell_pattern: str
    axis_pattern: str

    def decimal(self, value: float | None, digits: int = 0) -> str:
        """A number with its thousands grouped and a true minus sign; a dash where there is none."""
        if value is None or not math.isfinite(value):
            return NOTHING
        text = f"{abs(value):,.{digits}f}"
        negative = value < 0 and any(character in "123456789" for character in text)
        return MINUS + text if negative else text

    def signed(self, value: float | None, digits: int) -> str:
        """A difference: always with its sign."""
        text = self.decimal(value, digits)
        return text if text.startswith((MINUS, NOTHING)) else "+" + text

    def significant(self, value: float | None, figures: int = 3) -> str:
        """A number to at least so many significant figures; whole numbers keep all of theirs."""
        if value is None or not math.isfinite(value):
            return NOTHING
        if value == 0:
            return "0"
        if abs(value) < TINY:
            return f"{value:.1e}".replace("-", MINUS)
        digits = figures - 1 - math.floor(math.log10(abs(value)))
        return self.decimal(value, max(digits, 0))

    def share(self, value: float | None, digits: int = 0) -> str:
        """A proportion as a percentage; small ones keep a decimal, so that 0.4 % is not shown as none."""
        if value is None or not math.isfinite(value):
            return NOTHING
        small = digits == 0 and 0 < abs(value) < 0.0095
        number = "<0.1" if small and 0 < value < 0.0005 else self.decimal(100 * value, 1 if small else digits)
        return str(self.formats["percent"]).format(number=number)

    def change(self, value: float | None) -> str:
        """A difference as a percentage with its sign, to two figures; 0 % where there is none."""
        if value is None or not math.isfinite(value):
            return NOTHING
        number = "0" if abs(value) < NO_CHANGE else self.significant(100 * abs(value), 2)
        text = str(self.formats["percent"]).format(number=number)
        return text if number == "0" else (MINUS if value < 0 else "+") + text

    def axis_gap(self, value: float) -> str:
        """A share above or below something, for an axis: with its sign, and the digits that ticks need."""
        tenths = abs(1000 * value - 10 * round(100 * value)) > 1e-6
        text = str(self.formats["percent"]).format(number=self.decimal(100 * value, 1 if tenths else 0))
        return f"+{text}" if value > 1e-9 else text

    def setting(self, value: float) -> str:
        """A proportion that somebody set, as a percentage with the digits that it was given."""
        if not math.isfinite(value):
            return NOTHING
        number = Decimal(repr(float(value))).scaleb(2).normalize()
        return str(self.formats["percent"]).format(number=f"{number:f}".replace("-", MINUS))

    def money(self, value: float | None) -> str:
        """An amount in full: cents below a hundred, whole units above."""
        return _unbroken(self._amount(value, self.money_pattern))

    def cell(self, value: float | None) -> str:
        """An amount in full for a table's cell."""
        return self._amount(value, self.cell_pattern)

    def exact(self, value: float | None) -> str:
        """An amount to the cent, for accounts that a reader adds up."""
        return _unbroken(self._to_the_cent(value, self.money_pattern))

    def exact_cell(self, value: float | None) -> str:
        """An amount to the cent for a table's cell."""
        return self._to_the_cent(value, self.cell_pattern)

    def _to_the_cent(self, value: float | None, pattern: str) -> str:
        if value is None or not math.isfinite(value):
            return NOTHING
        text = self.decimal(value, 2)
        return (MINUS if text.startswith(MINUS) else "") + pattern.format(number=text.removeprefix(MINUS))

    def _amount(self, value: float | None, pattern: str) -> str:
        if value is None or not math.isfinite(value):
            return NOTHING
        text = self.decimal(abs(value), 2 if abs(value) < 99.995 else 0)
        return (MINUS if value < 0 else "") + pattern.format(number=text)

    def compact(self, value: float | None) -> str:
        """An amount to three figures in words, such as $1.02 million."""
        if value is None or not math.isfinite(value):
            return NOTHING
        number = self._scaled(abs(value))
        return _unbroken(tidy((MINUS if value < 0 else "") + self.money_pattern.format(number=number)))

    def axis_money(self, value: float) -> str:
        """An amount for an axis, as short as it can be."""
        sign = MINUS if value < 0 else ""
        return sign + self.axis_pattern.format(number=self._scaled(abs(value), "axis_scales"))

    def axis_count(self, value: float) -> str:
        """A count for an axis, as short as it can be."""
        return self._scaled(value, "axis_scales")

    def for_script(self) -> dict[str, Any]:
        """What the page's script needs to write and to read numbers as this does."""
        names = (
            "percent",
            "range",
            "date",
            "short_date",
            "month_year",
            "months",
            "short_months",
            "scales",
            "axis_scales",
        )
        return {
            **{name: self.formats[name] for name in names},
            "cell": self.cell_pattern,
            "money": [self.cell_pattern, self.money_pattern],
            "minus": MINUS,
            "nothing": NOTHING,
        }

    def _scaled(self, value: float, scales: str = "scales") -> str:
        for scale in self.formats[scales]:
            if value >= scale["from"]:
                return str(scale["text"]).format(number=self._trimmed(value / scale["unit"]))
        return self._trimmed(value)

    def _trimmed(self, value: float) -> str:
        text = self.significant(float(f"{value:.3g}"))
        return text.rstrip("0").rstrip(".") if "." in text else text

    def date(self, iso: str) -> str:
        """A calendar day."""
        day = dt.date.fromisoformat(iso)
        return self._dated(self.formats["date"], day)

    def short_date(self, iso: str) -> str:
        """A calendar day for a table."""
        return self._dated(self.formats["short_date"], dt.date.fromisoformat(iso))

    def month(self, iso: str) -> str:
        """A calendar month, for an axis or a table."""
        return self._dated(self.formats["month_year"], dt.date.fromisoformat(iso))

    def _dated(self, pattern: str, day: dt.date) -> str:
        month, short = self.formats["months"][day.month - 1], self.formats["short_months"][day.month - 1]
        return pattern.format(day=day.day, month=month, short_month=short, year=day.year)

    def length(self, value: float, unit: str) -> str:
        """A length of time: 52 weeks, 1 month, 2.25 years."""
        number = self.decimal(value, 2).rstrip("0").rstrip(".")
        return self.units[unit]["one" if value == 1 else "many"].format(number=number)

    def interval(self, estimate: Estimate, form: Callable[[float | None], str]) -> str:
        """The 5 % to 95 % interval of an estimate."""
        return self.span(estimate.q05, estimate.q95, form)

    def span(self, low: float | None, high: float | None, form: Callable[[float | None], str]) -> str:
        """Two bounds; a dash where there are none."""
        if low is None or high is None:
            return NOTHING
        return tidy(str(self.formats["range"]).format(low=form(low), high=form(high)))

    def listed(self, items: Sequence[str]) -> str:
        """A list in words: a, b and c."""
        if len(items) < 2:
            return "".join(items)
        first = self.formats["comma"].join(items[:-1])
        return tidy(str(self.formats["and"]).format(first=first, last=items[-1]))


def numbers_for(texts: Mapping[str, Any], currency: str) -> Numbers:
    """The formats of a catalogue for one currency; one that it does not name is written by its code."""
    entry = texts["currency"].get(currency)
    unknown = {"money": f"{currency} {{number}}", "cell": "{number}", "axis": "{number}"}
    patterns = entry if entry is not None else unknown
    return Numbers(texts["format"], texts["units"], patterns["money"], patterns["cell"], patterns["axis"])
