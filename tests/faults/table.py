"""docs/faults.md from the record of a full run: `python -m tests.faults.table RECORD > docs/faults.md`."""

import json
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

PAGE = Path(__file__).with_name("page.md")  # all of it but the machine, the table, and its sums


def counts(lines: Iterable[str]) -> dict[tuple[str, str], list[int]]:
    """Runs, torn files and identical ends by fault and how: runs of the same fault together, by name."""
    rows: dict[tuple[str, str], list[int]] = {}
    for told in map(json.loads, sorted(lines)):
        row = rows.setdefault((told["fault"], told["how"]), [0, 0, 0])
        for i, name in enumerate(("runs", "torn", "identical")):
            row[i] += told[name]
    return rows


def page(lines: Iterable[str], machine: str) -> str:
    """The whole of docs/faults.md."""
    rows = counts(lines)
    runs, torn, _ = (sum(column) for column in zip(*rows.values(), strict=True))
    written = [f"| {fault} | {how} | {' | '.join(map(str, row))} |" for (fault, how), row in rows.items()]
    return PAGE.read_text(encoding="utf-8").format(machine=machine, runs=runs, torn=torn, rows="\n".join(written))


def main() -> None:
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    machine = f"{platform.system()} {platform.machine()}, CPython {platform.python_version()}"
    sys.stdout.write(page(lines, machine))


if __name__ == "__main__":
    main()
