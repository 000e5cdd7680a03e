"""The doors' feeder: it adds later passages, and what is sent arrives in the live stream."""

import json
import threading
import time
from itertools import islice

import httpx
import psycopg
import pytest
from waiting import WAIT, until

from leftopen.cases import tongren
from leftopen.cases.doors_feeder import DoorsFeeder
from leftopen.errors import EngineFailed
from leftopen.synth.tongren import later_passages

pytestmark = pytest.mark.needs("postgres")
PEOPLE = {"seed": 7, "residents": 120}


@pytest.fixture(scope="module")
def lab():
    lab = tongren.small_lab(
        **PEOPLE, days=1, databases=("doors_1", "doors_2"), backend=tongren.backend_as_found()
    )
    yield lab
    lab.close()


def newest(lab, database, count):
    with psycopg.connect(lab.inside.uri_of(database)) as operator:
        rows = operator.execute("SELECT * FROM passages ORDER BY passage DESC LIMIT %s", [count])
        return rows.fetchall()[::-1]


def written(lab):
    return sum(newest(lab, name, 1)[0][0] for name in ("doors_1", "doors_2"))


def test_what_it_sends_is_there_in_order_and_a_second_feeder_goes_on(lab):
    first, second = DoorsFeeder(lab, **PEOPLE), DoorsFeeder(lab, **PEOPLE)
    last = {name: newest(lab, name, 1)[0][0] for name in ("doors_1", "doors_2")}
    assert first.send(5) == 5
    assert second.send(7) == 7
    assert (first.sent, second.sent) == (5, 7)
    events = list(islice(later_passages(7, 120, ("doors_1", "doors_2")), 12))
    for name in last:
        mine = [tuple(row.values()) for database, row in events if database == name]
        found = newest(lab, name, len(mine))
        assert [row[0] for row in found] == [last[name] + n for n in range(1, len(mine) + 1)]
        assert [row[1:] for row in found] == mine


def test_whoever_passes_is_one_of_those_who_live_there_or_visit(lab):
    DoorsFeeder(lab, **PEOPLE).send(200)
    unknown = """
        SELECT count(*) FROM passages
        LEFT JOIN residents USING (person) LEFT JOIN visitors USING (visitor)
        WHERE residents.name IS NULL AND visitors.name IS NULL"""
    for name in ("doors_1", "doors_2"):
        with psycopg.connect(lab.inside.uri_of(name)) as operator:
            assert operator.execute(unknown).fetchone() == (0,)


def test_it_runs_by_itself_once_and_stops(lab):
    first, second = DoorsFeeder(lab, **PEOPLE), DoorsFeeder(lab, **PEOPLE)
    first.start()
    first.start()
    assert len([t for t in threading.enumerate() if t.name == "leftopen-feeder"]) == 1
    until(lambda: first.sent > 0)
    second.start()
    assert not first.is_running
    until(lambda: second.sent > 0)
    second.stop()
    there = written(lab)
    time.sleep(1.2)
    assert written(lab) == there


def test_what_it_sends_comes_out_of_the_live_stream_of_its_server(lab):
    uri = f"{lab.backend.outside.uri}/servers/1/passages/stream"
    with httpx.stream("GET", uri, timeout=WAIT) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        feeder = DoorsFeeder(lab, **PEOPLE)
        feeder.start()
        data = (line for line in answer.iter_lines() if line.startswith("data: "))
        seen = [json.loads(next(data).removeprefix("data: ")) for _ in range(3)]
        feeder.stop()
    numbers = [passage["passage"] for passage in seen]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    with psycopg.connect(lab.inside.uri_of("doors_1")) as operator:
        asked = "SELECT building, status FROM passages WHERE passage = ANY(%s) ORDER BY passage"
        rows = operator.execute(asked, [numbers]).fetchall()
    assert rows == [(passage["building"], passage["status"]) for passage in seen]


def rename(lab, table, name):
    for database in ("doors_1", "doors_2"):
        with psycopg.connect(lab.inside.uri_of(database)) as operator:
            operator.execute(f"ALTER TABLE {table} RENAME TO {name}")


def test_a_passage_that_is_refused_is_told_and_not_lost(lab):
    feeder = DoorsFeeder(lab, **PEOPLE)
    rename(lab, "passages", "moved")
    with pytest.raises(EngineFailed, match='relation "passages" does not exist'):
        feeder.send(2)
    assert feeder.sent == 0
    rename(lab, "moved", "passages")
    before = written(lab)
    assert feeder.send(2) == 2
    assert written(lab) == before + 2


def test_it_waits_for_a_server_that_restarts_and_says_when_there_is_none():
    lab = tongren.small_lab(**PEOPLE, days=1)
    feeder = DoorsFeeder(lab, **PEOPLE)
    feeder.start()
    try:
        until(lambda: feeder.sent > 0)
        lab.restart()
        sent = feeder.sent
        until(lambda: feeder.sent > sent)
    finally:
        feeder.stop()
        lab.close()
    with pytest.raises(EngineFailed, match="does not answer"):
        feeder.send()
