"""The sections of the page of a contest over several data sets."""
