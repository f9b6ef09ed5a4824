"""A log to a customer summary by a peer, in the environment that has it: python log_peer.py PEER FOLDER LAST_DAY."""

import json
import resource
import sys
import time
import warnings

import pandas as pd


def main() -> None:
    peer, folder, last_day = sys.argv[1:]
    if peer == "lifetimes":
        from lifetimes.utils import summary_data_from_transaction_data as summary
    else:
        from pymc_marketing.clv import rfm_summary as summary
    warnings.simplefilter("ignore")  # lifetimes' of pandas
    began, cpu = time.perf_counter(), time.process_time()
    log = pd.read_parquet(folder)
    customers = summary(log, "customer_id", "date", monetary_value_col="amount", observation_period_end=last_day)
    figures = {
        "rows": len(log),
        "customers": len(customers),
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
