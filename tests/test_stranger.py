"""What a stranger may do, and the explorer's three switches, on a real server."""

import itertools

import pytest
from pymongo import MongoClient

from leftopen import stranger
from leftopen.errors import LeftOpenError, NotLoopback
from leftopen.lab_mongodb import MongoLab
from leftopen.widgets import Explorer, State

OPEN = "net:\n  bindIp: 0.0.0.0\n"
TRIED = ["connect", "list the databases", "read one document", "count the documents", "write"]


@pytest.fixture(scope="module")
def lab():
    lab = MongoLab(
        "t", OPEN, lambda c: c.sensenets.people.insert_one({"_id": 1, "name": "Person-1"})
    )
    yield lab
    lab.close()


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://192.0.2.1:27017",
        "mongodb://127.0.0.1:1,198.51.100.2:27017",
        "mongodb+srv://db.example.com",
        "https://127.0.0.1",
    ],
)
def test_no_other_machine_is_looked_at(uri):
    with pytest.raises(NotLoopback):
        stranger.look(uri)
    with pytest.raises(NotLoopback):
        stranger.overhear(None, uri, {})


@pytest.mark.needs("mongodb")
def test_an_open_server_allows_all_and_is_left_as_it_was(lab):
    lab.configure(OPEN, replace=True)
    attempts = stranger.look(lab.outside.uri)
    assert [a.tried for a in attempts] == TRIED
    assert all(a.allowed for a in attempts)
    with MongoClient(lab.inside.uri) as client:
        assert client.sensenets.list_collection_names() == ["people"]


@pytest.mark.needs("mongodb")
def test_a_login_refuses_all_but_the_connection(lab):
    lab.configure(OPEN + "security:\n  authorization: enabled", replace=True)
    attempts = stranger.look(lab.outside.uri)
    # With no user yet, an empty list is not a refusal, and is not let in either.
    assert [a.tried for a in attempts if a.allowed] == ["connect"]
    assert not stranger.is_let_in(attempts)
    lab.configure(OPEN, replace=True)


@pytest.mark.needs("mongodb")
def test_a_closed_network_refuses_all(lab):
    lab.configure("net:\n  bindIp: 127.0.0.1", replace=True)
    attempts = stranger.look(lab.outside.uri)
    assert [a.tried for a in attempts] == TRIED
    assert not any(a.allowed for a in attempts)
    assert attempts[0].answer == "connection refused"


@pytest.mark.needs("mongodb")
def test_the_explorers_table_says_what_each_switch_is_for(lab):
    """Expected from what the three settings mean, and tried on the real server."""
    explorer = Explorer(lab)
    table = explorer.every_state().set_index(["login", "encryption", "network"])
    assert len(table) == 8
    for login, encryption, network in itertools.product(
        ("off", "on"), ("off", "on"), ("everyone", "this machine")
    ):
        row = table.loc[(login, encryption, network)]
        reachable = network == "everyone"
        assert (row["stranger connects"] == "YES") is reachable
        assert (row["stranger reads"] == "YES") is (reachable and login == "off")
        assert (row["stranger writes"] == "YES") is (reachable and login == "off")
        assert (row["listener reads"] == "YES") is (reachable and encryption == "off")
    assert lab.config.strip() == OPEN.strip()


@pytest.mark.needs("mongodb")
def test_the_widget_shows_the_state_and_an_error_is_shown_in_it(lab):
    explorer = Explorer(lab)
    widget = explorer.widget()
    login, network, _, answer = widget.children
    assert "✗ open" in answer.value
    login.value = "on"
    assert "refused: login required" in answer.value
    assert explorer.state == State(login=True)
    network.value = "this machine"
    assert "connection refused" in answer.value
    network.value = "everyone"
    login.value = "off"
    assert "wrote a document" in answer.value


@pytest.mark.needs("mongodb")
def test_the_explorer_opens_twice_and_leaves_other_accounts_alone(lab):
    lab.configure(OPEN, replace=True)
    with MongoClient(lab.inside.uri) as client:
        client.admin.command("createUser", "mine", pwd="a-password-of-mine", roles=["root"])
    Explorer(lab)
    Explorer(lab).set(State(login=True))
    login = {"username": "mine", "password": "a-password-of-mine"}
    with MongoClient(lab.inside.uri, **login) as client:
        found = {user["user"] for user in client.admin.command("usersInfo")["users"]}
    assert found == {"mine", "explorer_app"}
    lab.configure(OPEN, replace=True)


@pytest.mark.needs("mongodb")
def test_the_explorer_of_a_closed_lab_says_so():
    lab = MongoLab(
        "t", OPEN, lambda c: c.sensenets.people.insert_one({"_id": 1, "name": "Person-1"})
    )
    explorer = Explorer(lab)
    login, *_, answer = explorer.widget().children
    lab.close()
    login.value = "on"
    assert "That did not work" in answer.value
    assert "open_case" in answer.value
    with pytest.raises(LeftOpenError):
        Explorer(lab)
