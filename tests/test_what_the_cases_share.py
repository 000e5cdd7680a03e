"""Exercise 04: answers that are nobody's near miss, right ones of other kinds and wrong ones."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from cases_asked import NAME, exercise_of_someone, found, task_of

from leftopen import cvss, incidents
from leftopen.checks import (
    what_the_cases_share_causes,
    what_the_cases_share_claims,
    what_the_cases_share_defaults,
    what_the_cases_share_score,
)
from leftopen.checks.question import RIGHT
from leftopen.checks.verdict import Kind


@pytest.fixture
def ex(tmp_path, monkeypatch):
    return exercise_of_someone(tmp_path, monkeypatch)


# -- question 1 ---------------------------------------------------------------------------------

gaps = what_the_cases_share_defaults


def test_the_gap_of_elasticsearch_and_of_those_without_one():
    table = incidents.defaults()
    # 2015-10-28 to 2022-02-10, counted with a calendar: six years with two leap days, and 105 days.
    assert gaps.right(table, "Elasticsearch") == 6 * 365 + 2 + 105
    assert [gaps.right(table, name) for name in ("MongoDB", "Redis", "CouchDB")] == [None] * 3


@pytest.mark.parametrize("number", range(24))
def test_each_trial_of_a_set_tries_something(number):
    engines = gaps.engines(number)
    table = gaps.table(engines)
    days = {engine.trial: gaps.right(table, engine.name) for engine in engines}
    months = {"month of network", "month of login"}
    assert {"plain", "possible", "partly", "again", "before", "none"} | months == set(days)
    assert days["before"] < 0 < min(days[name] for name in ("plain", "partly", "again", *months))
    assert days["none"] is None
    assert len({engine.name for engine in engines}) == len(engines)


@pytest.mark.parametrize("kind", [float, np.int64, np.float64, int])
def test_a_whole_number_of_another_type_is_right(ex, kind):
    def gap(table, engine):
        days = gaps.right(table, engine)
        return None if days is None else kind(days)

    assert found(ex, 1, gap) == RIGHT


@pytest.mark.parametrize("nothing", [float("nan"), pd.NaT, pd.NA, np.nan])
def test_what_is_missing_for_pandas_is_not_none(ex, nothing):
    def gap(table, engine):
        days = gaps.right(table, engine)
        return nothing if days is None else days

    assert found(ex, 1, gap) == "nothing_is_none"


def test_a_function_that_spoils_the_table_spoils_its_own_only(ex):
    def gap(table, engine):
        days = gaps.right(table, engine)
        table["since"] = "1999"
        return days

    assert found(ex, 1, gap) == RIGHT


def test_one_format_for_all_dates_is_the_cells_error_and_not_a_missing_default(ex):
    def gap(table, engine):
        table["since"] = pd.to_datetime(table["since"])
        return gaps.right(table, engine)

    verdict = ex.check(1, gap)
    assert verdict.kind is Kind.ERROR
    assert "ValueError" in verdict.text


@pytest.mark.parametrize("answer", ["2297", [2297], pd.Timedelta("2297D"), True])
def test_an_answer_of_another_kind_is_the_cells_error(ex, answer):
    verdict = ex.check(1, lambda table, engine: answer)
    assert verdict.kind is Kind.ERROR
    assert "int or None" in verdict.text


@pytest.mark.parametrize("days", [0, 1, -1, None, 2297])
def test_one_number_for_all_is_wrong(ex, days):
    assert found(ex, 1, lambda table, engine: days) != RIGHT


def test_years_with_a_fraction_are_years(ex):
    def gap(table, engine):
        days = gaps.right(table, engine)
        return None if days is None else days / 365.25

    assert found(ex, 1, gap) == "in_years"


@pytest.mark.parametrize("day", ["02", "15", "28"])
def test_a_month_counts_from_its_first_day(ex, day):
    def gap(table, engine):
        since = table["since"].map(lambda text: f"{text}-{day}"[:10], na_action="ignore")
        return gaps.right(table.assign(since=since), engine)

    assert found(ex, 1, gap) == "another_day_of_the_month"


@pytest.mark.parametrize("broken", [
    lambda table, engine: tabel, lambda table: 3, lambda table, engine: 1 / 0,  # noqa: F821
])  # fmt: skip
def test_a_function_that_always_fails_is_told_its_error_and_not_about_none(ex, broken):
    verdict = ex.check(1, broken)
    assert verdict.kind is Kind.ERROR
    assert "Give None" not in verdict.text


def test_a_function_that_fails_and_has_wrong_numbers_is_told_of_the_numbers(ex):
    def gap(table, engine):
        return -gaps.right(table, engine)

    assert found(ex, 1, gap) == "turned_round"


def test_a_function_that_does_not_read_its_table_is_told_so(ex):
    assert found(ex, 1, lambda table, engine: {"Elasticsearch": 2297}.get(engine)) == (
        "table_not_read"
    )


# -- question 2 ---------------------------------------------------------------------------------


def corrections(claims):
    return {letter: claim.right[0] for letter, claim in claims.items() if claim.kind}


@pytest.mark.parametrize("number", range(40))
def test_of_each_learners_claims_five_fail_and_three_hold(number):
    claims = what_the_cases_share_claims.claims(number)
    failing = [claim for claim in claims.values() if claim.kind]
    assert {c.kind for c in failing} == {"base", "double", "mean", "points", "rate"}
    assert len(claims) == 8
    for claim in claims.values():
        off = abs(claim.said - claim.right[0]) / claim.right[0]
        assert off > 0.04 if claim.kind else off < 0.02, claim
        assert claim.text.endswith((f"{claim.said:,}.", f"{claim.said:,} %.",
                                    f"{claim.said:,} servers.", f"{claim.said:,} owners.",
                                    f"{claim.said:,.0f}.")), claim  # fmt: skip
        for wrong in claim.wrong.values():
            assert abs(wrong - claim.right[0]) > 0.02 * claim.right[0], claim


@pytest.mark.parametrize("change", [lambda x: x, lambda x: x * 1.009, lambda x: np.float64(x)])
def test_a_figure_may_be_off_by_a_little_and_of_any_kind(ex, change):
    claims = what_the_cases_share_claims.claims(ex.task(2)["number"])
    assert found(ex, 2, {k: change(v) for k, v in corrections(claims).items()}) == RIGHT


def test_a_figure_may_be_rounded_as_the_claim_rounds_its_own(ex):
    claims = what_the_cases_share_claims.claims(ex.task(2)["number"])
    for letter, right in corrections(claims).items():
        places = 1 if claims[letter].kind == "mean" else 0
        assert found(ex, 2, corrections(claims) | {letter: round(right, places)}) == RIGHT
    rate = next(k for k, claim in claims.items() if claim.kind == "rate")
    off = corrections(claims)[rate] * 1.02
    assert found(ex, 2, corrections(claims) | {rate: off}) != RIGHT


def test_a_figure_is_not_right_when_it_is_off_by_more(ex):
    claims = what_the_cases_share_claims.claims(ex.task(2)["number"])
    for letter, figure in corrections(claims).items():
        for factor in (0.97, 1.03, -1, 0, 100, math.inf):
            answer = corrections(claims) | {letter: figure * factor}
            assert found(ex, 2, answer) != RIGHT, (letter, factor)


@pytest.mark.parametrize("answer", [{"Z": 1}, {"A": "1"}, {"A": None}, {"A": math.nan}, {1: 1}])
def test_what_is_no_figure_for_a_letter_is_the_cells_error(ex, answer):
    assert ex.check(2, answer).kind is Kind.ERROR


def test_a_fraction_is_a_number_too(ex):
    claims = what_the_cases_share_claims.claims(ex.task(2)["number"])
    exact = {k: Fraction(v).limit_denominator(10**6) for k, v in corrections(claims).items()}
    assert found(ex, 2, exact) == RIGHT


# -- question 3 ---------------------------------------------------------------------------------

scores = what_the_cases_share_score


@pytest.mark.parametrize("number", range(24))
def test_the_leaks_have_every_word_and_every_vector_can_be_scored(number):
    leaks = scores.leaks(number)
    for name, words in (("reached_from", scores.REACHED), ("asked_for", scores.ASKED)):
        assert {leak[name] for leak in leaks} == set(words)
    for deed in scores.DEEDS:
        assert {leak["matters"][deed] for leak in leaks} == set(scores.MATTERS)
        assert len({leak["can"][deed] for leak in leaks}) > 1
    for leak in leaks:
        assert 0 < cvss.score(scores.text(scores.metrics(leak))) <= 10
        for deed, amount in leak["was_done"].items():
            assert amount in ("none", leak["can"][deed])


def test_the_open_database_of_the_lesson_has_its_score():
    everything = dict.fromkeys(scores.DEEDS, "all")
    leak = {"reached_from": "anywhere", "asked_for": "nothing", "can": everything,
            "matters": dict.fromkeys(scores.DEEDS, "as usual")}  # fmt: skip
    assert cvss.score(scores.text(scores.metrics(leak))) == 9.8


def written(leak, **instead):
    return scores.metrics(leak) | instead


@pytest.mark.parametrize("turn", [sorted, reversed])
def test_the_order_of_the_letters_does_not_count(ex, turn):
    def vector(leak):
        return scores.text(dict(turn(list(scores.metrics(leak).items()))))

    assert found(ex, 3, vector) == RIGHT


def test_what_matters_as_usual_may_be_left_out_or_be_x(ex):
    def vector(leak, usual=""):
        letters = {k: v if (k[-1], v) != ("R", "M") else usual for k, v in written(leak).items()}
        return scores.text({k: v for k, v in letters.items() if v})

    assert found(ex, 3, vector) == RIGHT
    assert found(ex, 3, lambda leak: vector(leak, "X")) == RIGHT


@pytest.mark.parametrize(
    "vector",
    [
        lambda leak: "",
        lambda leak: None,
        lambda leak: 9.8,
        lambda leak: scores.metrics(leak),
        lambda leak: scores.text(scores.metrics(leak)).replace("3.1", "3.0"),
        lambda leak: scores.text(scores.metrics(leak)).lower(),
        lambda leak: scores.text(scores.metrics(leak)) + "/MAV:L",
        lambda leak: "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
    ],
)
def test_what_is_no_vector_of_3_1_is_the_cells_error(ex, vector):
    assert ex.check(3, vector).kind is Kind.ERROR


@pytest.mark.parametrize("metric", ["AV", "AC", "PR", "UI", "S", "C", "I", "A", "CR", "IR", "AR"])
def test_no_letter_may_be_the_same_everywhere_but_those_that_are(ex, metric):
    letters = {"AV": "NAL", "AC": "H", "PR": "NLH", "UI": "R", "S": "C"}
    letters |= dict.fromkeys(("CR", "IR", "AR"), "HLM")
    for letter in letters.get(metric, "HLN"):
        answer = found(ex, 3, lambda leak, x=letter: scores.text(written(leak, **{metric: x})))
        assert answer != RIGHT


def test_more_people_are_no_larger_loss_and_one_letter_for_all_is_not_about_people(ex):
    def many(leak):
        return scores.text(written(leak, C="H" if leak["people"] > 50 else "N"))

    assert found(ex, 3, many) == "people_counted"
    assert found(ex, 3, lambda leak: scores.text(written(leak, C="L"))) == "another_loss"


@pytest.mark.parametrize("number", range(24))
@pytest.mark.parametrize("by_people", [
    lambda leak, right: "H" if leak["people"] >= 1_000_000 else right,
    lambda leak, right: "L" if leak["people"] < 1_000 else right,
    lambda leak, right: "H" if leak["people"] > 1_000 else "L",
])  # fmt: skip
def test_the_people_are_not_what_matters(number, by_people):
    leaks = scores.leaks(number)
    for names in (["CR"], ["CR", "IR", "AR"]):
        given = [
            written(leak, **{name: by_people(leak, written(leak)[name]) for name in names})
            for leak in leaks
        ]
        assert scores._verdict(leaks, given, set(names)) == "people_for_matters"


@pytest.mark.parametrize("number", range(24))
def test_words_that_are_mixed_up_are_not_about_people(number):
    leaks = scores.leaks(number)
    mixed = [{"much": "H", "as usual": "H", "little": "L"}, dict.fromkeys(scores.MATTERS, "H"),
             {"much": "L", "as usual": "M", "little": "H"}]  # fmt: skip
    for words in mixed:
        given = [written(leak, CR=words[leak["matters"]["read"]]) for leak in leaks]
        assert scores._verdict(leaks, given, {"CR"}) == "matters_mixed_up"


# -- question 6 ---------------------------------------------------------------------------------

causes = what_the_cases_share_causes


def answers(task):
    words = {letter: s.word for letter, s in causes.sentences(task["number"]).items()}
    return ({k: w for k, w in words.items() if w in causes.MEASURES},
            {k: w for k, w in words.items() if w in causes.PARTIES})  # fmt: skip


@pytest.mark.parametrize("number", range(60))
def test_each_learner_has_every_measure_one_of_them_twice_and_every_party(number):
    stops, owed = answers({"number": number})
    assert sorted(stops) == list("ABCDEFGH")
    assert sorted(owed) == list("IJKLM")
    assert set(stops.values()) == set(causes.MEASURES)
    assert set(owed.values()) == set(causes.PARTIES)
    texts = [s.text for s in causes.sentences(number).values()]
    assert len(set(texts)) == len(texts)


def test_each_wrong_word_is_told_with_a_sentence_of_the_manifest(ex):
    told = ex._texts[6].near_misses
    task = ex.task(6)
    stops, owed = answers(task)
    assert found(ex, 6, stops, owed) == RIGHT
    for letter, right in stops.items():
        for word in causes.MEASURES:
            if word != right:
                assert found(ex, 6, stops | {letter: word}, owed) in told
    for letter, right in owed.items():
        for word in causes.PARTIES:
            if word != right:
                assert found(ex, 6, stops, owed | {letter: word}) in told


def test_purpose_is_never_taken_for_a_lock_or_an_alarm(ex):
    stops, owed = answers(ex.task(6))
    for word in ("network", "login", "roles", "encryption"):
        answer = {k: word if w == "purpose" else w for k, w in stops.items()}
        assert found(ex, 6, answer, owed) == "access_for_purpose"
    for word in ("alarm", "deletion"):
        answer = {k: word if w == "purpose" else w for k, w in stops.items()}
        assert found(ex, 6, answer, owed) == "purpose_missed"


def test_two_wrong_words_are_each_told_their_reason(ex):
    stops, owed = answers(ex.task(6))
    asked = causes.sentences(ex.task(6)["number"])
    for words in (("roles", "login"), ("network", "purpose"), ("deletion", "encryption")):
        wrong = [next(k for k, w in stops.items() if w == word) for word in words]
        verdict = ex.check(
            6, stops | dict.fromkeys(wrong, "alarm") | {wrong[0]: "encryption"}, owed
        )
        assert "2 steps have another measure" in verdict.text
        for letter, word in zip(wrong, words, strict=True):
            assert f"{letter}: {causes._OVERLOOKED[word]}" in verdict.text
    verdict = ex.check(6, stops, owed | {k: "vendor" for k in owed if owed[k][0] in "fn"})
    assert all(f"{k}: {asked[k].why}" in verdict.text for k in owed if owed[k][0] in "fn")


def test_the_case_of_a_word_does_not_count(ex):
    stops, owed = answers(ex.task(6))
    loud = {letter: f" {word.upper()} " for letter, word in stops.items()}
    assert found(ex, 6, loud, owed) == RIGHT


@pytest.mark.parametrize("number", range(60))
def test_each_sentence_that_a_verdict_gives_a_reason_for_has_one(number):
    for sentence in causes.sentences(number).values():
        assert bool(sentence.why) == (sentence.word in causes._WHY)
        assert sentence.word in causes._WHY or sentence.word in causes.MEASURES


@pytest.mark.parametrize(
    "change", [{"I": "login"}, {"A": "lock"}, {"A": ["login"]}, {"a": "login"}]
)
def test_other_letters_and_other_words_are_the_cells_error(ex, change):
    stops, owed = answers(ex.task(6))
    assert ex.check(6, stops | change, owed).kind is Kind.ERROR
    del stops["A"]
    assert ex.check(6, stops, owed).kind is Kind.ERROR


# -- all ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, 7))
def test_learners_have_tasks_of_their_own(number):
    tasks = {repr(task_of(f"learner {n}", number)) for n in range(40)}
    assert len(tasks) > 10, NAME
