"""`python -m clvmodels`."""

import sys

from clvmodels.cli import main

if __name__ == "__main__":
    sys.exit(main())
