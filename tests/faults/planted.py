"""`python -m tests.faults.planted HOOKS study ...`: the command line, with hooks in the process that it watches.

HOOKS are as for `server.run`, in JSON.
"""

import json
import sys

from clvmodels import cli
from clvmodels.study.supervised import end_with_parent, is_supervised, supervise
from tests.faults.server import take_hooks


def main() -> int:
    if not is_supervised():
        return supervise([sys.executable, "-m", "tests.faults.planted", *sys.argv[1:]])
    end_with_parent()
    take_hooks(json.loads(sys.argv[1]))
    return cli.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
