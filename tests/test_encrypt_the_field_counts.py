"""Exercise 13, question 3: towns that are counted, and collections that are not as they were."""

import field_asked
import pytest
from field_asked import question

from leftopen.checks import encrypt_the_field_counts as counts
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT
from leftopen.learner import Draw

needs_server = pytest.mark.needs("mongodb")
asked = field_asked.asked


def tasks():
    """The task of each town that can be drawn."""
    found = {}
    for number in range(400):
        task = counts.task(Draw(f"learner {number}", "13"))
        found.setdefault(task["town"], task)
    return found


def test_every_town_can_be_recovered_by_ranks_and_by_no_other_order():
    drawn = tasks()
    assert len(drawn) == 24
    for town, task in drawn.items():
        truth = counts._truth(town)
        statistic = task["statistic"]
        by_size = sorted(statistic, key=statistic.get, reverse=True)
        many = [sum(quarter == name for quarter in truth.values()) for name in by_size]
        assert many == sorted(many, reverse=True)
        assert len(set(many)) == len(many)
        assert {truth[person] for person in task["people"]} == set(statistic)
        # The nearest share gives the same quarter: an alternative in every town.
        whole, people = sum(statistic.values()), len(truth)
        for name, there in zip(by_size, many, strict=True):
            nearest = min(statistic, key=lambda n: abs(statistic[n] / whole - there / people))
            assert nearest == name
        column = [truth[n].encode() for n in sorted(truth)]
        wrong = counts._mistakes(task, column)
        answers = [tuple(told[person] for person in task["people"]) for told in wrong.values()]
        right = tuple(truth[person] for person in task["people"])
        assert right not in answers
        assert len(set(answers)) == len(answers)


@needs_server
@question(3)
def test_answers_that_cannot_be_compared_are_the_cells_error(asked):
    truth = counts._truth(asked.task["town"])
    assert asked.told(truth) == RIGHT
    some = {person: truth[person] for person in asked.task["people"]}
    assert asked.told(some) == RIGHT
    with pytest.raises(BadAnswer, match="no entry for"):
        asked.told({})
    with pytest.raises(BadAnswer, match="no entry for"):
        asked.told({str(person): name for person, name in some.items()})
    with pytest.raises(BadAnswer, match="'Quarter 9'"):
        asked.told(some | {asked.task["people"][0]: "Quarter 9"})
    first, second = list(some)[:2]
    swapped = some | {first: some[second], second: some[first]}
    assert asked.told(swapped) == "some_wrong"
    # The collections are not as they were.
    for name in ("residents", "residents_random"):
        collection = asked.client["sensenets"][name]
        was = list(collection.find())
        for change in (
            lambda rows: rows.delete_one({"_id": 3}),
            lambda rows: rows.update_one({"_id": 3}, {"$unset": {counts.COLUMN: 1}}),
            lambda rows: rows.update_one({"_id": 3}, {"$set": {counts.COLUMN: "Quarter 1"}}),
            lambda rows: rows.insert_one({**rows.find_one(), "_id": "new"}),
            lambda rows: rows.drop(),
        ):
            change(collection)
            with pytest.raises(BadAnswer, match=rf"{name} is not as it was.*Run ex.lab\(3\) again"):
                asked.told(some)
            collection.drop()
            collection.insert_many(was)
        assert asked.told(some) == RIGHT
    # One ciphertext for all.
    collection = asked.client["sensenets"]["residents"]
    collection.update_many({}, {"$set": {counts.COLUMN: was[0][counts.COLUMN]}})
    with pytest.raises(BadAnswer, match=r"Run ex.lab\(3\) again"):
        asked.told(swapped)
