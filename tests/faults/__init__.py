"""What a study does when the machine fails it: kills, signals, full disks, damaged caches, two runs at once.

`make test-faults` runs the short form; `--full` the long one, with 300 random kills.
"""
