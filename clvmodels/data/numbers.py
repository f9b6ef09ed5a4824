"""Numbers in text: decimal and thousands marks, currency signs, and negatives in all their dresses."""

import re
from dataclasses import replace
from typing import Any

import ibis

from clvmodels.data.engines import first_row
from clvmodels.data.layout import Column, Layout
from clvmodels.data.texts import among
from clvmodels.foundation.errors import DataError

DOLLARS = ("USD", "CAD", "AUD", "NZD", "HKD", "SGD", "TWD", "MXN", "CLP", "COP", "ARS")
SIGNS = {
    "$": DOLLARS, "US$": ("USD",), "C$": ("CAD",), "CA$": ("CAD",), "A$": ("AUD",), "AU$": ("AUD",), "NZ$": ("NZD",),
    "HK$": ("HKD",), "S$": ("SGD",), "NT$": ("TWD",), "MX$": ("MXN",), "R$": ("BRL",),
    "€": ("EUR",), "£": ("GBP", "EGP"), "¥": ("JPY", "CNY"), "￥": ("JPY", "CNY"), "元": ("CNY",), "円": ("JPY",),
    "₹": ("INR",), "Rs": ("INR", "PKR", "LKR"), "₩": ("KRW",), "₽": ("RUB",), "₺": ("TRY",), "₴": ("UAH",),
    "₪": ("ILS",), "₫": ("VND",), "฿": ("THB",), "₱": ("PHP",), "₦": ("NGN",), "R": ("ZAR",), "Fr": ("CHF",),
    "kr": ("SEK", "NOK", "DKK", "ISK"), "zł": ("PLN",), "Kč": ("CZK",), "Ft": ("HUF",), "lei": ("RON",), "RM": ("MYR",),
    "Rp": ("IDR",),
}  # fmt: skip
BLANK = r"[\s\x{a0}\x{2009}\x{202f}]"  # blanks, no-break and thin ones
GROUPS = {",": ",", ".": r"\.", " ": BLANK, "'": "['’]", "’": "['’]"}
SIGN = r"[^\d\s\x{a0}\x{2009}\x{202f}()+\-−.,'’]{0,4}"
NO_SIGN = r"[\d\s\x{a0}\x{2009}\x{202f}()+\-−.,'’]"
DRESSES = ((".", None), (",", None), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))


def read_number(value: Any, column: Column, layout: Layout, currency: Any = None) -> dict[str, Any]:
    """A number, and of text under role_sign the currency sign that stands by it.

    `currency` is the code in the row, where the source has a column of codes.
    """
    kind = value.type()
    if kind.is_numeric() and not kind.is_boolean():
        return {column.role: value.cast("float64")}
    if not kind.is_string():
        raise DataError(f'column "{column.name}" holds {kind}, not {column.option}s.')
    plain = _plain(value, layout.decimal)
    # Empty where the number is plain: DuckDB may work out what follows in all rows, and is quick with nothing.
    odd = ibis.ifelse(plain.isnull(), value, "")
    sign = odd.re_replace(NO_SIGN, "")
    size = odd.re_replace(rf"[^\d{layout.decimal}]", "").replace(",", ".").try_cast("float64")
    negative = odd.contains("(") | odd.contains("-") | odd.contains("−")
    good = odd.re_search(_pattern(layout)) & _sign_fits(sign, column, layout, currency)
    dressed = ibis.cases((good & negative, -size), (good, size), else_=ibis.null("float64"))
    return {
        column.role: ibis.ifelse(plain.notnull(), plain, dressed),
        f"{column.role}_sign": sign.nullif(""),
    }


def _plain(value: Any, decimal: str) -> Any:
    """A number without thousands marks and signs; null where there are any."""
    text = value if decimal == "." else value.contains(".").ifelse(ibis.null("string"), value.replace(",", "."))
    return text.contains("_").ifelse(ibis.null("float64"), text.try_cast("float64"))  # the engine reads 1_000


def _pattern(layout: Layout) -> str:
    """A number with a currency sign before or after it, and one way to be negative at most."""
    point = re.escape(layout.decimal)
    whole = r"\d+"
    if layout.thousands is not None:
        whole = rf"(?:\d{{1,3}}(?:{GROUPS[layout.thousands]}\d{{3}})+|\d+)"
    number = rf"(?:{whole}(?:{point}\d*)?|{point}\d+)"
    forms = (
        (r"[+\-−]?", SIGN, number, SIGN),
        (SIGN, r"[+\-−]", number, SIGN),
        (SIGN, number, r"[\-−]", SIGN),
        (SIGN, number, SIGN, r"[\-−]"),
        (r"\(", SIGN, number, SIGN, r"\)", SIGN),
        (SIGN, r"\(", number, SIGN, r"\)", SIGN),
    )
    written = "|".join(f"{BLANK}*".join(form) for form in forms)
    return f"^{BLANK}*(?:{written}){BLANK}*$"


def _sign_fits(sign: Any, column: Column, layout: Layout, currency: Any) -> Any:
    """Whether a sign can be that of the currency; a quantity has none."""
    if column.role == "quantity":
        return sign == ""
    if currency is not None:
        code = currency.strip().upper()
        same = [(sign == known, among(code, codes)) for known, codes in SIGNS.items()]
        return (sign == "") | ibis.cases(*same, else_=sign.upper() == code)
    if layout.currency is not None:
        fit = [known for known, codes in SIGNS.items() if layout.currency in codes]
        return among(sign, ["", layout.currency, layout.currency.lower(), *fit])
    return among(sign, ["", *SIGNS]) | sign.re_search("^[A-Z]{3}$")


def number_hint(rows: Any, column: Column, layout: Layout) -> str:
    """Which options would read all numbers of a text column; "" where none would."""
    value = rows[column.role]
    if not value.type().is_string():
        return ""
    of_any_currency = replace(layout, currency=None)
    dresses = [(layout.decimal, layout.thousands), *DRESSES]
    unread = {
        f"dress_{place}": _unread(value, column, replace(of_any_currency, decimal=decimal, thousands=thousands))
        for place, (decimal, thousands) in enumerate(dresses)
    }
    seen = first_row(rows.aggregate(**unread))
    fit = [dresses[place] for place in range(len(dresses)) if not seen[f"dress_{place}"]]
    if not fit:
        return ""
    if dresses[0] in fit:
        code = layout.currency
        return f"Its currency sign is none of {code}: give currency= or currency_column=." if code else ""
    fit = [(decimal, thousands) for decimal, thousands in fit if thousands is None or (decimal, None) not in fit]
    said = " or ".join(_options(decimal, thousands, layout) for decimal, thousands in fit)
    doubt = " (which of them cannot be told from the column)" if len(fit) > 1 else ""
    return f"Give {said}{doubt}."


def _unread(value: Any, column: Column, layout: Layout) -> Any:
    text = value.strip()
    return (text.nullif("").notnull() & read_number(value, column, layout)[column.role].isnull()).sum()


def _options(decimal: str, thousands: str | None, layout: Layout) -> str:
    changed = [f'decimal="{decimal}"'] if decimal != layout.decimal else []
    if thousands != layout.thousands:
        changed.append("thousands=None" if thousands is None else f'thousands="{thousands}"')
    return ", ".join(changed)
