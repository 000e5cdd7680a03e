"""Exercise 05, question 5: a clinic's list, what it tells of a group, and what it still serves."""

import pandas as pd
import polars as pl
import pytest
from trace_asked import tasks, told

from leftopen.checks import why_a_trace_identifies_clinic as clinic_check
from leftopen.checks.probe import BadAnswer
from leftopen.synth import clinic
from leftopen.synth.clinic import REASONS


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
