"""The claims ledger: every figure that a lesson states, with its source and how sure it is."""

import html
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from leftopen.errors import DataError

DATASETS = Path(__file__).resolve().parent.parent / "datasets"


class Table:
    """Rows with whole texts: wrapped in a browser, and one text below the other elsewhere."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def __repr__(self) -> str:
        return "\n".join(
            f"{first}  " + " · ".join(str(v) for v in rest if str(v))
            for first, *rest in self.frame.itertuples(index=False)
        )

    def _repr_html_(self) -> str:
        left = "style='text-align:left;vertical-align:top'"
        head = "".join(f"<th {left}>{html.escape(c)}</th>" for c in self.frame.columns)
        rows = "".join(
            "<tr>" + "".join(f"<td {left}>{html.escape(str(v))}</td>" for v in row) + "</tr>"
            for row in self.frame.itertuples(index=False)
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def claims(case: str | None = None) -> pd.DataFrame:
    """The ledger as a table: id, case, statement, value, unit, date, source, confidence, disputed.

    All columns are text; an empty field is an empty text.

    Args:
        case: the claims of one case, as ``"SenseNets"``; all of them when it is left out.

    Raises:
        DataError: the ledger cannot be read, or has no such case.
    """
    path = DATASETS / "claims.csv"
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except OSError as error:
        raise DataError(
            f"The claims ledger {path} cannot be read: {error.strerror}. "
            "Run the course from a whole copy of its repository."
        ) from error
    if case is None:
        return table
    if case not in set(table["case"]):
        raise DataError(
            f"The ledger has no case {case!r}. It has: {', '.join(table['case'].unique())}."
        )
    return table[table["case"] == case].reset_index(drop=True)


def show(ids: Sequence[str], columns: Sequence[str]) -> Table:
    """Some claims in the order that is asked for, with whole texts.

    Raises:
        DataError: an id is not in the ledger.
    """
    table = claims().set_index("id", drop=False)
    if missing := [i for i in ids if i not in table.index]:
        raise DataError(f"The ledger has no claim {', '.join(missing)}.")
    return Table(table.loc[list(ids), ["id", *columns]])


def number(claim: str) -> float:
    """The value of a claim as a number.

    Raises:
        DataError: there is no such claim, or its value is not one number.
    """
    text = show([claim], ["value"]).frame["value"].iloc[0]
    try:
        return float(text.replace(",", ""))
    except ValueError:
        told = f"is {text!r}" if text else "is empty"
        raise DataError(f"The value of {claim} {told}, which is not one number.") from None


def sources(ids: str) -> Table:
    """What each claim rests on: the last cell of every lesson.

    Args:
        ids: the ids of the claims, with spaces between.

    Raises:
        DataError: an id is not in the ledger.
    """
    return show(ids.split(), ["source", "confidence"])
