"""One field of a case's records, as its schema tells it: what it holds, and how sensitive it is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd


@dataclass(frozen=True)
class Field:
    """One field of one collection, or of one kind of index.

    Attributes:
        collection: where it stands.
        field: its name in the documents.
        type: its type, as the engine names it.
        tier: how dangerous it is, as the ``TIERS`` of the case say.
        meaning: what it holds, in a line.
        sources: who names it for the real database, in the letters of the case's schema; empty
            where the field is ours, to hold the rest together.
    """

    collection: str
    field: str
    type: str
    tier: str
    meaning: str
    sources: str


def frame(fields: Sequence[Field]) -> pd.DataFrame:
    """The fields as a table, one row a field."""
    return pd.DataFrame([asdict(field) for field in fields])
