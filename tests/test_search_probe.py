"""What an account may do on a cluster is tried, and nothing of it stays there."""

import pytest
from opensearchpy import OpenSearch

from leftopen.checks import search_lab
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import Attempt, Task
from leftopen.checks.search_probe import (
    IN_AN_INDEX,
    OTHER_WAYS,
    READING,
    Who,
    certificate_problem,
    operator,
)
from leftopen.lab_opensearch import quiet

pytestmark = pytest.mark.needs("opensearch")

TASK = Task(administrator=("root_admin", "who"), password=("a long word", "its password"))
INDEX, LATER = "faces-2019.04", "faces-2999.01"
READER = {"index_patterns": ["faces-*"], "allowed_actions": ["read"]}


@pytest.fixture(scope="module")
def lab():
    found = search_lab.locked_lab(
        TASK,
        users={"reader": search_lab.user("a reader's word")},
        roles={"reads": {"index_permissions": [READER]}},
        mapping={"reads": {"users": ["reader"]}},
    )
    yield found
    found.close()


def state(client: OpenSearch) -> dict[str, object]:
    client.indices.refresh(index="_all")
    rows = client.cat.indices(format="json")
    counts = {row["index"]: row["docs.count"] for row in rows if "audit" not in row["index"]}
    mappings = client.indices.get_mapping(index="faces-*,residents")
    kept = {row["index"]: row["status"] for row in rows}
    return {
        "open": kept,
        "counts": counts,
        "mappings": mappings,
        "settings": client.cluster.get_settings(),
    }


@quiet()
def test_all_is_tried_and_nothing_of_it_stays(lab):
    with operator(lab) as client:
        before = state(client)
        login = TASK["administrator"], TASK["password"]
        with Who(at := Attempt(TASK), "as the administrator", lab, login) as who:
            can = who.rights([INDEX, "residents"], [LATER], more=OTHER_WAYS)
        ways = (*IN_AN_INDEX, *OTHER_WAYS)
        everything = {f"{word} {index}" for word in ways for index in (INDEX, "residents")}
        everything |= {f"create {LATER}", f"drop {LATER}"}
        assert everything <= can
        assert all("refused" not in line for line in at.tried)
        assert state(client) == before


@quiet()
def test_a_reader_may_read_and_nothing_else(lab):
    with Who(Attempt(TASK), "as the reader", lab, ("reader", "a reader's word")) as who:
        assert who.logs_in()
        can = who.rights([INDEX, "residents"], [LATER])
        more = who.rights([INDEX, "residents"], more=OTHER_WAYS) - can
    assert can == {f"search {INDEX}", f"get {INDEX}"}
    one_by_one = set(READING) - {"mget", "mtermvectors"}  # those want a right at the cluster too
    assert more == {f"{word} {INDEX}" for word in one_by_one}


@quiet()
def test_without_a_login_nothing_is_let_through(lab):
    with Who(Attempt(TASK), "as a stranger", lab, outside=True) as who:
        assert who.rights([INDEX]) == frozenset()
        assert not who.logs_in()
    with Who(Attempt(TASK), "with a wrong password", lab, ("reader", "wrong")) as who:
        assert not who.logs_in()


def test_the_lab_shows_a_certificate_of_its_own_authority(lab):
    assert certificate_problem(lab) == ""


@quiet()
def test_an_index_that_is_gone_is_named(lab):
    with pytest.raises(BadAnswer, match=LATER):
        operator(lab, INDEX, LATER)
