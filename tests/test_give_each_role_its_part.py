"""What exercise 08's notebooks cannot show: a machine with one address, and what a check leaves."""

import pytest
from pymongo import MongoClient

from leftopen import checks
from leftopen.checks import give_each_role_its_part_more as more
from leftopen.checks.verdict import Kind

NAME = "08_give_each_role_its_part"
pytestmark = pytest.mark.needs("mongodb")


@pytest.fixture
def ex():
    exercise = checks.exercise(NAME)
    yield exercise
    exercise.close()


def administrator(lab, task):
    return MongoClient(lab.inside.uri_as(task["administrator"], task["password"]))


@pytest.mark.parametrize(
    ("places", "kind"),
    [
        (None, Kind.NOT_YET),
        (["127.0.0.1"], Kind.RIGHT),
        (["127.0.0.0/8"], Kind.NOT_YET),
        (["127.0.0.2"], Kind.NOT_YET),
    ],
)
def test_where_outside_has_the_address_of_inside_the_server_is_asked(ex, monkeypatch, places, kind):
    with MongoClient(ex.lab(5).outside.uri) as client:
        outside = client.admin.command("whatsmyuri")["you"].rpartition(":")[0]
    # As on macOS: nothing that comes through the relay looks different from inside.
    monkeypatch.setattr(more, "_HERE", outside)
    lab, task = ex.lab(5), ex.task(5)
    tied = {"authenticationRestrictions": [{"clientSource": places}]} if places else {}
    reads = {"role": "read", "db": task["database"]}
    with administrator(lab, task) as client:
        client.admin.command("createUser", "saver", pwd="a b c d e", roles=[reads], **tied)
    verdict = ex.check(5, lab, lab.inside.uri_as("saver", "a b c d e"))
    assert verdict.kind is kind
    assert any("cannot be told here" in line for line in verdict.tried)


def contents(client):
    """Everything on a server that a check could leave behind."""
    found = {"accounts": client.admin.command("usersInfo", {"forAllDBs": True})["users"]}
    for name in ("admin", "sensenets", "payroll"):
        found[f"roles of {name}"] = client[name].command("rolesInfo", 1)["roles"]
        for collection in sorted(client[name].list_collection_names()):
            if not collection.startswith("system."):
                found[f"{name}.{collection}"] = list(client[name][collection].find().sort("_id"))
    return found


@pytest.mark.parametrize("number", range(1, 7))
def test_a_check_leaves_nothing_behind_also_as_an_account_that_may_do_everything(ex, number):
    lab, task = ex.lab(number), ex.task(number)
    with administrator(lab, task) as client:
        client.admin.command("createUser", "anybody", pwd="a b c d e", roles=["root"])
        if number == 2:
            client.sensenets.command("create", task["view"], viewOn="people", pipeline=[])
        if number == 4:
            client.admin.command("updateUser", task["account"], roles=["root"])
        before = contents(client)
        uri = lab.inside.uri_as("anybody", "a b c d e")
        answer = {4: (), 6: ({"gate: find people"},)}.get(number, (uri,))
        assert ex.check(number, lab, *answer).kind is Kind.NOT_YET
        assert contents(client) == before


def test_the_views_check_takes_its_newcomer_out_again(ex):
    lab, task = ex.lab(2), ex.task(2)
    view = {"resource": {"db": "sensenets", "collection": task["view"]}, "actions": ["find"]}
    with administrator(lab, task) as client:
        client.sensenets.command("create", task["view"], viewOn="people", pipeline=[])
        client.admin.command("createRole", "analyst", privileges=[view], roles=[])
        client.admin.command("createUser", "ada", pwd="a b c d e", roles=["analyst"])
        before = contents(client)
        verdict = ex.check(2, lab, lab.inside.uri_as("ada", "a b c d e"))
        assert any("one person more" in line and "401" in line for line in verdict.tried)
        assert contents(client) == before
