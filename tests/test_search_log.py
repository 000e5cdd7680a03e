"""How long exercise 09 waits for the audit log, on a cluster that is slow."""

from types import SimpleNamespace

import pytest

from leftopen.checks import lock_the_search_cluster_log as log

ENTRY = {"audit_category": "FAILED_LOGIN", "audit_request_effective_user": "nobody"}
WANTED = {("FAILED_LOGIN", "nobody")}


class Cluster:
    """A client of a cluster whose each answer takes some seconds of a clock of its own.

    Args:
        answers_in: seconds that a search takes.
        logs_at: the search at which the entry is there.
        older: for how many seconds older entries come in.
    """

    def __init__(self, answers_in, logs_at, older=0.0):
        self.answers_in, self.logs_at, self.older = answers_in, logs_at, older
        self.now, self.searches = 0.0, 0
        self.indices = SimpleNamespace(refresh=lambda index: None)

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds

    def search(self, index, body):
        self.now += self.answers_in
        self.searches += 1
        hits = [{"_source": ENTRY}] if self.searches >= self.logs_at else []
        return {"hits": {"hits": hits}}

    def count(self, index):
        return {"count": int(100 * min(self.now, self.older))}


@pytest.mark.parametrize(
    ("answers_in", "logs_at"),
    [(0.01, 3), (0.01, 36), (1.0, 3), (1.0, 20)],  # the last one is there after 22 seconds
)
def test_what_comes_is_waited_for_also_where_each_answer_is_slow(monkeypatch, answers_in, logs_at):
    cluster = Cluster(answers_in, logs_at)
    monkeypatch.setattr(log, "time", cluster)
    assert log._wait_for(cluster, "", WANTED) == [ENTRY]
    assert cluster.searches == logs_at


def test_what_stands_behind_older_entries_is_waited_for(monkeypatch):
    cluster = Cluster(0.01, 100, older=10.9)  # the hundredth search is after 10.9 seconds
    monkeypatch.setattr(log, "time", cluster)
    assert log._wait_for(cluster, "", WANTED) == [ENTRY]


def test_older_entries_without_an_end_are_not(monkeypatch):
    cluster = Cluster(0.01, 10_000, older=10_000)
    monkeypatch.setattr(log, "time", cluster)
    assert log._wait_for(cluster, "", WANTED) == []
    assert log._MOST_SECONDS <= cluster.now < 2 * log._MOST_SECONDS


@pytest.mark.parametrize("answers_in", [0.001, 0.01, 1.0])
def test_what_does_not_come_is_not_waited_for_without_an_end(monkeypatch, answers_in):
    cluster = Cluster(answers_in, 1_000)
    monkeypatch.setattr(log, "time", cluster)
    assert log._wait_for(cluster, "", WANTED) == []
    assert cluster.now >= log._WAIT_SECONDS
    assert cluster.searches >= log._LOOKS
