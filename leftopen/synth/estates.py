"""Two invented housing estates, and the cameras and Wi-Fi sensors that watch their places."""

from dataclasses import dataclass

import numpy as np

ESTATES = ("Plover Court", "Thimble Yard")
"""The two estates; the first has twice the homes of the second."""
KINDS = ("gate", "parking", "stairwell", "lift", "shop", "courtyard")
"""The kinds of place; a place is called by its kind and a number, as Gate 2."""
GATE, PARKING, STAIRWELL, LIFT, SHOP, COURTYARD = range(len(KINDS))

PLACES = np.array([[3, 1, 3, 3, 2, 3], [2, 1, 1, 1, 1, 1]])
"""How many places of each kind an estate has. Each has a camera; Wi-Fi sensors hang outdoors."""
_WIFI = (GATE, PARKING, SHOP, COURTYARD)


@dataclass(frozen=True)
class Sensor:
    """A camera, a Wi-Fi sensor, a smoke detector or a door."""

    id: str
    estate: str
    place: str


def _sensors(word: str, kinds: tuple[int, ...]) -> tuple[Sensor, ...]:
    places = [
        (estate, f"{KINDS[kind].capitalize()} {number}")
        for estate, counts in zip(ESTATES, PLACES, strict=True)
        for kind in kinds
        for number in range(1, counts[kind] + 1)
    ]
    return tuple(Sensor(f"{word}-{n:02}", *place) for n, place in enumerate(places, 1))


CAMERAS = _sensors("cam", tuple(range(len(KINDS))))
WIFI = _sensors("wifi", _WIFI)
SMOKE = _sensors("smoke", (STAIRWELL, LIFT, SHOP))
DOORS = _sensors("door", (GATE, PARKING, STAIRWELL))


def _first(kinds: tuple[int, ...]) -> np.ndarray:
    """Return, for each estate and kind, where its sensors begin in the tuple of them all."""
    counts = np.where(np.isin(np.arange(len(KINDS)), kinds), PLACES, 0)
    return (np.cumsum(counts) - counts.ravel()).reshape(PLACES.shape)


FIRST_CAMERA = _first(tuple(range(len(KINDS))))
"""Where the cameras of each estate and kind begin in `CAMERAS`."""
FIRST_WIFI = _first(_WIFI)
"""Where the sensors of each estate and kind begin in `WIFI`; of no meaning for kinds indoors."""
