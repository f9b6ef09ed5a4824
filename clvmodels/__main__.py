"""`python -m clvmodels`."""

import sys

from clvmodels.cli import main

sys.exit(main())
