"""What stood open, as one number: records x days x the weight of their tier.

The course's own arithmetic, which no standard gives. It compares fixes with each other; it is no
measure of harm. It believes the tiers that the schema writes on the fields, and knows nothing of
what fields tell together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from leftopen import ledger
from leftopen.cases import sensenets_schema
from leftopen.errors import DataError

WEIGHTS: Mapping[str, float] = {"T0": 16, "T1": 8, "T2": 4, "T3": 2, "T4": 1}
"""What one record of a tier counts: each tier twice the next one. A choice."""
READERS = ("a stranger", "somebody let in")
"""Who might read: somebody without a password; and somebody with one, an administrator, or a thief
of a password or of a backup."""

_SEALED = ("idNumber", "homeAddress", "birthday", "employer", "photo")
_RECORDS = {"people": "SN7", "positions": "SN8", "trackers": "SN9"}


@dataclass(frozen=True)
class Fix:
    """One change, and what each reader can still read after it.

    Attributes:
        name: what is done.
        stranger: the share of everything that somebody without a password still reads, 0 to 1.
        left: "collection" or "collection.field" -> the share that stays there for every reader.
    """

    name: str
    stranger: float = 1.0
    left: Mapping[str, float] = field(default_factory=dict)


FIXES = (
    Fix("encrypt the way (TLS)"),
    Fix("require a login", stranger=0),
    Fix("encrypt five fields, key elsewhere", left={f"people.{name}": 0 for name in _SEALED}),
    Fix("do not collect the group", left={"people.group": 0}),
    Fix("do not collect group and photo", left={"people.group": 0, "people.photo": 0}),
    Fix("keep positions for one hour, not 24", left={"positions": 1 / 24}),
    Fix("count, and keep no positions", left={"positions": 0}),
    Fix(
        "count, encrypt the five, no group",
        left={"positions": 0, "people.group": 0} | {f"people.{name}": 0 for name in _SEALED},
    ),
)
"""The fixes of lesson 05, each made alone on the database as it was found."""


def held() -> pd.DataFrame:
    """The fields of the SenseNets case, a row for each: collection, field, tier, records.

    The numbers of records are those of the claims ledger; how many there were beyond the last 24
    hours of positions is not known.
    """
    table = sensenets_schema.table()[["collection", "field", "tier"]]
    records = {name: int(ledger.number(claim)) for name, claim in _RECORDS.items()}
    return table.assign(records=table["collection"].map(records))


def weigh(
    fields: pd.DataFrame, days: float, weights: Mapping[str, float] = WEIGHTS
) -> pd.DataFrame:
    """The fields with a column ``exposure``: records x days x weight.

    Args:
        fields: columns ``tier`` and ``records``, as of :func:`held`.
        days: how long they stood open.
        weights: tier -> what one record counts.

    Raises:
        DataError: a tier has no weight.
    """
    if missing := sorted(set(fields["tier"]) - set(weights)):
        raise DataError(f"No weight is given for {', '.join(missing)}. Give each tier one.")
    return fields.assign(exposure=fields["records"] * days * fields["tier"].map(weights))


def left(weighed: pd.DataFrame, fix: Fix) -> pd.DataFrame:
    """What of each field's exposure stays after a fix: the fields, and a column for each reader.

    Args:
        weighed: columns ``collection``, ``field`` and ``exposure``, as of :func:`weigh`.
        fix: what is changed; names in `fix.left` are those of the schema.

    Raises:
        DataError: the fix names a collection or a field that is not there.
    """
    names = weighed["collection"] + "." + weighed["field"]
    if unknown := sorted(set(fix.left) - set(names) - set(weighed["collection"])):
        raise DataError(f"The fix names {', '.join(unknown)}, which is no field here.")
    share = names.map(fix.left).fillna(weighed["collection"].map(fix.left)).fillna(1.0)
    stays = weighed["exposure"] * share
    return weighed.assign(**dict(zip(READERS, (stays * fix.stranger, stays), strict=True)))


def removed(weighed: pd.DataFrame, fixes: tuple[Fix, ...] = FIXES) -> pd.DataFrame:
    """The share of all exposure that each fix removes, for each reader, 0 to 1.

    Args:
        weighed: as of :func:`weigh`.
        fixes: the fixes, each made alone.

    Returns:
        A row for each fix, indexed by its name; a column for each of `READERS`.
    """
    whole = weighed["exposure"].sum()
    rows = {fix.name: 1 - left(weighed, fix)[list(READERS)].sum() / whole for fix in fixes}
    return pd.DataFrame.from_dict(rows, orient="index")


def by_field(weighed: pd.DataFrame, fixes: tuple[Fix, ...] = FIXES) -> pd.DataFrame:
    """The exposure of each field in each configuration, for whoever has a password.

    Args:
        weighed: as of :func:`weigh`.
        fixes: the fixes, each made alone.

    Returns:
        In percent of all exposure as found: a row for the database as found, and one for each fix;
        a column for each "collection.field", the largest first.
    """
    names = weighed["collection"] + "." + weighed["field"]
    percent = 100 / weighed["exposure"].sum()
    rows = {"as found": weighed["exposure"]}
    rows |= {fix.name: left(weighed, fix)[READERS[1]] for fix in fixes}
    table = pd.DataFrame(rows).set_index(names).T * percent
    return table.sort_values("as found", axis=1, ascending=False, kind="stable")
