"""Exercise 05, values and the share: right when worked out again, each mistake by its name."""

import functools
import itertools
from datetime import timedelta, timezone

import pandas as pd
import pytest
from trace_asked import NAME, tasks, told

from leftopen import trace
from leftopen.cases import exposure
from leftopen.checks import Exercise
from leftopen.checks import why_a_trace_identifies as exercise
from leftopen.checks import why_a_trace_identifies_exposure as exposure_check
from leftopen.checks import why_a_trace_identifies_groups as groups_check
from leftopen.checks import why_a_trace_identifies_share as share_check
from leftopen.checks import why_a_trace_identifies_witness as witness_check
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt
from leftopen.synth import sensenets

# -- 1: two witnesses ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(12))
def test_who_was_at_both_points_is_found_in_the_watchs_own_zone_too(number):
    scene = witness_check.scene(number)
    town = sensenets.sample(scene.seed, people=600, positions=4_800).positions.to_pandas()
    local = town["at"].dt.tz_convert(timezone(timedelta(hours=scene.ahead)))
    clock, found = local.dt.strftime("%H:%M"), []
    for point in (scene.seen(0), scene.seen(1)):
        there = town["tracker"] == point["tracker"]
        rows = town[there & (clock >= point["from"]) & (clock < point["to"])]
        assert (local[rows.index].dt.day == 12).all()
        found.append(set(rows["person"]))
    assert found[0] & found[1] == scene.found["right"]
    assert len(set(scene.found.values())) == len(scene.found)


def test_each_reading_of_two_points_is_told_by_its_name():
    for task in tasks(1)[:4]:
        scene = witness_check.scene((task["seed"] - 501) % 12)
        for name, people in scene.found.items():
            wanted = {"right": RIGHT, "first_point": "one_point", "second_point": "one_point"}
            assert told(1, task, set(people)) == wanted.get(name, name)
            assert told(1, task, {float(each) for each in people}) == wanted.get(name, name)
        for name, people in scene.further.items():
            assert people not in scene.found.values()
            wanted = "whole_hours" if name == "first_hour_alone" else name
            assert told(1, task, set(people)) == (wanted if people else "nobody")
        assert told(1, task, set()) == "nobody"
        assert told(1, task, set(range(1, 601))) == "other_people"


def test_other_people_are_told_by_the_point_at_which_they_were_not():
    task = tasks(1)[0]
    scene = witness_check.scene((task["seed"] - 501) % 12)
    first, second = (scene.found[name] for name in ("first_point", "second_point"))
    only_first = sorted(first - second)[:1]
    at = Attempt(task)
    answer = set(scene.found["right"]) | set(only_first)
    assert exercise.QUESTIONS[1].check(at, answer) == "other_people"
    tracker = task["second"]["tracker"]
    assert at.values["told"] == f"1 in your set was not at tracker {tracker} at that time"
    at = Attempt(task)
    assert exercise.QUESTIONS[1].check(at, set(sorted(scene.found["right"])[1:])) == "other_people"
    assert at.values["told"] == "of those who were at both, your set lacks 1"


def test_a_persons_number_as_text_is_told_as_text():
    with pytest.raises(BadAnswer, match="'196', which is text"):
        told(1, tasks(1)[0], {"196"})


@pytest.mark.parametrize("strange", [0, 601, "Person-0000007", None, 3.5, float("nan"), True])
def test_what_is_no_person_is_refused(strange):
    with pytest.raises(BadAnswer, match="the numbers 1 to 600"):
        told(1, tasks(1)[0], {strange})


# -- 2: a share ------------------------------------------------------------------------------------


def with_matches(positions, known):
    alone = [len(trace.matches(positions, rows)) == 1 for _, rows in known.groupby("person")]
    return sum(alone) / len(alone)


@pytest.mark.parametrize("number", range(0, 12, 4))
def test_the_shares_are_those_of_the_analyses(number):
    for tables in share_check.tables(number):
        assert share_check.share(tables.seen, tables.known) == with_matches(
            tables.seen, tables.known
        )
        merged = tables.known.merge(tables.seen)  # what is known is in the trace
        assert len(merged.drop_duplicates()) == len(tables.known.drop_duplicates())


def changed_share(change, positions, known):
    return change(share_check.share(positions, known))


def test_each_mistake_about_a_share_is_told_by_its_name():
    for task in tasks(2)[:1]:
        assert told(2, task, with_matches) == RIGHT
        for name, mistaken in share_check.MISTAKES.items():
            assert told(2, task, mistaken) == name
        assert told(2, task, lambda positions, known: 0.123) == "arguments_ignored"
        for change, wanted in (
            (lambda share: 0.9 * share, "another_share"),
            (lambda share: round(share, 2), "rounded_too_much"),
            (lambda share: round(share, 3), RIGHT),
        ):
            changed = functools.partial(changed_share, change)
            assert told(2, task, changed) == wanted
        with pytest.raises(BadAnswer, match="Return a number"):
            told(2, task, lambda positions, known: None)


def exchanged(right, known, positions):
    return right(positions, known)


def test_arguments_that_are_exchanged_are_told_whatever_the_function_does_with_them():
    for right in (with_matches, share_check.share):
        assert told(2, tasks(2)[0], functools.partial(exchanged, right)) == "arguments_exchanged"


def test_a_function_that_changes_its_tables_changes_nothing_for_the_next():
    def careless(positions, known):
        share = with_matches(positions, known)
        positions["person"] = 0
        known["at"] = None
        return share

    task = tasks(2)[0]
    assert told(2, task, careless) == told(2, task, careless) == RIGHT


# -- 4: alone in a list ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(0, 12, 4))
def test_the_shares_and_k_are_those_of_linkage(number):
    groups = groups_check.groups(number)
    town = sensenets.sample(groups.seed, people=12_000, positions=31_200)
    seen = town.positions.to_pandas()
    there = seen.loc[seen["place"] == groups.kind, "person"]
    people = town.people.to_pandas()
    people = people[people["_id"].isin(there)].reset_index(drop=True)
    quarter = people["homeAddress"].str.extract(r"Quarter (\d+)")[0].astype(int)
    assert sorted(itertools.chain(*groups.districts.values())) == list(range(1, 19))
    people["district"] = [
        next(name for name, quarters in groups.districts.items() if each in quarters)
        for each in quarter
    ]
    people["born"] = people["birthday"].dt.year
    found = trace.linkage(people, ["district", "born", "sex"])
    for name in groups.districts:
        k = found.k[people["district"] == name]
        assert groups.alone["right"][name] == pytest.approx((k == 1).mean())
    assert groups.k["right"] == found.k[people["_id"] == groups.who].item()


def test_each_mistake_about_groups_is_told_by_its_name():
    for task in tasks(4):
        groups = groups_check.groups((task["seed"] - 1_301) % 12)
        right, k = groups.alone["right"], groups.k["right"]
        assert told(4, task, {n: round(share, 3) for n, share in right.items()}, k) == RIGHT
        for name, alone in groups.alone.items():
            assert told(4, task, alone, k) == (RIGHT if name == "right" else name)
        for name, size in groups.k.items():
            assert told(4, task, right, size) == (RIGHT if name == "right" else name)
        assert told(4, task, right, 5_000) == "another_k"
        assert told(4, task, dict.fromkeys(right, 0.77), k) == "other_shares"
        assert told(4, task, dict.fromkeys(right, 40), k) == "counts_not_shares"
        assert told(4, task, dict.fromkeys(right, 0.0), k) in ("nobody_alone", "whole_register")
        with pytest.raises(BadAnswer, match="has no keys"):
            told(4, task, {}, k)
        with pytest.raises(BadAnswer, match="Its keys are the districts"):
            told(4, task, {"Nowhere": 0.5}, k)
        with pytest.raises(BadAnswer, match="Give a share"):
            told(4, task, dict.fromkeys(right, "half"), k)


# -- 6: what a fix removes -------------------------------------------------------------------------


def weighed(held):
    fields = pd.DataFrame(held.fields.items(), columns=["name", "tier"])
    table = fields["name"].str.split(".").str[0]
    fields["records"] = table.map({"people": held.people, "positions": held.daily * held.kept})
    return exposure.weigh(fields, held.days)["exposure"].sum()


@pytest.mark.parametrize("number", range(24))
def test_the_exposure_is_that_of_the_lesson_and_each_mistake_has_its_name(number):
    numbers = exposure_check.numbers(number)
    before, after = weighed(numbers.before), weighed(numbers.after)
    assert numbers.before.exposure() == pytest.approx(before)
    assert numbers.removed == pytest.approx(1 - after / before)
    assert numbers.before.days == sorted(numbers.opened)[3]
    assert numbers.before.people == numbers.town + numbers.county - numbers.both
    task = next(each for each in tasks(6) if each["number"] == number)
    assert told(6, task, before, numbers.removed) == RIGHT
    for name, value in numbers.mistaken().items():
        wanted = "one_list_alone" if name in ("town_alone", "county_alone") else name
        assert told(6, task, value, numbers.removed) == wanted
    for name, value in numbers.mistaken_share().items():
        assert told(6, task, before, value) == name.split()[0]
    assert told(6, task, before * 1.5, numbers.removed) == "another_exposure"
    assert told(6, task, before, 0.001) == "another_share_removed"
    with pytest.raises(BadAnswer, match="Give a number"):
        told(6, task, float("inf"), 0.5)


def test_whole_numbers_and_numbers_of_numpy_are_taken():
    ex = Exercise(NAME, "somebody")
    numbers = exposure_check.numbers(ex.task(6)["number"])
    verdict = ex.check(6, int(numbers.before.exposure()), pd.Series([numbers.removed])[0])
    assert verdict.kind.name == "RIGHT"
