"""An invented clinic's list: quarter, year of birth, sex, and why somebody came.

The people are those of an invented town. Three things are planted: in each list the people of one
sex and one decade all came for the same reason, a few are very old, and nobody has a name.
"""

import zlib

import numpy as np
import pandas as pd

from leftopen.synth import sensenets
from leftopen.synth.asked import whole

REASONS = ("eyes", "heart", "lungs", "skin", "teeth")
PEOPLE = 1_200
_FIRST, _DECADES = 1940, 5
_OLD = 150  # one person of so many is very old


def patients(seed: int) -> pd.DataFrame:
    """The list of one clinic: the same seed gives the same rows.

    Args:
        seed: another one gives another clinic, from 0.

    Returns:
        A row for each of ``PEOPLE`` people: ``quarter`` (1 to 18), ``born`` (a year), ``sex``,
        ``reason``.

    Raises:
        DataError: the seed is not a whole number from 0.
    """
    seed = whole("as a seed", seed, 0, 2**32)
    town = sensenets.sample(seed, people=PEOPLE, positions=0)
    people = town.people.select(["_id", "homeAddress", "birthday", "sex"]).to_pandas()
    drawn = np.array([zlib.crc32(f"{seed} {number}".encode()) for number in people["_id"]])
    born = people["birthday"].dt.year.to_numpy()
    born = np.where(drawn // 8 % _OLD == 0, 1900 + drawn // 4_096 % 20, born)
    sex = people["sex"].astype(str)
    decade = _FIRST + 10 * (seed % _DECADES)
    alike = (born // 10 * 10 == decade) & (sex == sorted(set(sex))[seed % 2]).to_numpy()
    reason = np.array(REASONS)[drawn // 64 % len(REASONS)]
    return pd.DataFrame({
        "quarter": people["homeAddress"].str[-4:].astype(int),
        "born": born.astype(int),
        "sex": sex,
        "reason": np.where(alike, REASONS[seed % len(REASONS)], reason),
    })  # fmt: skip
