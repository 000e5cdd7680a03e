"""Tables of lesson 04: what happened to databases that stood open, what engines do by default, and
what the weaknesses are called."""

import re

import pandas as pd

from leftopen import ledger
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


WAVES = ("IN6", "IN18", "RW4", "RW5", "IN23")
"""The largest count of each wave in which databases were ransomed or wiped."""

LANES = ("loopback by default", "login by default", "stood open", "ransomed or wiped")


def events() -> pd.DataFrame:
    """Both tables as one list of events in four lanes, in order of lane and time.

    Two lanes are changes of defaults that protect somebody who changes nothing, all of them or in
    part; two are the exposures and the waves of attacks (:data:`WAVES`).

    Returns:
        Columns ``id`` (of the claim in the ledger), ``lane`` (:data:`LANES`), ``label``, ``when``
        (text, as exact as it is known), ``began`` and ``ended`` (its first days; the same where
        one is known), ``whole`` (False for a default that protects in part).
    """
    changes = defaults().query("by_default != 'no' and topic in ['network', 'login']")
    lanes = dict(zip(("network", "login"), LANES, strict=False))
    safe = pd.DataFrame(
        {
            "id": changes["id"],
            "lane": changes["topic"].map(lanes),
            "label": changes["engine"] + " " + changes["version"],
            "when": changes["since"],
            "began": days(changes["since"]),
            "ended": days(changes["since"]),
            "whole": changes["by_default"] == "yes",
        }
    )
    rows = table()
    open_ = rows[rows["kind"] == "exposure"]
    waves = rows[rows["id"].isin(WAVES)]
    named = waves["engine"].replace("several", "of several engines")
    happened = pd.concat(
        [
            _dated(open_, LANES[2], open_["what"].str.split(":").str[0]),
            _dated(waves, LANES[3], waves["value"].map("{:,.0f}".format) + " " + named),
        ]
    )
    found = pd.concat([safe, happened])
    found["lane"] = pd.Categorical(found["lane"], LANES, ordered=True)
    return found.sort_values(["lane", "began"]).reset_index(drop=True)


def weaknesses() -> pd.DataFrame:
    """What CWE calls the weaknesses of an open database, and where OWASP's two lists put them.

    Returns:
        Columns, all of them text: ``weakness`` (its number in CWE), ``name``, and ``list of 2021``
        and ``list of 2025``: a risk's code in that list and its name, or "not mapped".

    Raises:
        DataError: the ledger cannot be read.
    """
    told = ledger.claims("Weaknesses")["statement"]
    rows = told.str.extract(
        r"(CWE-\d+), (.+): in OWASP's list of 2021 (.+), in the list of 2025 (.+)"
    )
    rows = rows.dropna().reset_index(drop=True)
    rows.columns = ["weakness", "name", "list of 2021", "list of 2025"]
    for column in rows.columns[2:]:
        risks = told[told.str.startswith(f"OWASP's {column}: ")].iloc[0]
        names = dict(re.findall(r"(A\d\d) ([^,]+)", risks))
        rows[column] = [f"{code} {names[code]}" if code in names else code for code in rows[column]]
    return rows


def _dated(rows: pd.DataFrame, lane: str, label: pd.Series) -> pd.DataFrame:
    """Incidents as events: where one end is unknown the other is both, or the report's day."""
    first = rows["began"].fillna(rows["ended"]).fillna(rows["reported"])
    last = rows["ended"].fillna(first)
    return pd.DataFrame(
        {
            "id": rows["id"],
            "lane": lane,
            "label": label,
            "when": first.where(first == last, first + " to " + last),
            "began": days(first),
            "ended": days(last),
            "whole": True,
        }
    )


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
