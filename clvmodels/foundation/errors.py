"""Errors that a caller can cause: what was wrong, where, and how to fix it."""


class DataError(ValueError):
    """The data cannot be used as they are."""


class LimitError(DataError):
    """The data are larger than is read; it says what limit they pass, and how to raise it, and nothing of rows."""


class EngineLimitError(DataError):
    """The data engine has too little memory or disk for work that is right as it is; it says what gives it more."""


class StudyError(ValueError):
    """A study file, a study's folder or a command-line argument cannot be used."""


class FitError(ValueError):
    """A model cannot be fitted to these data, or a fit cannot answer what is asked."""


class UnitsFailedError(StudyError):
    """Parts of a study's work went wrong; what else was made is kept, and the report is as it was before."""
