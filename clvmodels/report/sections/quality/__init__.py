"""The page of data quality: its sections, one a file; their order stands in `clvmodels.report.sections`."""
