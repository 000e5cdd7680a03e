"""The smart city goes on: a feeder adds events to the case's cluster while the learner watches."""

from collections.abc import Iterator

from opensearchpy import OpenSearch, helpers
from opensearchpy.exceptions import OpenSearchException, RequestError, TransportError

from leftopen.cases.background import Background
from leftopen.cases.smart_city import actions, make_index
from leftopen.errors import EngineFailed
from leftopen.lab_opensearch import SearchLab
from leftopen.synth.smart_city import later_events

EVENTS = 3
"""How many events a message has. At this pace a day of the estates passes in half a minute."""

_NO_ANSWER = "The cluster does not answer: lab.restart() starts it again, or open the case again."


class Feeder(Background):
    """What cameras and sensors write down from 1 May 2019 on, sent to a lab's cluster.

    The events are those of :func:`leftopen.synth.smart_city.later_events`, in their order. A second
    feeder of the same lab goes on where the first one stopped.

    Args:
        lab: a smart-city lab.
        account: the name of the account that writes; none where no login is asked for.
        password: its password.
    """

    no_answer = _NO_ANSWER

    def __init__(self, lab: SearchLab, account: str = "", password: str = "") -> None:
        self._login = (account, password) if account else None
        super().__init__(lab)

    def _later(self) -> Iterator[tuple[str, dict]]:
        return later_events()

    def send(self, count: int = EVENTS) -> int:
        """Send the next events now, in one message, and return how many the cluster accepted.

        Raises:
            EngineFailed: the cluster does not answer, or does not accept them; the message says
                why.
        """
        try:
            accepted = self._send(count)
        except (OpenSearchException, OSError) as error:
            raise EngineFailed(_why(error, self._login)) from error
        self.sent += accepted
        return accepted

    def _send(self, count: int) -> int:
        source = self._source
        with source.lock, self._client() as client:
            events = source.next(count)
            for index in dict.fromkeys(name for name, _ in events):
                if index not in source.made:
                    _make(client, index)
                    source.made.add(index)
            one_by_one = (act for name, event in events for act in actions({name: [event]}))
            helpers.bulk(client, one_by_one, refresh=True)
            del source.waiting[: len(events)]
        return len(events)

    def _client(self) -> OpenSearch:
        options: dict = {"http_auth": self._login} if self._login else {}
        if self.lab.inside.uri.startswith("https"):
            options["ca_certs"] = str(self.lab.certificates.ca)
        return OpenSearch(self.lab.inside.uri, timeout=10, max_retries=0, **options)

    def _is_final(self, error: EngineFailed) -> bool:
        """Whether the cluster refuses this account, or its events."""
        return getattr(error.__cause__, "status_code", None) in (401, 403) or isinstance(
            error.__cause__, helpers.BulkIndexError
        )


def _make(client: OpenSearch, index: str) -> None:
    """Make an index with the types of its fields, if it is not there and we may."""
    try:
        make_index(client, index)
    except RequestError as error:
        if error.error != "resource_already_exists_exception":
            raise
    except TransportError as error:
        # Whoever may write need not be allowed to make an index: the message itself will tell.
        if error.status_code != 403:
            raise


def _why(error: Exception, login: tuple[str, str] | None) -> str:
    """One sentence on what went wrong, and one on what to do."""
    who = f"the account {login[0]!r}" if login else "a feeder without a login"
    status = getattr(error, "status_code", None)
    if status == 401:
        return f"The cluster does not know {who}: give Feeder a name and a password that it knows."
    if status == 403:
        return f"The cluster refuses {who}: its roles must allow it to write these indices."
    if isinstance(error, helpers.BulkIndexError):
        told = next(iter(error.errors[0].values())).get("error", {})
        reason = told.get("reason", "") if isinstance(told, dict) else str(told)
        return f"The cluster does not accept the events of {who}: {reason.rstrip('.')}."
    return _NO_ANSWER
