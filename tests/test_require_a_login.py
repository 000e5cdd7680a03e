"""Exercise 07: the order of changes to accounts, and connection strings that lead elsewhere."""

import json
from types import SimpleNamespace

import pytest

from leftopen.checks import probe
from leftopen.checks.require_a_login_log import Change, gap, read

OLD, NEW, ARCHIVE = ("shop", "map"), ("shop", "map_b"), ("admin", "archive")
ROLE = ("shop", "read")
ROLES = frozenset({ROLE})


def made(account, roles=ROLES):
    return Change("createUser", account, roles)


def dropped(account):
    return Change("dropUser", account)


def found(*changes):
    return gap(changes, {OLD: ROLES}, [ARCHIVE], lambda role: role == ROLE)


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [made(NEW), dropped(OLD)],
        [Change("updateUser", OLD)],
        [made(NEW, frozenset()), Change("grantRolesToUser", NEW, ROLES), dropped(OLD)],
        [made(NEW), dropped(OLD), made(OLD), dropped(NEW)],
        [Change("grantRolesToUser", OLD, frozenset({("shop", "other")}))],
    ],
)
def test_orders_without_a_gap(changes):
    assert found(*changes) == ""


@pytest.mark.parametrize(
    ("changes", "gap_in"),
    [
        ([dropped(OLD), made(NEW)], "account"),
        ([dropped(OLD), made(OLD)], "account"),
        ([made(NEW), dropped(("shop", "*")), made(NEW)], "account"),
        ([made(ARCHIVE), dropped(OLD), made(NEW)], "account"),  # another's helps nobody
        ([made(NEW, frozenset()), dropped(OLD), made(NEW)], "role"),
        ([Change("updateUser", OLD, frozenset()), Change("updateUser", OLD, ROLES)], "role"),
        ([Change("revokeRolesFromUser", OLD, ROLES), made(NEW)], "role"),
    ],
)
def test_orders_with_a_gap(changes, gap_in):
    assert found(*changes) == gap_in


def line(number, msg, **attributes):
    return json.dumps({"id": number, "msg": msg, "attr": attributes})


def test_a_start_that_lets_nobody_in_was_not_open(tmp_path):
    """A server whose port another program has just taken writes its options, ends, and starts."""
    log = tmp_path / "mongod.log"
    opened = line(21951, "Options set by command line", options={"net": {}})
    locked = line(
        21951, "Options set by command line", options={"security": {"authorization": "enabled"}}
    )
    up = line(23016, "Waiting for connections")
    log.write_text("\n".join([opened, opened, up, "", locked, locked, up, ""]))
    found = read(SimpleNamespace(log=log))
    assert (found.starts, found.unlocked) == (2, 1)
    log.write_text("\n".join([opened, up, locked, up, opened, up, locked, up]))
    assert read(SimpleNamespace(log=log)).unlocked == 2


LAB = SimpleNamespace(inside=SimpleNamespace(port=4001), outside=SimpleNamespace(port=4002))


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("mongodb://map:p@ss@127.0.0.1:4001/", "quote_plus"),
        ("mongodb://map:12/ss@127.0.0.1:4001/", "another machine"),
        ("mongodb://map:word@127.0.0.1/", "no port"),
        ("mongodb://map:word@127.0.0.1:27017/", "earlier lab"),
        ("mongodb://map:word@127.0.0.1:4003/", "earlier lab"),
        ("mongodb://127.0.0.1:4001/", "no account"),
    ],
)
def test_a_connection_string_that_leads_elsewhere_is_told_why(uri, told):
    with pytest.raises(probe.BadAnswer, match=told):
        probe.credentials(LAB, "app_uri", uri)


@pytest.mark.parametrize("port", [4001, 4002])
def test_a_connection_string_for_either_side_of_the_lab_is_taken(port):
    login = probe.credentials(LAB, "app_uri", f"mongodb://map:p%40ss@localhost:{port}/shop")
    assert login == {"username": "map", "password": "p@ss", "authSource": "shop"}
