"""BG/NBD by pymc-marketing with nutpie, run by .venv-bench: python peer.py FILE FITS.

FILE is a CSV with customer_id, frequency, recency, T. Priors and settings are the package's own, but for the number
of draws: its 2 x 1,000 were worth 730 to 1,050 independent draws of the worst parameter.
"""

import json
import sys
import time

import pandas as pd
from pymc_marketing.clv import BetaGeoModel

DRAWS = 1500  # a chain; one chain a core, at least 2


def main() -> None:
    frame = pd.read_csv(sys.argv[1])[["customer_id", "frequency", "recency", "T"]]
    seconds = []
    for seed in range(1, int(sys.argv[2]) + 1):
        began = time.perf_counter()
        model = BetaGeoModel()
        model.fit(data=frame, nuts_sampler="nutpie", draws=DRAWS, random_seed=seed, progressbar=False)
        seconds.append(time.perf_counter() - began)
    summary = model.fit_summary()
    print(summary)
    effective = float(summary["ess_bulk"].astype(float).min())
    print(json.dumps({"wall": seconds, "effective": effective}))


if __name__ == "__main__":
    main()
