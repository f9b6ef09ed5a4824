"""The commands `clvmodels verify` and `clvmodels diff`."""

import argparse
import sys
from pathlib import Path
from typing import Any

EXIT_AMISS = 1  # something does not belong, or differs by more than chance


def add_verify(commands: Any) -> None:
    """The command `verify`."""
    verify = commands.add_parser("verify", help="whether a report belongs to its results, and those to their data")
    verify.add_argument("folder", help="of a study, such as reports/cdnow")
    verify.add_argument(
        "--data",
        action="append",
        help="where the data are now, if not where the results say; KEY=PATH for one of several sources",
    )
    verify.add_argument("--study", metavar="FILE", help="the study file, where it is not found by its name")
    verify.set_defaults(run=_verify)


def add_diff(commands: Any) -> None:
    """The command `diff`."""
    diff = commands.add_parser("diff", help="two runs of a study, number by number, against Monte Carlo error")
    diff.add_argument("a", metavar="A", help="folder of a run, such as reports/cdnow")
    diff.add_argument("b", metavar="B", help="folder of another")
    diff.add_argument("--all", action="store_true", help="every number that differs, not the worst alone")
    diff.add_argument("--json", metavar="FILE", help="write the whole comparison there, too")
    diff.set_defaults(run=_diff)


def _verify(arguments: argparse.Namespace) -> int:
    from clvmodels.report.verify import verify_report

    found = verify_report(arguments.folder, arguments.data, study=arguments.study)
    width = max(len(finding.state) for finding in found.findings)
    sys.stdout.writelines(
        f"{finding.state:{width}}  {_printable(finding.subject)}: {_printable(finding.words)}\n"
        for finding in found.findings
    )
    sys.stdout.writelines(f"{_printable(line)}\n" for line in (*found.of_fits, found.verdict))
    return 0 if found.belongs else EXIT_AMISS


def _diff(arguments: argparse.Namespace) -> int:
    import msgspec

    from clvmodels.report.compare import compare_runs
    from clvmodels.report.compare_text import WORST, comparison_lines
    from clvmodels.study.outputs import write_json

    found = compare_runs(arguments.a, arguments.b)
    lines = comparison_lines(found, most=None if arguments.all else WORST)
    sys.stdout.writelines("\n".join(map(_printable, line.split("\n"))) + "\n" for line in lines)
    if arguments.json:
        write_json(msgspec.to_builtins(found, enc_hook=str), Path(arguments.json))  # paths as text
    return EXIT_AMISS if found.beyond else 0


def _printable(text: str) -> str:
    """Text without characters that would act on a terminal: names of files can hold any."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
