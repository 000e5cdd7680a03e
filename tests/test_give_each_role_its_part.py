"""What exercise 08's notebooks cannot show: a machine with one address, and what a check leaves."""

import pytest
from pymongo import MongoClient

from leftopen import checks
from leftopen.checks import give_each_role_its_part_log as log
from leftopen.checks import give_each_role_its_part_more as more
from leftopen.checks import give_each_role_its_part_proof as proof
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
    with administrator(lab, proof.with_administrator(task) if number == 6 else task) as client:
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


WORK = frozenset({"find people", "insert positions"})
OLD, NEW, WIDE = ({"role": name, "db": "sensenets"} for name in ("old", "new", "readWrite"))
PRIVILEGES = [
    {"resource": {"db": "sensenets", "collection": "people"}, "actions": ["find"]},
    {"resource": {"db": "sensenets", "collection": ""}, "actions": ["insert"]},
]


def role(verb, name="new", **options):
    return verb, {verb: name, "$db": "sensenets", **options}


def user(verb, name="desk", **options):
    return verb, {verb: name, "$db": "admin", **options}


MADE = role("createRole", privileges=PRIVILEGES, roles=[])
GIVEN = user("grantRolesToUser", roles=[NEW])
TAKEN = user("revokeRolesFromUser", roles=[OLD])
SET = user("updateUser", roles=[NEW])


@pytest.mark.parametrize(
    "commands",
    [
        [],
        [MADE, GIVEN, TAKEN],
        [MADE, SET],
        [MADE, user("updateUser", roles=[WIDE]), SET],
        [MADE, role("createRole", "outer", privileges=[], roles=["new"]), GIVEN, TAKEN],
        [MADE, user("dropUser", "report"), user("revokeRolesFromUser", "report", roles=[OLD]), SET],
        [MADE, user("updateUser", pwd="xxx"), SET],
        # What is refused at the end too is another mistake, and told as such.
        [role("createRole", privileges=[], roles=[]), SET],
    ],
)
def test_no_gap_is_seen_where_there_is_none(commands):
    assert not log.lacked(commands, "desk", "old", WORK)


@pytest.mark.parametrize(
    ("commands", "gap"),
    [
        ([MADE, TAKEN, GIVEN], WORK),
        ([TAKEN, MADE, GIVEN], WORK),
        ([MADE, user("updateUser", roles=[]), GIVEN], WORK),
        (
            [
                role("createRole", privileges=PRIVILEGES[:1], roles=[]),
                SET,
                role("grantPrivilegesToRole", privileges=PRIVILEGES[1:]),
            ],
            {"insert positions"},
        ),
        (
            [
                role("createRole", privileges=[], roles=["read"]),
                SET,
                role("updateRole", privileges=PRIVILEGES),
            ],
            {"insert positions"},
        ),
        ([MADE, SET, role("dropRole"), MADE, SET], WORK),
        ([user("dropUser"), MADE, user("createUser", roles=[NEW])], WORK),
    ],
)
def test_a_gap_is_seen_whatever_the_commands_were(commands, gap):
    assert log.lacked(commands, "desk", "old", WORK) == gap


def test_how_often_a_password_was_set_is_counted_for_the_account_alone():
    once = user("updateUser", pwd="xxx")
    assert log.passwords_set([once, SET, user("updateUser", "report", pwd="xxx")], "desk") == 1
    assert log.passwords_set([once, once], "desk") == 2
