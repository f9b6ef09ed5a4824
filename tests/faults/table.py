"""docs/faults.md from the record of a full run: `python -m tests.faults.table RECORD > docs/faults.md`."""

import json
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

TEXT = """# What a study survives

The fault suite (tests/faults) runs two small studies, one of purchases and one of retention, on top of an old report,
and disturbs them. After each fault the report must be the old one or the new one as a whole, with no file under a final
name that belongs to neither. Then the same command runs again: it must end, leave no name behind that an undisturbed
run does not leave, and its report must be bit for bit that of an undisturbed run (but for seconds and megabytes: in
manifest.json, costs.json, and the page's table of them).

`make test-kills` is the short form. The table is from the full one, `make test-kills ARGS=--full`, on {machine}.

| fault | how | runs | torn | bit-identical at the end |
|---|---|---:|---:|---:|
{rows}

Where a fault ends in an error (a full disk, a unit that goes wrong), "bit-identical" counts the runs after it, when the
cause is gone. Kills at system calls use strace, where it is there and may trace; the same points are also reached from
Python, by audit events, which needs nothing. That the suite can fail is itself tested: entries filled under their final
names, reports published a file at a time, reports removed before the new one is there, and leftovers that are not
cleared up are each put into the code, and each is noticed (tests/faults/test_system_calls.py).
"""


def table(lines: Iterable[str]) -> str:
    """Rows of Markdown: runs of the same fault together, in the order in which the faults were first seen."""
    rows: dict[tuple[str, str], list[int]] = {}
    for line in lines:
        told = json.loads(line)
        counts = rows.setdefault((told["fault"], told["how"]), [0, 0, 0])
        for i, name in enumerate(("runs", "torn", "identical")):
            counts[i] += told[name]
    return "\n".join(f"| {fault} | {how} | {' | '.join(map(str, counts))} |" for (fault, how), counts in rows.items())


def main() -> None:
    lines = sorted(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines())
    machine = f"{platform.system()} {platform.machine()}, CPython {platform.python_version()}"
    sys.stdout.write(TEXT.format(machine=machine, rows=table(lines)))


if __name__ == "__main__":
    main()
