"""The sections of a page on retention, in the order of a manager's reading: see `clvmodels.report.sections`."""
