"""Whole numbers that somebody asks for: refused in one sentence where they cannot be had."""

import operator

from leftopen.errors import DataError


def whole(name: str, value: int, lowest: int, highest: int) -> int:
    """Return `value` as an int; `name` says what there should be so many of.

    Raises DataError when it is no whole number from `lowest` to `highest`.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = lowest - 1
    if not lowest <= number <= highest:
        raise DataError(
            f"{value} {name} cannot be had: choose a whole number from {lowest} to {highest}."
        )
    return number
