"""Exercise 05, question 3: each release is judged by what it serves, and by what it tells."""

import functools
import hashlib
import hmac
import random
import secrets
import uuid

import pandas as pd
import polars as pl
import pytest
from trace_asked import tasks, told

from leftopen.checks import why_a_trace_identifies as exercise
from leftopen.checks import why_a_trace_identifies_coarsen as coarsen_check
from leftopen.checks import why_a_trace_identifies_rejoined as rejoined_check
from leftopen.checks import why_a_trace_identifies_release as release_check
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt


def hourly(positions, step="h"):
    return positions.assign(at=positions["at"].dt.floor(step))


def in_log_order(positions, places, step="h"):
    return hourly(positions[positions["place"].isin(places)], step).drop(columns="tracker")


def lean(positions, places, step="h"):
    return in_log_order(positions, places, step).sample(frac=1)


def anew(rows):
    groups = rows.groupby([rows["person"], rows["at"].dt.floor("h")]).ngroup()
    fresh = {number: secrets.token_hex(8) for number in groups.unique()}
    return rows.assign(person=groups.map(fresh))


def drawn_without_replacement(rows, most=None):
    groups = rows.groupby([rows["person"], rows["at"]]).ngroup()
    count = groups.max() + 1
    return rows.assign(
        person=groups.map(dict(enumerate(random.sample(range(most or count), count))))
    )


def named(rows, name, by=("person", "at")):
    """Rows in which each pair of person and hour has one pseudonym that ``name`` makes anew."""
    pairs = list(zip(*(rows[column] for column in by), strict=True))
    fresh = {pair: name(pair[0]) for pair in dict.fromkeys(pairs)}
    return rows.assign(person=[fresh[pair] for pair in pairs])


def lot(size=8):
    return secrets.token_hex(size)


# New in each hour and by lot, each in its own way; none has anything of the number.
BY_LOT = {
    "a word before it": lambda p: f"P-{lot()}",
    "a UUID": lambda p: str(uuid.uuid4()),
    "a UUID, as an object": lambda p: uuid.uuid4(),
    "letters": lambda p: secrets.token_urlsafe(9),
    "short": lambda p: lot(4),
    "whole numbers": lambda p: secrets.randbelow(10**9),
    "numbers of any length": lambda p: secrets.randbits(1 + secrets.randbelow(60)) << 64,
    "fractions": lambda p: random.random(),
    "two lots": lambda p: (lot(2), secrets.randbelow(10**4)),
}
# The number beside a lot, or what stands for it: a part of the pseudonym is the person's.
BESIDE_A_LOT = {
    "at the end": lambda p: f"{lot()}-{p}",
    "at the end, nothing between": lambda p: f"{lot()}{p}",
    "four digits at the end": lambda p: f"{lot()}{p:04d}",
    "behind a number of any length": lambda p: f"{random.getrandbits(30)}{p}",
    "in the middle": lambda p: f"{lot(4)}{p:05d}{lot(4)}",
    "in the middle, of any length": lambda p: f"{lot(4)}{p}{lot(4)}",
    "between two dashes": lambda p: f"{random.getrandbits(30)}-{p}-{random.getrandbits(20)}",
    "between long lots": lambda p: f"{lot(16)}{p:04d}{lot(16)}",
    "in hexadecimal": lambda p: f"{lot()}{p:x}",
    "in binary": lambda p: f"{lot()}{p:b}{lot(2)}",
    "backwards": lambda p: f"{lot()}{p:04d}"[::-1],
    "as letters": lambda p: lot() + "".join("abcdefghij"[int(digit)] for digit in str(p)),
    "as the beginning of its hash": lambda p: lot() + hashlib.md5(b"%d" % p).hexdigest()[:6],
    "its last three digits": lambda p: f"{lot()}{p % 1_000:03d}",
    "in a UUID": lambda p: uuid.UUID(int=secrets.randbits(112) << 16 | p),
    "in a pair": lambda p: (lot(4), p),
    "before the point": lambda p: p + random.random(),
    "lower digits of a number": lambda p: secrets.randbelow(10**6) * 10_000 + p,
    "higher digits of a number": lambda p: p * 10**6 + secrets.randbelow(10**6),
    "a remainder by the people": lambda p: secrets.randbelow(10**6) * 1_500 + p,
    "lower bits of a number": lambda p: secrets.randbelow(10**6) << 11 | p,
}


def exchanged_by_lot(rows):
    """Rows in which the people of each hour have exchanged their numbers."""
    rows = rows.drop_duplicates()

    def exchanged(people):
        each = people.unique().tolist()
        return people.map(dict(zip(each, random.sample(each, len(each)), strict=True)))

    return rows.assign(person=rows.groupby("at")["person"].transform(exchanged))


def renamed(rows, name):
    """Rows with pseudonyms that ``name`` makes of a number and an hour."""
    return rows.assign(
        person=[name(p, at.hour) for p, at in zip(rows["person"], rows["at"], strict=True)]
    )


# What anybody who has the code makes again: pseudonyms of a number and an hour.
BY_RULE = {
    "a hash": lambda p, h: hashlib.md5(f"{p}-{h}".encode()).hexdigest(),
    "with a key": lambda p, h: hmac.new(b"key", f"{p}-{h}".encode(), "sha256").hexdigest(),
    "a product": lambda p, h: p * (h + 101),
    "a remainder": lambda p, h: (p * 7_919 + h * 104_729) % 1_000_003,
    "remembered": functools.cache(lambda p, h: secrets.token_hex(8)),
}


def by_minutes(positions, minutes):
    return positions.assign(at=positions["at"] + pd.to_timedelta(minutes, unit="min"))


def releases(places, earlier):
    def people(positions):
        return lean(positions, places).groupby(["place", "at"], observed=True)["person"]

    def with_fresh_key(positions):
        key = secrets.token_bytes()
        return renamed(
            lean(positions, places),
            lambda p, h: hmac.new(key, f"{p}-{h}".encode(), "sha256").hexdigest(),
        )

    def added_by_the_hour(positions):
        rows = lean(positions, places).drop_duplicates().sample(frac=1)
        added = {hour: secrets.randbelow(10**9) for hour in rows["at"].unique()}
        return rows.assign(person=rows["person"] + rows["at"].map(added))

    def with_homes(positions):
        first = positions.drop_duplicates(["person", "place"]).set_index("person")
        rows = anew(hourly(positions).assign(old=positions["person"]))
        for name in ("home street", "workplace"):
            trackers = first.loc[first["place"] == name, "tracker"]
            rows[name] = rows["old"].map(trackers)
        return rows.drop(columns="old")

    def with_a_list(positions):
        rows = hourly(positions).groupby(["place", "at"], observed=True)["person"]
        listed = rows.agg(people="nunique", who=lambda people: list(set(people)))
        return listed.reset_index()

    def joined(name, how):
        return lambda p: (rows := lean(p, places)).assign(**{name: how(rows)})

    return {
        "right": [
            lambda p: lean(p, places),
            lambda p: lean(p, places).sample(frac=1, random_state=3).drop_duplicates(),
            lambda p: anew(lean(p, places)).sort_values("at", kind="stable"),
            lambda p: people(p).nunique().rename("people").reset_index(),
            lambda p: pl.from_pandas(lean(p, places)).lazy(),
            joined("at", lambda rows: rows["at"].dt.strftime("%Y-%m-%d %H:%M")),
            joined("at", lambda rows: rows["at"].dt.tz_convert("Asia/Shanghai")),
            joined("at", lambda rows: rows["at"].dt.tz_localize(None)),
            lambda p: people(p).nunique().rename("people").reset_index().query("people > 2"),
            lambda p: lean(p, places).set_index("person", drop=False),  # no index is published
            with_fresh_key,
            lambda p: exchanged_by_lot(lean(p, places)),
            joined("person", lambda rows: [[each] for each in rows["person"]]),
            lambda p: (rows := lean(p, places).drop_duplicates()).assign(person=range(len(rows))),
            lambda p: anew(lean(p, places)).sample(frac=1),
            lambda p: anew(lean(p, places)).sort_values("person"),
            lambda p: anew(lean(p, places)).sort_values("place"),
            lambda p: anew(lean(p, places)).sort_values(["place", "at"], ascending=False),
            lambda p: anew(lean(p, places)).sort_values(["at", "place"]),
            lambda p: anew(lean(p, places)).sort_values(["at", "place", "person"]),
            lambda p: anew(lean(p, places).drop_duplicates()).sort_values(["at", "place"]),
            lambda p: lean(p, places).drop_duplicates().sort_values(["at", "place"]).assign(
                person=lambda rows: rows.groupby(["place", "at"], observed=True).cumcount()
            ),
            lambda p: lean(p, places).sort_values("at", kind="stable"),
            lambda p: in_log_order(p, places).sort_values(["person", "at"]),
            lambda p: pl.from_pandas(in_log_order(p, places)).unique(),
            lambda p: drawn_without_replacement(lean(p, places)),
            lambda p: drawn_without_replacement(lean(p, places), 10**6),
            lambda p: named(lean(p, places), BY_LOT["a UUID, as an object"]),
            lambda p: named(lean(p, places), BY_LOT["numbers of any length"]),
            lambda p: named(lean(p, places), BY_LOT["letters"], ["person", "at", "place"]),
        ],
        "pseudonyms_only": [lambda p: p, lambda p: p.assign(person=p["person"] * 7 % 1_511)],
        "time_exact": [lambda p: p.drop(columns="tracker")],
        "tracker_betrays": [hourly, lambda p: anew(hourly(p))],
        "places_not_asked_for": [lambda p: hourly(p).drop(columns="tracker")],
        "still_picked_out": [lambda p: lean(p, places, "15min")],
        "times_moved": [
            lambda p: by_minutes(p, 17),
            lambda p: by_minutes(p, p["person"] % 90),
            lambda p: by_minutes(p, (p.index * 37) % 200 - 100),
        ],
        "too_coarse": [lambda p: lean(p, places, "2h"), lambda p: lean(p, places, "D")],
        "other_hours": [lambda p: lean(p.assign(at=p["at"].dt.round("h")), places)],
        "nothing_left": [lambda p: p.iloc[:0], lambda p: p[~p["place"].isin(places)]],
        "too_much_deleted": [lambda p: lean(p, places)[::2]],
        "counted_twice": [
            joined("person", lambda rows: range(len(rows))),
            lambda p: people(p).size().rename("people").reset_index(),
        ],
        "number_left": [
            joined("person", lambda r: r["person"] * 100 + r["at"].dt.hour),
            joined("person", lambda r: r["at"].dt.strftime("%H-") + r["person"].astype(str)),
            joined("person", lambda r: r["at"].dt.strftime("%H") + r["person"].astype(str)),
            joined("person", lambda r: "p" + r["person"].astype(str) + r["at"].dt.strftime("h%H")),
            lambda p: renamed(lean(p, places), lambda who, h: f"{h}{who:04d}"[::-1]),
            added_by_the_hour,
            lambda p: added_by_the_hour(p).assign(person=lambda rows: rows["person"].astype(str)),
            lambda p: anew(lean(p, places)).assign(
                at=lean(p, places)["at"] + pd.to_timedelta(lean(p, places)["person"], unit="ms")
            ),
            *(lambda p, name=name: named(lean(p, places), name) for name in BESIDE_A_LOT.values()),
            lambda p: named(
                lean(p, places), BESIDE_A_LOT["at the end"], ["person", "at", "place"]
            ),
            lambda p: named(
                hourly(p[p["place"].isin(places)]).sample(frac=1), BESIDE_A_LOT["at the end"]
            ),
        ],
        "more_columns": [
            lambda p: anew(lean(p, places)).assign(old=lean(p, places)["person"]).drop_duplicates(
                ["person", "place"]
            ).drop(columns="person").assign(people=1),
            with_homes,
            with_a_list,
        ],
        "computed_from_the_number": [
            lambda p, name=name: renamed(lean(p, places), name) for name in BY_RULE.values()
        ],
        "same_again": [
            joined("person", lambda r: r.groupby(["at", "person"]).ngroup().map(
                dict(enumerate(random.Random(7).sample(range(10**9), len(r))))
            )),
        ],
        "same_for_each_town": [lambda _: people(earlier).nunique().rename("people").reset_index()],
        "order_tells": [
            joined("person", lambda r: r.groupby(["person", "at"]).ngroup()),
            lambda p: anew(lean(p, places).sort_values(["person", "at"])),
            lambda p: anew(in_log_order(p, places).sort_values(["place", "person"])),
        ],
        "order_of_the_log": [
            lambda p: in_log_order(p, places),
            lambda p: in_log_order(p, places).iloc[::-1],
            lambda p: in_log_order(p, places).drop_duplicates(),
            lambda p: in_log_order(p, places).sort_values("at", kind="stable"),
            lambda p: pl.from_pandas(in_log_order(p, places)).unique(maintain_order=True),
            lambda p: anew(in_log_order(p, places)),
            lambda p: anew(in_log_order(p, places)).sort_values("at", kind="stable"),
            lambda p: anew(in_log_order(p, places).drop_duplicates()),
            lambda p: in_log_order(p, places).drop_duplicates().assign(
                person=lambda rows: range(len(rows))
            ).sample(frac=1),
        ],
        "order_again": [
            lambda p: anew(in_log_order(p, places).query("person % 50 != 7")),
            lambda p: anew(in_log_order(p, places).sort_values(["person", "at"])).sample(
                frac=1, random_state=1
            ),
            lambda p: anew(in_log_order(p, places)).sample(frac=1, random_state=1),
            lambda p: anew(in_log_order(p, places).sort_values(["at", "person"])),
            lambda p: anew(in_log_order(p, places).sort_values(["at", "place", "person"])),
            lambda p: anew(in_log_order(p, places)).sort_values(["at", "place"]),
        ],
    }  # fmt: skip


@pytest.mark.parametrize("which", [3])
def test_each_release_is_judged_by_what_it_tells_and_serves(which):
    task = tasks(3)[which]
    earlier = release_check.town(task["seed"], tuple(task["places"])).seen
    for wanted, functions in releases(task["places"], earlier).items():
        for place, coarsen in enumerate(functions):
            assert told(3, task, coarsen) == wanted, (wanted, place)


@pytest.mark.parametrize("task", tasks(3), ids=lambda task: str(task["seed"]))
def test_the_plain_release_is_right_for_every_learner_whatever_the_order_of_its_rows(task):
    found = []
    for seed in (1, 2):

        def shuffled(positions, seed=seed):
            return lean(positions, task["places"]).sample(frac=1, random_state=seed)

        at = Attempt(task)
        assert exercise.QUESTIONS[3].check(at, shuffled) == RIGHT
        found.append(at.tried)
    assert found[0] == found[1]


def test_what_is_no_table_or_lacks_a_column_is_refused():
    task = tasks(3)[0]
    with pytest.raises(BadAnswer, match="Return a frame"):
        told(3, task, lambda positions: None)
    with pytest.raises(BadAnswer, match="no column at"):
        told(3, task, lambda positions: positions.drop(columns="at"))
    with pytest.raises(BadAnswer, match="no column person"):
        told(3, task, lambda positions: positions[["at", "place"]])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda at: at.dt.hour, "begins with .*, which is no time"),
        (lambda at: at.dt.time, "begins with .*, which is no time"),
        (lambda at: "in the morning", "begins with in the morning, which is no time"),
        (lambda at: at.dt.strftime("%H:%M"), "not a time of the day"),
        (lambda at: at - pd.Timedelta(days=3), "not a time of the day"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_no_time_of_that_day_is_refused(how, message):
    with pytest.raises(BadAnswer, match=message):
        told(3, tasks(3)[0], lambda positions: positions.assign(at=how(positions["at"])))


def test_differences_of_counts_are_added_whatever_their_sign():
    true = pd.Series({("station", 7): 6, ("station", 8): 4})
    given = pd.Series({("station", 7): 5, ("station", 9): 1})
    assert release_check.off(given, true) == pytest.approx((1 + 4 + 1) / 10)


@pytest.mark.parametrize("number", range(8))
def test_numbers_exchanged_by_lot_stay_far_below_what_may_be_picked_out(number):
    each = coarsen_check.asked(number)
    allowed = each.most / 100
    for seed in (each.seed, each.seed + 300):
        of = release_check.town(seed, each.places)
        exchanged = exchanged_by_lot(lean(of.seen, each.places))
        assert release_check.picked_out(exchanged, of.able)[0] < allowed - 0.01
        raw = hourly(of.seen, "15min").drop(columns="tracker")
        assert release_check.picked_out(raw, of.able)[0] > allowed + 0.1


@pytest.mark.parametrize("name", BY_LOT)
def test_no_part_of_a_lot_comes_near_to_what_a_number_brings_back(name):
    of = release_check.town(1_108, ("workplace", "station"))
    rows = named(lean(of.seen, of.places), BY_LOT[name])
    rows[release_check.HOUR] = release_check.hour(rows["at"])
    points = release_check.bits(rows, of.places)
    found = [rejoined_check.come_back(x, points, of) for x in rejoined_check.parts(rows["person"])]
    assert max(found) < 0.4
