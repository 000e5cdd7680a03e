"""Trying, as one account, what it may do on an OpenSearch cluster. Nothing is stored by any of it.

The security plugin looks at privileges before the node looks at what is asked. So a request that is
allowed and then fails for another reason shows the same as one that succeeds: a document whose
sequence number cannot be right (status 409), a change or a removal of a document that is not there
(404), a new index without shards (400). Refused are 401 and 403. Measured on 2.19.4.
"""

import http.client
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType

from opensearchpy import OpenSearch
from opensearchpy.exceptions import TransportError

from leftopen import loopback
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import Attempt
from leftopen.lab_opensearch import SearchLab

ACCOUNTS = "read the list of accounts"
SETTINGS = "change the cluster's settings"
CLUSTER_WIDE = {ACCOUNTS, SETTINGS}

Tried = Callable[[str], Callable[[OpenSearch], object]]
"""What is done with a client, once it is said in which index."""

_BOUNDS = {"timeout": 8, "max_retries": 0}
_REFUSED = (401, 403)
_NOBODY = "no-such-document"
_ALL = {"query": {"match_all": {}}}
_NO_SETTING = {"index.no_such_setting": 1}
_NEVER = {"if_seq_no": 999_999_999, "if_primary_term": 999}  # of no document
_WHY = {  # X509_V_ERR_ of OpenSSL, whose own words differ between versions
    10: "it has expired",
    18: "it is signed by itself",
    19: "its authority is not the lab's",
    20: "its authority is not the lab's",
    26: "it is not made for a server",
    62: "it is for another name",
    64: "it is for another address",
}
_USERS = "/_plugins/_security/api/internalusers"


def operator(lab: SearchLab, *indices: str) -> OpenSearch:
    """A client with the lab's admin certificate, to look at what an account cannot show.

    Args:
        lab: the cluster.
        indices: what must be there to be tried: a request into a missing index might make it.

    Raises:
        BadAnswer: the cluster does not know the certificate any more, or an index is gone.
    """
    files = lab.certificates
    options = {"ca_certs": str(files.ca)}
    options |= {"client_cert": str(files.admin), "client_key": str(files.admin_key)}
    uri = lab.inside.uri
    client = OpenSearch(uri, **_BOUNDS, **(options if uri.startswith("https") else {}))
    try:
        client.indices.refresh(index="_all")
        gone = [index for index in indices if not client.indices.exists(index=index)]
    except TransportError as error:
        client.close()
        if error.status_code not in _REFUSED:
            raise
        raise BadAnswer(
            "the cluster does not accept the admin certificate any more, and the check needs it "
            "to look at what was stored. Open the question's lab again and leave "
            "plugins.security.authcz.admin_dn as it is"
        ) from None
    if gone:
        client.close()
        raise BadAnswer(
            f"the index {gone[0]} of the question is not there any more, so it cannot be tried. "
            "Open the question's lab again"
        )
    return client


class Who(AbstractContextManager):
    """One account, or a stranger, at one side of a lab, and what it may do.

    Args:
        at: where the evidence goes.
        label: who it is, as ``"as the feeder"``.
        lab: the cluster.
        login: name and password; none for a stranger.
        outside: whether it comes through the relay. There it does not verify the certificate, as
            strangers do not.
    """

    def __init__(
        self,
        at: Attempt,
        label: str,
        lab: SearchLab,
        login: tuple[str, str] | None = None,
        outside: bool = False,
    ) -> None:
        self.at, self.label = at, label
        uri = (lab.outside if outside else lab.inside).uri
        options: dict = {"http_auth": login} if login else {}
        if uri.startswith("https"):
            trust = {"verify_certs": False, "ssl_show_warn": False}
            options |= trust if outside else {"ca_certs": str(lab.certificates.ca)}
        self.client = OpenSearch(uri, **_BOUNDS, **options)

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def status(self, action: Callable[[OpenSearch], object]) -> int:
        """Do something and return the status of the answer; 200 where there was no error.

        Raises:
            opensearchpy.exceptions.ConnectionError: the cluster did not answer.
        """
        try:
            action(self.client)
        except TransportError as error:
            if not isinstance(error.status_code, int):
                raise
            return error.status_code
        return 200

    def allows(self, action: Callable[[OpenSearch], object]) -> bool:
        """Whether something is let through, whatever else comes of it."""
        return self.status(action) not in _REFUSED

    def can(self, what: str, action: Callable[[OpenSearch], object]) -> bool:
        """Try one thing; note it, and return whether it is let through."""
        allowed = self.allows(action)
        self.at.note(self.label, what, "accepted" if allowed else "refused")
        return allowed

    def logs_in(self, noted: bool = True) -> bool:
        """Whether the account's password is accepted."""
        ask = "/_plugins/_security/authinfo"
        accepted = self.status(lambda it: it.transport.perform_request("GET", ask)) == 200
        if noted or not accepted:
            self.at.note(self.label, "log in", "accepted" if accepted else "refused")
        return accepted

    def rights(
        self,
        indices: Iterable[str],
        later: Iterable[str] = (),
        called: Mapping[str, str] | None = None,
        more: Mapping[str, Tried] = MappingProxyType({}),
    ) -> frozenset[str]:
        """Try everything in some indices, note it, and return what is allowed.

        Args:
            indices: existing ones; for each the words of :data:`IN_AN_INDEX`.
            later: indices that do not exist, to see whether they could be made or deleted.
            called: words for indices whose names vary, as those with today's date.
            more: what else is tried in each existing index, as :data:`OTHER_WAYS`.

        Returns:
            What is allowed, as ``{"search faces-2019.04", "create faces-2019.05"}``; to delete a
            whole index is ``"drop faces-2019.05"``.
        """
        can, called, ways = set(), called or {}, {**IN_AN_INDEX, **more}
        for index in indices:
            answers = {word: self.allows(tried(index)) for word, tried in ways.items()}
            name = called.get(index, index)
            self._note_all(f"in {name}: ", answers)
            can |= {f"{word} {name}" for word, allowed in answers.items() if allowed}
        answers = {}
        for index in later:
            name = called.get(index, index)
            answers[f"create {name}"] = self.allows(_create(index))
            answers[f"drop {name}"] = self.allows(_drop(index))
        answers |= {what: self.allows(tried) for what, tried in _BEYOND.items()}
        self._note_all("", answers)
        return frozenset(can | {what for what, allowed in answers.items() if allowed})

    def _note_all(self, where: str, answers: dict[str, bool]) -> None:
        for words, wanted in (("accepted", True), ("refused", False)):
            if found := [what for what, allowed in answers.items() if allowed is wanted]:
                self.at.note(self.label, where + ", ".join(found), words)


def _bulk(index: str) -> Callable[[OpenSearch], object]:
    def send(client: OpenSearch) -> None:
        action = {"index": {"_index": index, "_id": _NOBODY, **_NEVER}}
        (answer,) = client.bulk(body=[action, {}])["items"]
        if answer["index"]["status"] in _REFUSED:
            raise TransportError(answer["index"]["status"], "refused", {})

    return send


def _several(call: str) -> Tried:
    """A request for several documents, whose refusals may stand within an answer of status 200."""

    def of(index: str) -> Callable[[OpenSearch], object]:
        def fetch(client: OpenSearch) -> None:
            (answer,) = getattr(client, call)(index=index, body={"ids": [_NOBODY]})["docs"]
            if "error" in answer:
                raise TransportError(403, "refused", {})

        return fetch

    return of


def _close(index: str) -> Callable[[OpenSearch], object]:
    return lambda client: client.indices.close(index=f"{index}-no-such-index")


def _no_alias(index: str) -> dict[str, object]:
    return {"actions": [{"remove": {"index": index, "alias": _NOBODY}}]}


def _create(index: str) -> Callable[[OpenSearch], object]:
    body = {"settings": {"number_of_shards": 0}}
    return lambda client: client.indices.create(index=index, body=body)


def _drop(index: str) -> Callable[[OpenSearch], object]:
    return lambda client: client.indices.delete(index=index)


IN_AN_INDEX: dict[str, Tried] = {
    "search": lambda index: lambda it: it.search(index=index, body={"size": 1}),
    "get": lambda index: lambda it: it.get(index=index, id=_NOBODY),
    "index": lambda index: lambda it: it.index(index=index, id=_NOBODY, body={}, **_NEVER),
    "bulk": _bulk,
    "update": lambda index: lambda it: it.update(index=index, id=_NOBODY, body={"doc": {}}),
    "delete": lambda index: lambda it: it.delete(index=index, id=_NOBODY),
}
"""What is tried in an index that exists; each is safe."""

READING = {
    "count": lambda index: lambda it: it.count(index=index),
    "explain": lambda index: lambda it: it.explain(index=index, id=_NOBODY, body=_ALL),
    "field_caps": lambda index: lambda it: it.field_caps(index=index, fields="*"),
    "mget": _several("mget"),
    "mtermvectors": _several("mtermvectors"),
    "termvectors": lambda index: lambda it: it.termvectors(index=index, id=_NOBODY),
}
CHANGING = {
    "alias": lambda index: lambda it: it.indices.update_aliases(body=_no_alias(index)),
    "close": _close,
    "settings": lambda index: lambda it: it.indices.put_settings(index=index, body=_NO_SETTING),
}
OTHER_WAYS: dict[str, Tried] = {**READING, **CHANGING}
"""More that is tried in an index that exists, for an account that is to do very little.

To take away an alias that is not there ends with 404, a setting that does not exist with 400. What
is closed is an index that is not there (404), whose name only begins with the other's: a role for
one exact name is not seen by it.
"""

_BEYOND = {
    ACCOUNTS: lambda it: it.transport.perform_request("GET", _USERS),
    SETTINGS: lambda it: it.cluster.put_settings(body={"persistent": {"no.such.setting": 1}}),
}


def words(abilities: Iterable[str]) -> str:
    """Abilities as a part of a sentence, in a fixed order, and not more than four of them."""
    rest = sorted(abilities)
    return ", ".join(rest[:4]) + (f" and {len(rest) - 4} more" if len(rest) > 4 else "")


def plain_status(port: int, path: str = "/_cat/indices") -> int | None:
    """What a cluster answers to HTTP without TLS and without a login; ``None`` if nothing."""
    (host, *_) = loopback.addresses(loopback.HERE)
    connection = http.client.HTTPConnection(host, port, timeout=8)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (http.client.HTTPException, OSError):
        return None
    finally:
        connection.close()


def certificate_problem(lab: SearchLab) -> str:
    """Why a client that trusts the lab's CA alone does not accept the cluster's certificate."""
    context = ssl.create_default_context(cafile=str(lab.certificates.ca))
    try:
        with (
            loopback.connect(loopback.HERE, lab.inside.port, 8.0) as plain,
            context.wrap_socket(plain, server_hostname=loopback.HERE),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        return _WHY.get(error.verify_code, "it is not accepted")
    except (ssl.SSLError, OSError):
        return "no TLS was agreed"
