"""The command line: `clvmodels study | report | summarize | fit | predict | sbc | verify | diff | list | datasets`.

Nothing heavy is imported before the arguments are known to be good.
"""

import argparse
import datetime as dt
import math
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clvmodels.cli_provenance import add_diff, add_verify
from clvmodels.cli_study import add_cache, add_report, add_study, run_supervised
from clvmodels.foundation.counting import WORDS
from clvmodels.foundation.errors import DataError, FitError, StudyError, UnitsFailedError
from clvmodels.study.supervised import RESUME

if TYPE_CHECKING:  # slow to import and only named here
    from clvmodels.data.datasets import Dataset
    from clvmodels.foundation.records import CustomerSummary, LedgerLine, TransactionLog

THREADS = {"OPENBLAS_NUM_THREADS": "1"}  # those of BLAS wait by spinning, where ours have work to do
EXIT_NOT_UNIFORM = 1
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
UNITS = ("day", "week", "month", "year")
WIDTH = 110  # of text, where the terminal is not narrower

# Options of `read_transactions`: where one is not given, the default of that function holds.
LAYOUT_OPTIONS = {
    "customer": "column of customers (customer_id)",
    "date": "column of dates (date)",
    "amount": "column of amounts (amount)",
    "order": "column of orders or invoices",
    "quantity": "column that the amount is to be multiplied by, where it is a unit price",
    "currency": "of the amounts (USD)",
    "currency_column": "column of currencies; rows in another than --currency are no part of the log",
    "date_format": "such as %%d/%%m/%%Y, where it cannot be told",
    "decimal": "mark before decimals, . or , (.)",
    "thousands": "mark between groups of digits, such as ,",
    "delimiter": "of text files, where it is not found by itself",
    "columns": "names of all columns, of text files without a header: a,b,c",
    "encoding": "of text files; of several, such as utf-8,gbk, each file is read in the first that fits (utf-8)",
    "sheet": "of a workbook with several",
    "written_in": "time zone of times that name none, such as UTC",
    "time_zone": "time zone whose days count, such as America/New_York",
    "day_starts": "hour at which a day begins (00:00)",
}
COUNTING_OPTIONS = {
    "refunds": "amounts below 0: within the day, against an earlier purchase, out, or as they are (net)",
    "zero_amounts": "rows at 0 (keep)",
    "missing_ids": "rows without a customer (refuse)",
    "duplicates": "rows that repeat another (keep)",
    "first_refunds": "customers whose first day has refunds alone (keep)",
    "other_currencies": "rows in another currency (refuse)",
    "first_day": "first day that the log is complete for",
    "last_day": "last day that the log is complete for",
    "exclude": "rows that are no purchase, such as stock_code=POST; can be repeated",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 if it went well, 2 for bad input, 130 if interrupted, 143 if terminated.

    `sbc` has 1 for ranks that are not uniform, `study` for parts of its work that went wrong, `verify` for what does
    not belong, `diff` for more than chance. Without arguments they are those of the command line, where a study runs
    in a process of its own, which is watched.
    """
    parsed = _parser().parse_args(arguments)
    if arguments is None:  # NumPy, which reads them once, is not imported yet
        for name, value in THREADS.items():
            os.environ.setdefault(name, value)
    try:
        if arguments is None and parsed.command == "study":
            return run_supervised(parsed)
        return parsed.run(parsed) or 0
    except UnitsFailedError as problem:
        sys.stderr.write(f"clvmodels: {problem}\n")
        return EXIT_FAILED
    except (DataError, StudyError, FitError) as problem:
        sys.stderr.write(f"clvmodels: {problem}\n")
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write(f"\nclvmodels: interrupted. {RESUME}\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        sys.stderr.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="clvmodels", description="The distribution of customer lifetime value.")
    parser.add_argument("--version", action="version", version=f"clvmodels {metadata.version('clvmodels')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    add_study(commands)
    add_report(commands)
    add_cache(commands)
    _add_summarize(commands)
    _add_fit(commands)
    _add_predict(commands)
    _add_sbc(commands)
    add_verify(commands)
    add_diff(commands)
    listing = commands.add_parser("list", help="models, baselines and data sets that there are")
    listing.set_defaults(run=_list)
    _add_datasets(commands)
    return parser


def _add_summarize(commands: Any) -> None:
    summarize = commands.add_parser("summarize", help="a purchase log to frequency, recency, T and spend")
    summarize.add_argument(
        "source",
        help="CSV, Excel or Parquet file, a folder or glob of them, or dataset:NAME (see `clvmodels datasets`)",
    )
    summarize.add_argument("--calibration-end", required=True, metavar="DAY", help="last day that counts: 1997-09-30")
    summarize.add_argument("--unit", default="week", choices=UNITS, help="of recency and T (week)")
    summarize.add_argument("--acquired-from", metavar="DAY", help="leave out customers first seen before it")
    summarize.add_argument("--acquired-until", metavar="DAY", help="leave out customers first seen after it")
    _add_output(summarize)
    _add_reading(summarize.add_argument_group("how the log is written"), LAYOUT_OPTIONS)
    _add_reading(summarize.add_argument_group("what counts"), COUNTING_OPTIONS)
    summarize.set_defaults(run=_summarize)


def _add_reading(group: Any, options: Mapping[str, str]) -> None:
    """Options of `read_transactions`; one that is not given leaves no trace, so that its default holds there."""
    kinds = {"columns": _several, "encoding": _several, "first_day": _day, "last_day": _day, "exclude": _equation}
    for name, text in options.items():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            default=argparse.SUPPRESS,
            choices=WORDS.get(name),
            type=kinds.get(name, str),
            metavar=None if name in WORDS else _metavar(name, text),
            action="append" if name == "exclude" else "store",
            help=text,
        )


def _metavar(name: str, text: str) -> str:
    if name == "exclude":
        return "COLUMN=VALUE"
    if text.startswith("column "):
        return "COLUMN"
    return "DAY" if name.endswith("_day") else name.upper()


def _several(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: expected a day such as 1997-09-30") from None


def _equation(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not (column and equals and value):
        raise argparse.ArgumentTypeError(f"{text}: expected COLUMN=VALUE, such as stock_code=POST")
    return column, value


def _add_datasets(commands: Any) -> None:
    datasets = commands.add_parser("datasets", help="data sets by name: list them, or describe one")
    datasets.add_argument("name", nargs="?", help="such as cdnow; all are listed if it is left out")
    datasets.add_argument("--installed", action="store_true", help="only the names of those that can be read here")
    datasets.set_defaults(run=_datasets)


def _add_fit(commands: Any) -> None:
    fit = commands.add_parser("fit", help="fit a model to a customer summary")
    fit.add_argument("model", help="such as bg_nbd; see `clvmodels list`")
    _add_summary(fit)
    fit.add_argument("--method", default="laplace", choices=("mle", "laplace", "nuts"))
    fit.add_argument("--draws", type=int, default=2000)
    fit.add_argument("--seed", type=int, help="of the random numbers; laplace and nuts need one")
    fit.add_argument("--output", help="save the fit here (netCDF)")
    fit.set_defaults(run=_fit)


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser("predict", help="a quantity of each customer from a saved fit")
    predict.add_argument("fit", help="file that `clvmodels fit --output` wrote")
    _add_summary(predict)
    predict.add_argument(
        "--quantity", required=True, help="such as p_alive, expected_purchases, dert, purchases, expected_spend"
    )
    predict.add_argument(
        "--horizon",
        type=_horizon,
        metavar="TIME",
        help="length of time in the summary's unit, such as 39; or 13:39, for purchases from 13 to 39 after T",
    )
    predict.add_argument("--annual-discount-rate", type=float, metavar="RATE", help="for dert: 0.1 is 10 %% a year")
    predict.add_argument("--discount-per-unit", type=float, metavar="RATE", help="in its place, continuous, per unit")
    predict.add_argument("--seed", type=int, help="of the random numbers; predictive quantities need one")
    predict.add_argument("--draws", type=int, help="of the parameters (those of the fit)")
    _add_output(predict)
    predict.set_defaults(run=_predict)


def _add_sbc(commands: Any) -> None:
    sbc = commands.add_parser(
        "sbc",
        help="simulation-based calibration: whether a model's posteriors are right",
        usage="%(prog)s MODEL --seed SEED [options]",
    )
    sbc.add_argument("model", metavar="MODEL", help="such as bg_nbd, before the options; see `clvmodels list`")
    sbc.add_argument("--method", default="laplace", choices=("laplace", "nuts"))
    sbc.add_argument("--simulations", type=int, default=1000, help="data sets to simulate and fit (1000)")
    sbc.add_argument("--customers", type=int, default=500, help="in each data set (500)")
    sbc.add_argument("--ages", type=_weeks, nargs="+", metavar="T", help="in weeks (12 to 52; for retention 2 to 12)")
    sbc.add_argument("--horizon", type=_weeks, help="of forecasts, in weeks (39; for retention 10)")
    sbc.add_argument("--clock", choices=("renewals", "continuous"), help="of tables of retention (the model's own)")
    sbc.add_argument("--draws", type=int, default=999, help="that a true value is ranked among (999)")
    sbc.add_argument("--seed", type=int, required=True, help="of the random numbers")
    sbc.add_argument("--workers", type=int, help="processes (one a processor)")
    sbc.add_argument("--output", help="folder for the ranks: an interrupted run goes on from what is there")
    sbc.set_defaults(run=_sbc)


def _horizon(text: str) -> float | tuple[float, float]:
    """A length of time, or a stretch of it as BEGIN:END."""
    try:
        times = [float(part) for part in text.split(":")]
    except ValueError:
        times = []
    if len(times) not in (1, 2):
        raise argparse.ArgumentTypeError(f"{text}: expected a length of time such as 39, or a stretch such as 13:39")
    return (times[0], times[1]) if len(times) == 2 else times[0]


def _weeks(text: str) -> float:
    """A length of time, of an option that argparse names."""
    try:
        weeks = float(text)
    except ValueError:
        weeks = math.nan
    if not (math.isfinite(weeks) and weeks > 0):
        raise argparse.ArgumentTypeError(f"{text}: expected weeks, above 0")
    return weeks


def _add_summary(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("summary", help="CSV or Parquet file with customer_id, frequency, recency, T")
    parser.add_argument("--unit", default="week", choices=UNITS, help="of recency and T (week)")
    parser.add_argument("--currency", default="USD")


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", help="CSV or Parquet file; the terminal if not given")


def _summarize(arguments: argparse.Namespace) -> None:
    from clvmodels.data import customer_summary, read_transactions
    from clvmodels.foundation.records import Window

    _require_place(arguments.output)
    window = Window(
        arguments.calibration_end,
        unit=arguments.unit,
        acquired_from=arguments.acquired_from,
        acquired_until=arguments.acquired_until,
    )
    log = read_transactions(arguments.source, **_reading(arguments))
    customers = customer_summary(log, window)
    sys.stderr.write("\n".join([*_account(log), *_block("customers set aside", customers.set_aside)]) + "\n")
    _write(customers.to_pandas(), arguments.output)


def _account(log: "TransactionLog") -> list[str]:
    """What became of the rows of a log, in lines."""
    from clvmodels.data.ledger import COUNTED

    used = [line for line in log.ledger if line.reason in COUNTED]
    aside = [line for line in log.ledger if line.reason not in COUNTED]
    days = f"{log.first_date} to {log.last_date}"
    return [
        f"{log.rows_read:,} rows = {_rows(used):,} used + {_rows(aside):,} set aside",
        f"{log.occasions:,} purchases (days of a customer) of {log.n_customers:,} customers, {days}",
        *_block("used", used),
        *_block("set aside", aside),
        *_block("worth knowing", log.notes),
    ]


def _rows(lines: Sequence["LedgerLine"]) -> int:
    return sum(line.rows for line in lines)


def _block(title: str, lines: Sequence["LedgerLine"]) -> list[str]:
    """A line a reason with its rows and their amount, under a title; nothing where there are none."""
    rows = [f"  {line.reason:20} {line.rows:>12,} {line.amount:>20,.2f}" for line in lines]
    return [title, *rows] if rows else []


def _reading(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of `read_transactions` that were given."""
    given = {name: getattr(arguments, name) for name in (*LAYOUT_OPTIONS, *COUNTING_OPTIONS) if name in arguments}
    if "exclude" in given:
        columns = dict.fromkeys(column for column, _ in given["exclude"])
        given["exclude"] = {name: [value for column, value in given["exclude"] if column == name] for name in columns}
    return given


def _fit(arguments: argparse.Namespace) -> None:
    from clvmodels.inference import fit

    _require_place(arguments.output)
    fitted = fit(
        arguments.model,
        _read_summary(arguments),
        method=arguments.method,
        draws=arguments.draws,
        seed=arguments.seed,
    )
    table = fitted.summary()
    if fitted.method == "mle":
        table = table[["mean"]].assign(standard_error=list(fitted.standard_errors.values()))
    sys.stdout.write(f"{table.to_string()}\nlog likelihood {fitted.log_likelihood:.3f}\n")
    for check in fitted.checks:
        if not check.passed:
            sys.stdout.write(f"check failed: {check.key} = {check.value:.3g}, limit {check.limit:.3g}\n")
    if arguments.output:
        fitted.save(arguments.output)


def _predict(arguments: argparse.Namespace) -> None:
    from clvmodels.forecast import predict
    from clvmodels.inference import load_fit

    _require_place(arguments.output)
    forecast = predict(
        load_fit(arguments.fit),
        _read_summary(arguments),
        quantity=arguments.quantity,
        horizon=arguments.horizon,
        annual_discount_rate=arguments.annual_discount_rate,
        discount_per_unit=arguments.discount_per_unit,
        seed=arguments.seed,
        draws=arguments.draws,
    )
    _write(forecast.to_pandas(), arguments.output)


def _sbc(arguments: argparse.Namespace) -> int:
    from clvmodels.evaluation.sbc import default_ages, default_horizon, default_priors, run_sbc
    from clvmodels.study.progress import to_stderr

    model = arguments.model
    ages = default_ages(model) if arguments.ages is None else arguments.ages
    calibration = run_sbc(
        model,
        simulations=arguments.simulations,
        customers=arguments.customers,
        T=ages,
        priors=default_priors(model, T=ages),
        method=arguments.method,
        seed=arguments.seed,
        horizon=default_horizon(model) if arguments.horizon is None else arguments.horizon,
        clock=arguments.clock,
        draws=arguments.draws,
        output=arguments.output,
        workers=arguments.workers,
        tell=to_stderr,
    )
    sys.stdout.write(calibration.table() + "\n")
    return 0 if calibration.uniform else EXIT_NOT_UNIFORM


def _read_summary(arguments: argparse.Namespace) -> "CustomerSummary":
    from clvmodels.data.small_tables import read_table
    from clvmodels.foundation.records import CustomerSummary

    return CustomerSummary.from_frame(read_table(arguments.summary), unit=arguments.unit, currency=arguments.currency)


def _require_place(output: str | None) -> None:
    """Refuse, before any work, a file that could not be written after it."""
    if output is None:
        return
    if not Path(output).resolve().parent.is_dir():
        raise StudyError(f"--output {output}: there is no such folder.")
    if Path(output).is_dir():
        raise StudyError(f"--output {output}: is a folder. Name a file in it.")


def _write(frame: Any, output: str | None) -> None:
    from clvmodels.study.outputs import for_spreadsheets, write_table

    if output is None:
        for_spreadsheets(frame).to_csv(sys.stdout, index=False)
    else:
        write_table(frame, Path(output))


def _list(_: argparse.Namespace) -> None:
    from clvmodels.baselines import BASELINES
    from clvmodels.data import DATASETS
    from clvmodels.models import MODELS

    width = max(map(len, MODELS)) + 1
    lines = []
    for family in dict.fromkeys(model.family for model in MODELS.values()):
        lines.append(f"models of {family}")
        of_family = [model for model in MODELS.values() if model.family == family]
        letters = max(len(", ".join(model.parameter_names)) for model in of_family) + 1
        lines += [f"  {m.name:{width}} {', '.join(m.parameter_names):{letters}} {m.reference}" for m in of_family]
    lines.append("baselines")
    lines += [f"  {b.name:{width}} reads {', '.join(b.inputs)}; {b.choices} choices" for b in BASELINES.values()]
    named = (f"dataset:{each.name}" for each in DATASETS.values() if each.kind != "bring your own")
    lines += ["data sets (see `clvmodels datasets`)", *(f"  {name}" for name in named)]
    sys.stdout.write("\n".join(lines) + "\n")


def _datasets(arguments: argparse.Namespace) -> None:
    from clvmodels.data import DATASETS

    if arguments.installed:
        lines = [dataset.name for dataset in DATASETS.values() if dataset.is_here]
    elif arguments.name is None:
        rows = [(each.name, each.kind, _where_it_is(each), each.line) for each in DATASETS.values()]
        widths = [max(map(len, column)) + 1 for column in zip(*rows, strict=True)]
        lines = [" ".join(f"{word:{width}}" for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    else:
        name = arguments.name.removeprefix("dataset:")
        if name not in DATASETS:
            raise DataError(f"{name}: no such data set; expected one of {', '.join(DATASETS)}.")
        lines = _described(DATASETS[name])
    sys.stdout.write("\n".join(lines) + "\n")


def _where_it_is(dataset: "Dataset") -> str:
    if dataset.is_here:
        return "here"
    return "install" if dataset.install else "bring it"


def _how_it_comes(dataset: "Dataset") -> str:
    where = _where_it_is(dataset)
    return f"pip install {dataset.install}" if where == "install" else where


def _described(dataset: "Dataset") -> list[str]:
    """All that is known of a data set, in lines."""
    width = min(WIDTH, shutil.get_terminal_size().columns)
    parts = {
        "kind": dataset.kind,
        "about": dataset.about,
        "size": dataset.size,
        "difficult": dataset.difficulties,
        "from": dataset.origin,
        "data": _how_it_comes(dataset),
        "licence": dataset.licence,
        "cite": dataset.citation,
    }
    lines = [f"{dataset.name}: {dataset.line}", ""]
    for title, text in parts.items():
        lines += textwrap.wrap(
            text, width, break_on_hyphens=False, initial_indent=f"{title:10} ", subsequent_indent=" " * 11
        )
    column = max(map(len, dataset.columns)) + 1
    lines += ["", "columns", *(f"  {name:{column}} {text}" for name, text in dataset.columns.items())]
    if dataset.obtaining:
        lines += ["", "how to bring it", *textwrap.wrap(dataset.obtaining, width, break_on_hyphens=False)]
    return [*lines, "", "in Python", textwrap.indent(dataset.python, "  ")]


if __name__ == "__main__":
    sys.exit(main())
