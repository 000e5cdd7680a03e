"""Exercise 13, question 1: what a stranger reads of encrypted values without opening one.

That is which are equal, how long they are, and which data key each needs; and what the key vault
says of the data keys in clear: their names.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping

from pymongo.collection import Collection

from leftopen.audit.crypto import ciphertext
from leftopen.checks import encrypt_the_field_vault as vault
from leftopen.checks.question import Attempt

_STRANGER = "as a stranger, who reads all of the server"
_TOLD_ENOUGH = 40  # people whose value follows from another's; by chance once in 10**8
_BITS = 37  # a group of drawn people has one value alone with 1 in 2**37: of all, once in 10**8
_SIZES = 3  # that are told
_DIGITS: tuple[Callable[[str], str], ...] = (
    lambda name: name.rstrip("0123456789"),
    lambda name: name.lstrip("0123456789"),
    lambda name: re.sub(r"\d", "", name),
)


def shown(
    at: Attempt, keys: Collection, before: Mapping, now: Mapping, others: list[str]
) -> str | None:
    """The near miss of fields whose values can be told apart without a key.

    Args:
        at: takes the evidence and the values for the near miss's sentence.
        keys: the key vault.
        before: each person as they were, by their number.
        now: the same people, with their encrypted fields.
        others: the fields of which many people have the same value.
    """
    return (
        _by_equal_values(at, now, others)
        or _by_data_keys(at, before, now, others)
        or _by_names(at, keys, before, now, others)
        or _by_lengths(at, now, others)
    )


def _by_equal_values(at: Attempt, now: Mapping, others: list[str]) -> str | None:
    telling = []
    for name in others:
        different = len({bytes(person[name]) for person in now.values()})
        told = f"{different} different ones of {len(now)}"
        at.note(_STRANGER, f"count the values of {name}", told)
        if different < len(now):
            many = ciphertext.equal_values(bytes(person[name]) for person in now.values())
            telling.append(f"{name} ({told}; the most frequent of {max(many.values())} people)")
    at.values["telling"] = "; ".join(telling)
    return "deterministic_shared" if telling else None


def _by_data_keys(at: Attempt, before: Mapping, now: Mapping, others: list[str]) -> str | None:
    telling = []
    for name in others:
        under = _keys_of(now, name)
        many = len(set(under.values()))
        at.note(_STRANGER, f"count the data keys of {name}", str(many))
        for told in others:
            values = {number: person[told] for number, person in before.items()}
            if _stands_for_one(under, values):
                which = "each" if _all_pure(_groups(under, values)) else "one of them"
                telling.append(f"{name} has {many} data keys, and {which} stands for one {told}")
    at.values["telling"] = "; ".join(telling)
    return "key_for_each_value" if telling else None


def _by_names(
    at: Attempt, keys: Collection, before: Mapping, now: Mapping, others: list[str]
) -> str | None:
    """Whether the names of data keys, but for the digits in them, follow from a value."""
    in_vault = keys.find({"keyMaterial": {"$type": "binData"}, "_id": {"$type": "binData"}})
    named = {bytes(key["_id"]): list(_names(key)) for key in in_vault}
    telling = []
    for name in others:
        under = _keys_of(now, name)
        told = (
            value
            for value in others
            for without in _DIGITS
            if _follow(
                {n: tuple(map(without, named.get(key, ()))) for n, key in under.items()},
                {n: person[value] for n, person in before.items()},
            )
        )
        if (value := next(told, None)) is not None:
            telling.append(f"those of {name} are named by {value}")
    if telling:
        at.note(_STRANGER, "read the names of the data keys in the vault", "; ".join(telling))
    at.values["telling"] = "; ".join(telling)
    return "key_names_tell" if telling else None


def _by_lengths(at: Attempt, now: Mapping, others: list[str]) -> str | None:
    telling = []
    for name in others:
        sizes = sorted(Counter(len(person[name]) for person in now.values()).items())
        told = ", ".join(f"{size} bytes for {many} people" for size, many in sizes[:_SIZES])
        told += f", and {len(sizes) - _SIZES} more sizes" if len(sizes) > _SIZES else ""
        at.note(_STRANGER, f"measure the values of {name}", told)
        if len(sizes) > 1:
            telling.append(f"{name} has {told}")
    at.values["telling"] = "; ".join(telling)
    return "lengths_tell" if telling else None


def _keys_of(now: Mapping, name: str) -> dict[int, bytes]:
    """The id of the data key of each person's value, which stands in front of it in clear."""
    return {number: bytes(vault.key_id(person[name])) for number, person in now.items()}


def _names(key: Mapping) -> Iterator[str]:
    """What the vault says of a data key in clear: its names, and that of its master key."""
    yield from map(str, key.get("keyAltNames") or ())
    yield str(key["masterKey"])


def _groups(labels: Mapping[int, Hashable], values: Mapping[int, object]) -> list[list]:
    """The values of the people with one label, for each label that several have."""
    groups: dict[Hashable, list] = {}
    for number, label in labels.items():
        groups.setdefault(label, []).append(values[number])
    return [group for group in groups.values() if len(group) > 1]


def _stands_for_one(labels: Mapping[int, Hashable], values: Mapping[int, object]) -> bool:
    """Whether each label that several people have stands for one value, or one label clearly."""
    groups = _groups(labels, values)
    return len(groups) > 1 and (_all_pure(groups) or any(_no_chance(g, values) for g in groups))


def _follow(labels: Mapping[int, Hashable], values: Mapping[int, object]) -> bool:
    """The same, where the labels may be drawn: of so many people that it is no chance."""
    groups = _groups(labels, values)
    follow = _all_pure(groups) and sum(len(group) - 1 for group in groups) >= _TOLD_ENOUGH
    return len(groups) > 1 and (follow or any(_no_chance(group, values) for group in groups))


def _all_pure(groups: list[list]) -> bool:
    return all(len(set(group)) == 1 for group in groups)


def _no_chance(group: list, values: Mapping[int, object]) -> bool:
    """Whether all of a group have one value, and as many drawn people hardly ever would."""
    if len(set(group)) > 1:
        return False
    every = Counter(values.values())
    ways = math.comb(len(values), len(group)) / math.comb(every[group[0]], len(group))
    return ways > len(every) * 2**_BITS
