"""Two tables: what happened to databases that stood open, and how engines come from the maker."""

import pandas as pd

from leftopen.errors import DataError
from leftopen.ledger import DATASETS


def table() -> pd.DataFrame:
    """What happened, and what was counted: ``datasets/incidents.csv``, one row a figure.

    Columns: ``id`` (of the claim in the ledger), ``what``, ``kind`` (exposure, attack wave, count,
    study or response), ``engine``, ``began``, ``ended``, ``reported`` (text: a day, a month or a
    year, as exact as it is known; missing where it is not), ``value`` (a number; missing where no
    source gives one), ``unit``, ``definition`` (what was counted), ``source``, ``confidence``.

    Raises:
        DataError: the file cannot be read.
    """
    return _read("incidents.csv", {"value": float})


def defaults() -> pd.DataFrame:
    """What an engine does when nobody has configured it: ``datasets/defaults.csv``.

    Columns, all of them text: ``id``, ``engine``, ``version``, ``change``, ``topic`` (network,
    login, encryption or hash), ``since`` (a day or a month; missing where it is not known),
    ``by_default`` (yes, partly or no: whether it protects somebody who changes nothing),
    ``source``, ``confidence``.

    Raises:
        DataError: the file cannot be read.
    """
    return _read("defaults.csv", {})


def days(dates: pd.Series) -> pd.Series:
    """Dates that are known to the day, the month or the year, as the first day of each."""
    return pd.to_datetime(dates, format="ISO8601")


def _read(name: str, numbers: dict[str, type]) -> pd.DataFrame:
    path = DATASETS / name
    try:
        found = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    except OSError as error:
        raise DataError(
            f"The table {path} cannot be read: {error.strerror}. "
            "Run the course from a whole copy of its repository."
        ) from error
    return found.astype(numbers)
