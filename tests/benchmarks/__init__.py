"""Benchmarks: `python -m tests.benchmarks` measures, prints a table and writes .benchmarks/latest.json."""
