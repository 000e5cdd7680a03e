"""Exercise 05, the questions whose answer is a table: what it tells, and what it still serves."""

import functools
import hashlib
import hmac
import random
import secrets

import pandas as pd
import polars as pl
import pytest
from trace_asked import tasks, told

from leftopen.checks import why_a_trace_identifies as exercise
from leftopen.checks import why_a_trace_identifies_clinic as clinic_check
from leftopen.checks import why_a_trace_identifies_coarsen as coarsen_check
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt
from leftopen.synth import clinic
from leftopen.synth.clinic import REASONS

# -- 3: a release ----------------------------------------------------------------------------------


def hourly(positions, step="h"):
    return positions.assign(at=positions["at"].dt.floor(step))


def lean(positions, places, step="h"):
    return hourly(positions[positions["place"].isin(places)], step).drop(columns="tracker")


def anew(rows):
    groups = rows.groupby([rows["person"], rows["at"].dt.floor("h")]).ngroup()
    fresh = {number: secrets.token_hex(8) for number in groups.unique()}
    return rows.assign(person=groups.map(fresh))


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
    "backwards": lambda p, h: f"{h}{p:04d}"[::-1],
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

    def exchanged_by_lot(positions):
        rows = lean(positions, places).drop_duplicates()

        def exchanged(people):
            each = people.unique().tolist()
            return people.map(dict(zip(each, random.sample(each, len(each)), strict=True)))

        return rows.assign(person=rows.groupby("at")["person"].transform(exchanged))

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
        return lambda p: lean(p, places).assign(**{name: how(lean(p, places))})

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
            exchanged_by_lot,
            joined("person", lambda rows: [[each] for each in rows["person"]]),
            lambda p: (rows := lean(p, places).drop_duplicates()).assign(person=range(len(rows))),
            lambda p: anew(lean(p, places)).sample(frac=1),
            lambda p: anew(lean(p, places)).sort_values("person"),
            lambda p: anew(lean(p, places)).sort_values("place"),
            lambda p: anew(lean(p, places)).sort_values(["place", "at"], ascending=False),
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
            added_by_the_hour,
            lambda p: added_by_the_hour(p).assign(person=lambda rows: rows["person"].astype(str)),
            lambda p: anew(lean(p, places)).assign(
                at=lean(p, places)["at"] + pd.to_timedelta(lean(p, places)["person"], unit="ms")
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
        ],
        "order_again": [
            lambda p: anew(lean(p, places).sort_values(["person", "at"])).sample(
                frac=1, random_state=1
            ),
            lambda p: anew(lean(p, places)).sample(frac=1, random_state=1),
            lambda p: anew(lean(p, places).sort_values(["at", "person"])),
            lambda p: anew(lean(p, places).sort_values(["place", "person"])),
        ],
    }  # fmt: skip


@pytest.mark.parametrize("which", [3])
def test_each_release_is_judged_by_what_it_tells_and_serves(which):
    task = tasks(3)[which]
    earlier = coarsen_check.town(task["seed"], tuple(task["places"])).seen
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
    assert coarsen_check.off(given, true) == pytest.approx((1 + 4 + 1) / 10)


# -- 5: a clinic's list ----------------------------------------------------------------------------


def test_a_clinics_list_is_the_same_each_time_and_has_one_group_with_one_reason():
    for seed in range(20):
        patients = clinic.patients(seed)
        pd.testing.assert_frame_equal(patients, clinic.patients(seed))
        assert list(patients) == ["quarter", "born", "sex", "reason"]
        assert len(patients) == clinic.PEOPLE
        assert set(patients["reason"]) == set(REASONS)
        assert patients["quarter"].between(1, 18).all()
        decade = patients["born"] // 10 * 10
        groups = patients.groupby(["sex", decade])["reason"].agg(["size", "nunique"])
        large = groups[groups["size"] >= 20]
        assert (large["nunique"] == 1).sum() == 1
        assert (patients["born"] < 1920).mean() < 0.03


def stepped(patients, years):
    return patients.assign(born=patients["born"] // years * years)[["sex", "born", "reason"]]


def safe(made, k, reasons):
    groups = made.groupby([name for name in made if name != "reason"])["reason"]
    return made[(groups.transform("size") >= k) & (groups.transform("nunique") >= reasons)]


def lists(task):
    k, least, years = task["k"], task["reasons"], task["years"]

    def good(patients):
        return safe(stepped(patients, years), k, least)

    def interval(patients):
        edges = range(1900, 2011, years)
        cut = pd.cut(patients["born"], list(edges), right=False)
        return good(patients).assign(born=cut[good(patients).index])

    def filled(patients):
        made = stepped(patients, years)
        more = [made[["sex", "born"]].drop_duplicates().assign(reason=r) for r in REASONS]
        return pd.concat([made, *more, *more])

    return {
        "right": [
            good,
            interval,
            lambda p: good(p).assign(born=lambda made: made["born"].astype(str) + "s"),
            lambda p: good(p).assign(quarter="any").iloc[::-1],
            lambda p: pl.from_pandas(good(p)),
            lambda p: good(p).set_index("sex").reset_index(),
            lambda p: good(p).set_axis(p.loc[good(p).index, "quarter"]),  # no index is published
            lambda p: good(p).assign(born="from " + good(p)["born"].astype(str)),
            lambda p: good(p).astype({"sex": "category", "born": float}),
        ],
        "one_reason_in_a_group": [lambda p: safe(stepped(p, years), k, 1)],
        "small_groups_left": [lambda p: stepped(p, years)],
        "column_left": [lambda p: p, lambda p: p.assign(born=stepped(p, years)["born"])],
        "years_too_exact": [lambda p: p.drop(columns="quarter")],
        "too_much_left_out": [
            lambda p: safe(p.assign(born=stepped(p, years)["born"]), k, least),
            lambda p: good(p)[: len(p) // 2],
        ],
        "column_dropped": [
            lambda p: good(p).drop(columns="sex"),
            lambda p: good(p).assign(born="*"),
        ],
        "steps_too_wide": [lambda p: safe(stepped(p, 4 * years), k, least)],
        "steps_elsewhere": [
            lambda p: safe(stepped(p.assign(born=p["born"] + years // 2), years), k, least)
        ],
        "reasons_changed": [
            lambda p: good(p).assign(reason=good(p)["reason"].to_numpy()[::-1]),
            lambda p: safe(stepped(p, years), k, 1).replace({"reason": {"skin": "other"}}),
        ],
        "rows_invented": [filled, lambda p: pd.concat([good(p), good(p).iloc[:5]])],
        "same_for_each_list": [lambda _: good(clinic.patients(task["seed"]))],
        "counts_given": [lambda p: good(p).value_counts().reset_index()],
        "sex_changed": [
            lambda p: good(p).assign(sex=good(p)["sex"].str[0]),
            lambda p: good(p).assign(sex=(good(p)["sex"] == "male").astype(int)),
            lambda p: good(p).replace({"sex": {"male": "female", "female": "male"}}),
        ],
        "ends_gathered": [
            lambda p: safe(stepped(p.assign(born=p["born"].clip(1940)), years), k, least),
            lambda p: safe(stepped(p.assign(born=p["born"].clip(1940, 2000)), years), k, least),
        ],
        "not_the_first_year": [
            lambda p: good(p).assign(born=good(p)["born"] + 2),
            lambda p: good(p).assign(born=good(p)["born"] + years - 1),
        ],
        "nothing_published": [lambda p: p.iloc[:0]],
    }


@pytest.mark.parametrize("which", [4])
def test_each_list_is_judged_by_what_it_tells_and_serves(which):
    task = tasks(5)[which]
    for wanted, functions in lists(task).items():
        for place, publish in enumerate(functions):
            assert told(5, task, publish) == wanted, (wanted, place)


def test_one_changed_reason_is_seen_where_it_makes_the_group_safe():
    task = tasks(5)[0]

    def mended(patients):
        made = safe(stepped(patients, task["years"]), task["k"], 1)
        alone = made.groupby(["sex", "born"])["reason"].transform("nunique") < task["reasons"]
        made.loc[made[alone].index[: task["reasons"]], "reason"] = list(REASONS)[: task["reasons"]]
        return made

    assert told(5, task, mended) == "reasons_changed"


def test_a_list_without_reasons_is_refused():
    with pytest.raises(BadAnswer, match="no column reason"):
        told(5, tasks(5)[0], lambda patients: patients[["sex", "born"]])
    with pytest.raises(BadAnswer, match="reset_index"):
        told(5, tasks(5)[0], lambda patients: patients.set_index(["sex", "born"]))


def test_years_within_a_step_may_be_told_apart_where_enough_people_are_left():
    made = clinic.patients(1)
    assert not clinic_check._later(made, made, 10)
    assert not clinic_check._later(stepped(made, 5), made, 10)
    assert clinic_check._later(
        stepped(made, 5).assign(born=lambda rows: rows["born"] + 1), made, 10
    )


def test_every_learners_purpose_can_be_served():
    for number in range(12):
        each = clinic_check.asked(number)
        for seed in (each.seed, each.seed + 77):
            patients = clinic.patients(seed)
            kept = safe(stepped(patients, each.years), each.k, each.reasons)
            assert 1 - len(kept) / len(patients) <= each.lost / 100
