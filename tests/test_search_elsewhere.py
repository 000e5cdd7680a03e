"""Exercise 09 tries each index that is there, and every month: wrong answers of a newcomer."""

import json
import time

import pytest
from opensearchpy import OpenSearch, helpers

from leftopen.checks import lock_the_search_cluster_elsewhere as elsewhere
from leftopen.checks import lock_the_search_cluster_field as field
from leftopen.checks import lock_the_search_cluster_log as log
from leftopen.checks import lock_the_search_cluster_roles as roles
from leftopen.checks import search_lab
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.checks.search_probe import operator
from leftopen.lab_opensearch import quiet

pytestmark = pytest.mark.needs("opensearch")

WORD = "gate lamp river seven"
HIDE = ["name", "idNumber", "resident", "reason"]
ADMIN = {"administrator": ("root_admin", "who"), "password": ("a long word", "its password")}
FEEDER = Task(**ADMIN, account=("feeder", "name"), pattern=("faces-*", "where"))
OFFICER = Task(
    **ADMIN, account=("officer", "name"), estate=("Plover Court", "which"), hide=(HIDE, "fields")
)
AUDIT = Task(
    **ADMIN,
    account=("auditor", "name"),
    application=("faces_app", "name"),
    application_password=(WORD, "its password"),
    works_in=("faces-*", "where"),
)
FIELD = Task(
    **ADMIN, field=("group", "which"), reader=("reader", "who"), reader_password=(WORD, "")
)
WRITES = ["indices:data/write/index", "indices:data/write/bulk*", "indices:admin/create"]
LIMITS = {
    "dls": json.dumps({"term": {"estate": "Plover Court"}}),
    "fls": ["~" + name for name in HIDE],
}
BULK, COMPOSITE = ["indices:data/write/bulk"], ["cluster_composite_ops"]


@pytest.fixture(scope="module")
def lab():
    found = log.audit_lab(AUDIT)
    with operator(found) as client, quiet():
        for name in ("feeder", "officer", "auditor", "reader"):
            client.security.create_user(username=name, body=search_lab.user(WORD))
            grant(client, name, (["faces-*"], ["read"]))
            client.security.create_role_mapping(role=name, body={"users": [name]})
    yield found
    found.close()


def grant(client: OpenSearch, role: str, *entries: tuple, cluster: tuple = ()) -> None:
    each = [
        {"index_patterns": patterns, "allowed_actions": actions, **(more[0] if more else {})}
        for patterns, actions, *more in entries
    ]
    body = {"cluster_permissions": list(cluster), "index_permissions": each}
    client.security.create_role(role=role, body=body)


@pytest.mark.parametrize(
    ("auditor", "application", "actions", "verdict"),
    [
        ([], [], ["crud", "create_index"], RIGHT),
        ([], [], ["crud", "indices:admin/create"], RIGHT),
        (["watchlist"], [], ["crud", "create_index"], "auditor_reads_more"),
        ([], ["watchlist"], ["crud", "create_index"], "application_wide"),
        ([], ["devices-2019.03"], ["crud", "create_index"], "application_wide"),
        ([], [], ["crud"], "application_no_next_month"),
    ],
)
@quiet()
def test_the_auditor_and_the_application_are_tried_in_each_index(
    lab, auditor, application, actions, verdict
):
    off = [{"op": "replace", "path": "/config/audit/log_request_body", "value": False}]
    with operator(lab) as client:
        client.security.patch_audit_configuration(body=off)
        grant(client, "auditor", (["security-auditlog-*", *auditor], ["read"]))
        grant(client, "faces_app", (["faces-*", *application], actions), cluster=COMPOSITE)
        _let_the_log_catch_up(client)
    assert log.audited(Attempt(AUDIT), lab, WORD) == verdict


def _let_the_log_catch_up(client: OpenSearch) -> None:
    """Each refusal before this one is an entry, and they are written one after the other."""
    counts = [-1]
    for _ in range(60):
        client.indices.refresh(index="security-auditlog-*", ignore=[404])
        counts.append(client.count(index="security-auditlog-*")["count"])
        if counts[-1] == counts[-2]:
            return
        time.sleep(0.5)


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ((["faces-2019.03"], WRITES), RIGHT),
        ((["faces-*"], ["create_index"]), RIGHT),
        ((["watchlist"], ["read"]), "every_index"),
        ((["alarms-2019.03"], ["indices:data/write/delete", *WRITES[1:2]]), "every_index"),
        ((["faces-2019.03"], ["read"]), "may_read"),
        ((["faces-2019.03"], ["indices:admin/delete"]), "may_delete"),
        ((["faces-2019.03"], ["indices:data/write/update"]), "reads_by_update"),
    ],
)
@quiet()
def test_the_feeder_is_tried_in_each_index(lab, more, verdict):
    with operator(lab) as client:
        grant(client, "feeder", (["faces-*"], WRITES), more, cluster=BULK)
        before = elsewhere.every_index(client)
        assert roles.feeder(Attempt(FEEDER), lab, WORD) == verdict
        assert set(elsewhere.every_index(client)) >= set(before)
        settings = client.indices.get_settings(index="faces-*", flat_settings=True)
    assert not any("index.blocks.read_only" in it["settings"] for it in settings.values())


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ((["faces-2019.03"], ["read"], LIMITS), RIGHT),
        ((["watchlist"], ["read"]), "officer_other_indices"),
        ((["security-auditlog-*"], ["read"]), "officer_other_indices"),
        ((["faces-*"], ["indices:admin/aliases*"], LIMITS), "may_write"),
        ((["faces-2019.03"], ["indices:admin/mapping/put"], LIMITS), "may_write"),
        ((["faces-2019.03"], ["indices:admin/delete"], LIMITS), "may_write"),
        ((["faces-2019.03"], ["read"], {**LIMITS, "fls": ["~group"]}), "fields_missing"),
    ],
)
@quiet()
def test_the_officer_is_tried_in_each_index(lab, more, verdict):
    with operator(lab) as client:
        grant(client, "officer", (["faces-*"], ["read"], LIMITS), more)
    assert roles.officer(Attempt(OFFICER), lab, WORD) == verdict


@quiet()
def test_a_label_that_stays_under_another_name_is_found(lab):
    with operator(lab) as client:
        labels = _without_the_field(client)
        assert field.removed(Attempt(FIELD), lab) == RIGHT
        for name, value in (("seen", lambda number: number), ("batch", lambda number: "one")):
            _write(client, "lookup", {number: {name: value(number)} for number in labels})
            assert field.removed(Attempt(FIELD), lab) == RIGHT
        _write(client, "lookup", {number: {"label": label} for number, label in labels.items()})
        assert field.removed(at := Attempt(FIELD), lab) == "renamed"
        assert at.values["kept"] == "label"


def _without_the_field(client: OpenSearch) -> dict[str, str]:
    labels = {}
    for old in ("faces-2019.03", "faces-2019.04"):
        mapping = client.indices.get_mapping(index=old)[old]["mappings"]
        del mapping["properties"]["group"]
        client.indices.create(index=f"{old}-v2", body={"mappings": mapping})
        events = {hit["_id"]: hit["_source"] for hit in helpers.scan(client, index=old)}
        labels |= {number: event.pop("group") for number, event in events.items()}
        _write(client, f"{old}-v2", events)
        client.indices.delete(index=old)
    return labels


def _write(client: OpenSearch, index: str, documents: dict[str, dict]) -> None:
    actions = [{"_index": index, "_id": _id, "_source": it} for _id, it in documents.items()]
    helpers.bulk(client, actions, refresh=True)
