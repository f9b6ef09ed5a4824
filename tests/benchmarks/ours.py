"""The same by clvmodels: python -m tests.benchmarks.ours FILE FITS METHOD."""

import json
import sys
import time

import pandas as pd

import clvmodels as clv

DRAWS = {"laplace": 1000, "nuts": 2000}


def main() -> None:
    customers = clv.CustomerSummary.from_frame(pd.read_csv(sys.argv[1]), unit="week")
    method = sys.argv[3]
    seconds = []
    for seed in range(1, int(sys.argv[2]) + 1):
        began = time.perf_counter()
        fit = clv.fit("bg_nbd", customers, method=method, draws=DRAWS[method], seed=seed)
        seconds.append(time.perf_counter() - began)
    summary = fit.summary()
    print(summary)
    print(json.dumps({"wall": seconds, "effective": float(summary["ess_bulk"].min())}))


if __name__ == "__main__":
    main()
