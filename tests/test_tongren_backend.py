"""The service of the Tongren case as it was found: open, and its page needs no network."""

import json
import os
import re
import threading
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from in_browser import keep_picture
from kernels import Notebook, folder_for_servers, is_clean
from psycopg.rows import dict_row
from waiting import WAIT, until, wait_for

from leftopen.cases import tongren
from leftopen.cases.doors_feeder import DoorsFeeder

pytestmark = pytest.mark.needs("postgres")
PEOPLE = {"seed": 5, "residents": 160, "databases": ("doors_1", "doors_2")}
FOLDER = Path(tongren.__file__).with_name("tongren_backend")
CODE = sorted(FOLDER.glob("*.py"))
LONGEST, WIDEST = 45, 88  # lines, and characters of a line: lesson 03 shows it


@pytest.fixture(scope="module")
def lab():
    lab = tongren.small_lab(**PEOPLE, days=2, backend=tongren.backend_as_found())
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def outside(lab):
    with httpx.Client(base_url=lab.backend.outside.uri, timeout=WAIT) as client:
        yield client


def rows(lab, query, *values, database="doors_1"):
    """What the operator reads, as JSON has it."""
    uri = lab.inside.uri_of(database)
    with psycopg.connect(uri, row_factory=dict_row) as operator:
        found = operator.execute(query, values).fetchall()
    return [
        {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in row.items()}
        for row in found
    ]


@pytest.mark.parametrize("path", CODE, ids=lambda p: p.name)
def test_the_code_can_be_read_in_a_lesson(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= LONGEST
    assert max(map(len, lines)) <= WIDEST
    assert "as it was found" in path.read_text().split('"""')[1]


# -- what it answers ------------------------------------------------------------------------------


def test_all_routes_are_open_and_no_other_is_there(outside):
    paths = outside.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/",
        "/servers/{server}/buildings",
        "/servers/{server}/residents",
        "/servers/{server}/residents/{person}",
        "/servers/{server}/visitors",
        "/servers/{server}/passages",
        "/servers/{server}/passages/stream",
    }
    assert all(set(routes) == {"get"} for routes in paths.values())
    assert "security" not in json.dumps(paths)
    assert outside.get("/").json()["servers"] == [1, 2, 3, 4]
    person = outside.get("/servers/1/residents").json()[0]["person"]
    for path in set(paths) - {"/servers/{server}/passages/stream"}:
        assert outside.get(path.format(server=1, person=person)).status_code == 200


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("buildings", "SELECT * FROM buildings ORDER BY building"),
        ("residents?limit=1000", "SELECT * FROM residents ORDER BY person"),
        ("residents?limit=3&offset=2", "SELECT * FROM residents ORDER BY person LIMIT 3 OFFSET 2"),
        ("visitors?limit=1000", "SELECT * FROM visitors ORDER BY visitor"),
        ("visitors?limit=2&offset=1", "SELECT * FROM visitors ORDER BY visitor LIMIT 2 OFFSET 1"),
        ("passages?limit=9999", "SELECT * FROM passages ORDER BY at, passage"),
        (
            "passages?limit=5&offset=7",
            "SELECT * FROM passages ORDER BY at, passage LIMIT 5 OFFSET 7",
        ),
        (
            "passages?since=2020-08-16T08:00&until=2020-08-16T10:00&limit=9999",
            "SELECT * FROM passages WHERE at >= '2020-08-16 08:00+08'"
            " AND at < '2020-08-16 10:00+08' ORDER BY at, passage",
        ),
    ],
)
@pytest.mark.parametrize("server", [1, 2])
def test_each_server_tells_what_its_database_holds(lab, outside, server, path, query):
    wanted = rows(lab, query, database=f"doors_{server}")
    assert wanted
    assert outside.get(f"/servers/{server}/{path}").json() == wanted


def test_the_filters_let_through_what_was_asked_for_and_nothing_else(lab, outside):
    for house in (one["building"] for one in outside.get("/servers/1/buildings").json()):
        asked = {"building": house, "limit": 9999}
        for table, order in (("residents", "person"), ("passages", "at, passage")):
            query = f"SELECT * FROM {table} WHERE building = %s ORDER BY {order}"
            found = outside.get(f"/servers/1/{table}", params=asked).json()
            assert found == rows(lab, query, house)
    (most,) = rows(
        lab, "SELECT flat FROM passages WHERE flat <> '' GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
    )
    query = "SELECT * FROM passages WHERE flat = %s ORDER BY at, passage"
    found = outside.get("/servers/1/passages", params={**most, "limit": 9999}).json()
    assert found == rows(lab, query, most["flat"])
    assert len(found) > 1


def test_one_resident_is_shown_by_number_and_nobody_by_another(lab, outside):
    (one,) = rows(lab, "SELECT * FROM residents ORDER BY person LIMIT 1")
    assert outside.get(f"/servers/1/residents/{one['person']}").json() == one
    assert outside.get(f"/servers/2/residents/{one['person']}").status_code == 404
    assert outside.get("/servers/1/residents/0").status_code == 404


def test_what_is_asked_for_is_a_value_and_never_a_part_of_the_query(outside):
    for path in ("residents", "passages"):
        answer = outside.get(f"/servers/1/{path}", params={"building": "x' OR 'a' = 'a"})
        assert (answer.status_code, answer.json()) == (200, [])
    assert outside.get("/servers/1/residents", params={"limit": "1; DROP"}).status_code == 422
    assert outside.get("/servers/0/residents").status_code == 422
    assert outside.get("/servers/5/residents").status_code == 422


def test_nothing_can_be_written(outside):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert outside.request(method, "/servers/1/residents").status_code == 405


def test_an_error_tells_the_stranger_the_code_and_the_query(lab, outside):
    answer = outside.get("/servers/1/residents?limit=-1")
    assert answer.status_code == 500
    assert "Traceback" in answer.text
    assert "db.execute(sql, wanted)" in answer.text
    assert "LIMIT must not be negative" in lab.backend.last_words()


def test_the_service_comes_to_the_database_as_its_superuser(lab):
    assert lab.backend.environment["DATABASE_URL"].startswith("postgresql://postgres@127.0.0.1:")


# -- the live stream ------------------------------------------------------------------------------


def test_the_stream_sends_what_is_new_and_only_of_its_server(lab, outside):
    got = threading.Event()
    seen = []

    def listen():
        with outside.stream("GET", "/servers/2/passages/stream") as answer:
            got.set()
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    seen.append(json.loads(line.removeprefix("data: ")))
                if len(seen) == 3:
                    return

    before = rows(lab, "SELECT max(passage) AS last FROM passages", database="doors_2")[0]["last"]
    listener = threading.Thread(target=listen)
    listener.start()
    assert got.wait(WAIT)
    feeder = DoorsFeeder(lab, 5, 160)
    while listener.is_alive():
        feeder.send(2)
        listener.join(0.3)
    query = "SELECT * FROM passages WHERE passage > %s ORDER BY passage"
    later = rows(lab, query, before, database="doors_2")
    assert seen == [row for row in later if row["passage"] >= seen[0]["passage"]][:3]


def streams(lab):
    query = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = 'doors_1' AND pid <> %s"
    with psycopg.connect(lab.inside.uri_of("doors_1")) as operator:
        return operator.execute(query, [operator.info.backend_pid]).fetchone()[0]


def test_a_stream_whose_client_leaves_leaves_the_database_too(lab, outside):
    until(lambda: streams(lab) == 0)
    with outside.stream("GET", "/servers/1/passages/stream"):
        until(lambda: streams(lab) == 1)
    until(lambda: streams(lab) == 0)


def test_a_stream_locks_no_table(lab, outside):
    with outside.stream("GET", "/servers/1/passages/stream"):
        until(lambda: streams(lab) == 1)
        with psycopg.connect(lab.inside.uri_of("doors_1")) as operator:
            operator.execute("SET lock_timeout TO '20s'")
            operator.execute("ALTER TABLE passages ENABLE ROW LEVEL SECURITY")
            operator.execute("ALTER TABLE passages DISABLE ROW LEVEL SECURITY")


def test_after_a_restart_of_the_database_it_answers_again(lab, outside):
    lab.restart()
    assert outside.get("/servers/1/buildings").status_code == 200


# -- its documentation page -----------------------------------------------------------------------


def test_the_page_names_no_address_outside_and_brings_all_that_it_needs(outside):
    page = outside.get("/docs")
    assert "http" not in page.text
    needed = re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text)
    assert len(needed) == 3
    for path in [*needed, "/openapi.json"]:
        assert path.startswith("/")
        assert outside.get(path).status_code == 200


@pytest.mark.needs("chromium")
def test_a_stranger_reads_the_residents_from_the_documentation_page(lab, page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{lab.backend.outside.uri}/docs")
    page.get_by_text("/servers/{server}/residents", exact=True).click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_placeholder("server").fill("1")
    page.get_by_placeholder("limit").fill("2")
    page.get_by_role("button", name="Execute").click()
    shown = page.locator(".live-responses-table")
    shown.get_by_text("id_number").first.wait_for()
    keep_picture(page, "backend_docs_open")
    for person in rows(lab, "SELECT name, id_number FROM residents ORDER BY person LIMIT 2"):
        assert person["name"] in shown.inner_text()
        assert person["id_number"] in shown.inner_text()
    assert {url.split("/")[2] for url in asked} == {lab.backend.outside.uri.split("/")[2]}


# -- life and death -------------------------------------------------------------------------------

OPEN = """
import httpx
from leftopen.cases import tongren
lab = tongren.small_lab(3, residents=80, days=1, backend=tongren.backend_as_found())
"""
TELL = "print(lab.server_pid, lab.backend.server_pid)"
READ = "print(httpx.get(lab.backend.outside.uri + '/servers/1/buildings').status_code)"


@pytest.fixture
def notebook():
    with folder_for_servers("doors-") as folder:
        notebook = Notebook(folder)
        yield notebook
        notebook.end()


@pytest.mark.skipif(os.name != "posix", reason="signals to kernels are POSIX")
def test_interrupted_both_run_on_and_killed_both_are_gone(notebook):
    pids = notebook.run(OPEN + TELL).split()
    assert notebook.run(READ) == "200\n"
    notebook.interrupt_a_sleep()
    assert notebook.run(TELL).split() == pids
    assert notebook.run(READ) == "200\n"
    notebook.run("stream = httpx.stream('GET', lab.backend.uri + '/servers/1/passages/stream')")
    notebook.run("stream.__enter__()")
    notebook.kill()
    assert wait_for(lambda: is_clean(notebook.folder))
    assert wait_for(lambda: not any(psutil.pid_exists(int(pid)) for pid in pids))


def test_closed_both_are_gone():
    lab = tongren.small_lab(3, residents=80, days=1, backend=tongren.backend_as_found())
    folders = [lab.log.parent, lab.backend.folder.parent]
    pids = [lab.server_pid, lab.backend.server_pid]
    lab.close()
    assert not any(folder.exists() for folder in folders)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not lab.backend.outside.is_open
