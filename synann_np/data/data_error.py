"""The error of all readers of data."""


class DataError(ValueError):
    """Data is missing or bad. The message is one line: which file or folder, what is wrong, what to do."""
