"""What cameras, Wi-Fi sensors and alarms write down on one day of the smart city.

Each person has a plan: leave home, perhaps stop at a shop or a courtyard, come back, perhaps go out
once more in the evening. On most days nothing of it is written down; on the days on which a person
is seen, several moments of it are, by a camera, by a Wi-Fi sensor or by both. Nothing here looks at
a face: all that is said about one is noise.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from leftopen.synth import estates
from leftopen.synth.draws import Ints, Stream, Words, below, words
from leftopen.synth.register import INSIDE, OTHER_WAY, SHOP, VISITORS, WAY, YARD, Register, instant

FIRST_DAY = datetime(2019, 2, 1, tzinfo=UTC)
"""Day 0. It was a Friday. The estates keep UTC."""

_MINUTE, _HOUR = 60, 3600
_MOMENTS = 6
_OUT, _LEFT, _MIDDAY, _BACK, _IN, _EVENING = range(_MOMENTS)
_FACE_PERCENT = (42, 52, 40, 52, 42, 36)
_PHONE_PERCENT = (26, 62, 40, 62, 26, 40)
_MATCHED_PERCENT, _VISITOR_PERCENT, _OTHER_WAY_PERCENT = 67, 14, 16
_LAST_SECOND = 24 * _HOUR - 1
_HEAD, _EACH = 3, 6  # words drawn for a person's day, and for each of its moments

# Of 256, how often each is said of a face.
_ATTRIBUTES = {
    "eyesOpen": 240,
    "mouthOpen": 56,
    "mask": 30,
    "sunglasses": 24,
    "smile": 80,
    "beard": 40,
}

_ALARMS = (
    ("smoke alarm", estates.SMOKE, ("test by the caretaker", "battery low", "steam, no fire")),
    (
        "access fault",
        estates.DOORS,
        ("door stood open for 5 minutes", "card reader does not answer", "card refused 3 times"),
    ),
    (
        "equipment failure",
        estates.CAMERAS + estates.WIFI,
        ("no signal for 10 minutes", "restarted by itself", "clock is wrong by 2 minutes"),
    ),
)


def day_events(register: Register, day: int) -> list[tuple[str, dict]]:
    """Return the events of one day in order of time, each as (kind of index, document).

    An ``_id`` is the day, and the number of the event among those of its kind on that day.
    """
    events = [
        *_seen(register, day),
        *(("alarms", document) for document in _alarms(register.seed, day)),
    ]
    events.sort(key=lambda event: (event[1]["at"], event[0]))
    date, numbers, made = f"{FIRST_DAY + timedelta(days=day):%Y%m%d}", Counter(), []
    for kind, document in events:
        numbers[kind] += 1
        made.append((kind, {"_id": f"{date}-{numbers[kind]:04}"} | document))
    return made


def _seen(register: Register, day: int) -> Iterator[tuple[str, dict]]:
    people, width = len(register.seen), _HEAD + _EACH * _MOMENTS
    drawn = words(register.seed, Stream.DAY, day, people * width).reshape(people, width).T
    head, each = drawn[:_HEAD], drawn[_HEAD:].reshape(_MOMENTS, _EACH, people)
    plan = _plan(register, head, each[:, 1], weekend=(day + 4) % 7 >= 5)
    out = below(head[0], 1000) < register.seen
    for moment in range(_MOMENTS):
        chance, _, match, stop, noise, other = each[moment]
        when, here = plan[moment], out & (plan[moment] >= 0)
        place, note = _place(moment, stop)
        matched = below(match, 100) < _MATCHED_PERCENT
        for n in np.flatnonzero(here & (below(chance, 100) < _FACE_PERCENT[moment])):
            yield (
                "faces",
                {
                    "at": _instant(day, when[n]),
                    **_where("camera", estates.CAMERAS[register.cameras[place[n], n]]),
                    "note": note[n],
                    **_who(register, n if matched[n] else None),
                    **_attributes(int(noise[n])),
                    **_hit(register.reason[n] if matched[n] else None),
                },
            )
        visits = below(match, 100, low=True) < _VISITOR_PERCENT
        visitor = people + below(other, VISITORS, low=True)
        later = when + below(other, _MINUTE)  # the phone answers within a minute
        for n in np.flatnonzero(here & (below(chance, 100, low=True) < _PHONE_PERCENT[moment])):
            yield (
                "devices",
                {
                    "at": _instant(day, later[n]),
                    **_where("sensor", estates.WIFI[register.wifi[place[n], n]]),
                    **register.phones[visitor[n] if visits[n] else n],
                },
            )


def _plan(register: Register, head: Words, drawn: Words, *, weekend: bool) -> Ints:
    """Return when each person comes to each moment, in seconds; -1 for a moment left out."""
    leave = register.leaves + below(head[1], 40 * _MINUTE) - 20 * _MINUTE
    away = register.away + below(head[1], 60 * _MINUTE, low=True) - 30 * _MINUTE
    near = register.works == 0
    if weekend:
        leave = 9 * _HOUR + below(head[2], 5 * _HOUR)
        away = _HOUR + below(head[2], 7 * _HOUR, low=True)
        near = np.ones_like(near)
    back = leave + away
    walk = 1 * _MINUTE + below(drawn, 3 * _MINUTE)
    plan = np.empty((_MOMENTS, len(leave)), dtype=np.int64)
    plan[_OUT] = leave
    plan[_LEFT] = leave + walk[_LEFT]
    plan[_MIDDAY] = np.where(near, leave + 10 * _MINUTE + below(drawn[_MIDDAY], away // 2), -1)
    plan[_BACK] = back
    plan[_IN] = back + walk[_IN]
    plan[_EVENING] = back + 20 * _MINUTE + below(drawn[_EVENING], 90 * _MINUTE)
    return np.where(plan > _LAST_SECOND - _MINUTE, -1, plan)


def _place(moment: int, drawn: Words) -> tuple[Ints, list[str]]:
    """Return at which of their places people are at a moment, and what is noted there."""
    lot = below(drawn, 100)
    if moment in (_MIDDAY, _EVENING):
        minutes = 2 + below(drawn, 25, low=True)
        return np.where(lot < 60, SHOP, YARD), [f"stayed {n} minutes" for n in minutes]
    note = ["on the way out" if moment in (_OUT, _LEFT) else "on the way in"] * len(lot)
    if moment in (_OUT, _IN):
        return np.full_like(lot, INSIDE), note
    return np.where(lot < _OTHER_WAY_PERCENT, OTHER_WAY, WAY), note


def _where(kind: str, sensor: estates.Sensor) -> dict:
    return {kind: sensor.id, "estate": sensor.estate, "place": sensor.place}


def _who(register: Register, n: int | None) -> dict:
    """Return what the system says of whom it took a face for; nothing of a face that it missed."""
    if n is None:
        return dict.fromkeys(("resident", "name", "idNumber", "group"))
    who = register.residents[n]
    return {
        "resident": who["_id"],
        "name": who["name"],
        "idNumber": who["idNumber"],
        "group": register.group[n],
    }


def _attributes(noise: int) -> dict:
    """Return what is said of a face: noise, one byte of the word for each attribute."""
    *flags, age, score = noise.to_bytes(8, "big")
    told = zip(_ATTRIBUTES.items(), flags, strict=True)
    return {
        "ageEstimate": 18 + (age * 63 >> 8),
        **{name: byte < often for (name, often), byte in told},
        "attractive": score * 101 >> 8,
    }


def _hit(reason: str | None) -> dict:
    return {"watchlistHit": reason is not None, "reason": reason}


def _alarms(seed: int, day: int) -> Iterator[dict]:
    count, *drawn = words(seed, Stream.ALARM, day, 1 + 5 * 2).tolist()
    for number in range(2 + (count * 4 >> 64)):
        lot, second = drawn[2 * number : 2 * number + 2]
        kind, sensors, notes = _ALARMS[(lot & 0xFFFF) % 3]
        sensor = sensors[(lot >> 16 & 0xFFFF) % len(sensors)]
        yield {
            "at": _instant(day, second * 24 * _HOUR >> 64),
            **_where("sensor", sensor),
            "kind": kind,
            "note": notes[(lot >> 32) % len(notes)],
        }


def _instant(day: int, second: int) -> str:
    return instant(FIRST_DAY + timedelta(days=day, seconds=int(second)))
