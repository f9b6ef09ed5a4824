"""Reports: a study's results as one HTML page of a language, as a PDF, and a page over all studies."""
