"""The smart-city case: OpenSearch, reachable from everywhere, its security plugin off.

Elasticsearch stood open in the real case. OpenSearch stands in for it: it was forked from
Elasticsearch 7.10 and is free software whole, its security plugin included.
"""

from collections.abc import Callable, Iterable, Iterator

import bcrypt
from opensearchpy import OpenSearch, helpers

from leftopen.engines import config as conf
from leftopen.lab_opensearch import SearchLab
from leftopen.synth.smart_city import MAPPINGS, SAMPLE_DAYS, SAMPLE_PEOPLE, sample

NAME = "smart_city"

AS_FOUND = """\
# Every address of the machine, so that anyone on the Internet can connect.
network.host: 0.0.0.0
# The plugin that would ask for a login and speak TLS is installed, and switched off.
plugins.security.disabled: true
"""

LOCKED = """\
network.host: 0.0.0.0
plugins.security.ssl.transport.pemcert_filepath: pki/server.pem
plugins.security.ssl.transport.pemkey_filepath: pki/server-key.pem
plugins.security.ssl.transport.pemtrustedcas_filepath: pki/ca.pem
plugins.security.ssl.http.enabled: true
plugins.security.ssl.http.pemcert_filepath: pki/server.pem
plugins.security.ssl.http.pemkey_filepath: pki/server-key.pem
plugins.security.ssl.http.pemtrustedcas_filepath: pki/ca.pem
plugins.security.authcz.admin_dn: ["CN=admin,O=Left Open lab"]
plugins.security.restapi.roles_enabled: [all_access]
plugins.security.audit.type: internal_opensearch
"""
"""A node that asks for a login and speaks TLS to clients and to other nodes."""

_ONE_NODE = {"index": {"number_of_shards": 1, "number_of_replicas": 0}}
_BATCH = 2_000  # documents in one message to the node
_COST = 4  # of bcrypt: the least, since these are throw-away passwords of a lab


def open_lab() -> SearchLab:
    """Open the case on a real OpenSearch, with the invented sample in it.

    Raises:
        EngineMissing, EngineFailed: as for :class:`leftopen.lab_opensearch.SearchLab`.
    """
    return SearchLab(NAME, AS_FOUND, lambda client: load(client, sample()))


def small_lab(
    seed: int,
    config: str = AS_FOUND,
    security: dict[str, str] | None = None,
    prepare: Callable[[OpenSearch], None] | None = None,
    people: int = 120,
    days: int = 14,
) -> SearchLab:
    """Open a small smart-city server for an exercise, with people of its own.

    Args:
        seed: which people; the same seed gives the same ones.
        config: the opensearch.yml with which it begins: ``AS_FOUND``, ``LOCKED``, or another.
        security: the security plugin's files with which it begins; see :func:`security_files`.
        prepare: what else to do, given a client that may do everything.
        people: how many residents.
        days: how many days, the last of which is 30 April 2019.

    Raises:
        EngineMissing, EngineFailed: as for :class:`leftopen.lab_opensearch.SearchLab`.
    """

    def fill(client: OpenSearch) -> None:
        load(client, sample(seed, people, days))
        if prepare is not None:
            prepare(client)

    return SearchLab(NAME, config, fill, security)


def security_files(administrator: str, password: str) -> dict[str, str]:
    """The security plugin's files for one account, which may do everything, and no other.

    Args:
        administrator: its name.
        password: its password, of which the file holds the bcrypt hash.
    """
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(_COST)).decode()
    users = _file("internalusers", {administrator: {"hash": hashed, "backend_roles": ["admin"]}})
    mapping = _file("rolesmapping", {"all_access": {"backend_roles": ["admin"]}})
    roles = _file("roles", {})
    return {"internal_users.yml": users, "roles_mapping.yml": mapping, "roles.yml": roles}


def _file(kind: str, entries: dict) -> str:
    return conf.dump({"_meta": {"type": kind, "config_version": "2"}, **entries})


def load(client: OpenSearch, records: dict[str, list[dict]]) -> None:
    """Put records into a node: one index for each name, with the fields' types set before.

    Args:
        client: one that may make indices and write.
        records: index name -> documents, as :func:`leftopen.synth.smart_city.sample` gives them.
    """
    for index in records:
        make_index(client, index)
    helpers.bulk(client, actions(records), chunk_size=_BATCH, refresh=True)


def make_index(client: OpenSearch, index: str) -> None:
    """Make an index of one of the case's kinds, with the types of its fields."""
    fields = MAPPINGS[index.split("-")[0]]
    client.indices.create(
        index=index, body={"settings": _ONE_NODE, "mappings": {"properties": fields}}
    )


def actions(records: dict[str, Iterable[dict]]) -> Iterator[dict]:
    """Records as the actions that ``opensearchpy.helpers.bulk`` takes."""
    for index, documents in records.items():
        for document in documents:
            source = {name: value for name, value in document.items() if name != "_id"}
            yield {"_index": index, "_id": document["_id"], "_source": source}


__all__ = ["AS_FOUND", "LOCKED", "NAME", "SAMPLE_DAYS", "SAMPLE_PEOPLE", "open_lab", "small_lab"]
