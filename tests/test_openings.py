"""No module of the package opens a connection past the guard: its source is read."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_loopback import passes

import leftopen

PACKAGE = Path(leftopen.__file__).parent
# The package's source opens nothing past the guard

GUARD = "leftopen.loopback"

# The last part of a call's name: whatever it is called on, it may open a socket.
OPENERS = """
connect connect_ex bind listen sendto create_connection create_server open_connection start_server
create_datagram_endpoint sock_connect sock_sendto urlopen urlretrieve MongoClient AsyncMongoClient
OpenSearch AsyncOpenSearch ConnectionPool HTTPConnection HTTPSConnection HTTPServer
ThreadingHTTPServer TCPServer ThreadingTCPServer UDPServer ServerProxy FTP SMTP
"""
# Every call into these opens something, or is about to.
NETWORK_MODULES = """
requests httpx urllib3 aiohttp urllib.request http.client http.server socketserver ftplib smtplib
poplib imaplib xmlrpc websockets tornado
"""
FILES = {"sqlite3.connect", "duckdb.connect"}  # a file, not an address

# (file, function): why a call there is safe although the guard is not seen in the call itself.
_A_LABS_OWN = "lab.inside.uri or lab.outside.uri, which are 127.0.0.1 as a literal"
_A_SERVICES_OWN = "Backend lets each host of its DATABASE_URL pass the guard"
_THE_SOCKET = "the lab's own connection, through the socket in its private folder"
ALLOWED = {
    ("audit/backend/web.py", "Web.__init__"): "_that_answers takes the address from the guard",
    ("audit/postgres/look.py", "PostgresLook._connect"): "a socket, or just passed the guard",
    ("backup/postgres.py", "_connected"): "each host has just passed loopback.addresses",
    ("cases/doors_feeder.py", "DoorsFeeder._later"): _A_LABS_OWN,
    ("cases/doors_feeder.py", "DoorsFeeder.send"): _A_LABS_OWN,
    ("cases/feeder.py", "Feeder._client"): _A_LABS_OWN,
    ("cases/three_servers.py", "postgres.roles"): _THE_SOCKET,
    ("cases/three_servers.py", "search_client"): "localhost, which passed the guard a line above",
    ("cases/tongren.py", "load"): _THE_SOCKET,
    ("cases/tongren_api.py", "prepare"): _THE_SOCKET,
    ("cases/tongren_api_backend/database.py", "connect"): _A_SERVICES_OWN,
    ("cases/tongren_api_backend/login.py", "login"): _A_SERVICES_OWN,
    ("cases/tongren_backend/database.py", "connect"): _A_SERVICES_OWN,
    ("cases/tongren_often_backend/login.py", "login"): _A_SERVICES_OWN,
    ("checks/case_beijing_smart_city_growing.py", "_Writer.__init__"): _A_LABS_OWN,
    ("checks/case_beijing_smart_city_growing.py", "_call.run"): _A_LABS_OWN,
    ("checks/case_beijing_smart_city_growing.py", "_check"): _A_LABS_OWN,
    ("checks/case_beijing_smart_city_server.py", "read"): _A_LABS_OWN,
    ("checks/case_sensenets_changes.py", "_try_all"): _A_LABS_OWN,
    ("checks/case_sensenets_server.py", "read"): _A_LABS_OWN,
    ("checks/case_tongren_doors_closing.py", "_open.prepare"): _THE_SOCKET,
    ("checks/case_tongren_doors_stranger.py", "routes_that_tell"): _A_LABS_OWN,
    ("checks/case_tongren_doors_probe.py", "_login_page"): "never bound: its socket is the guard's",
    ("checks/case_tongren_doors_server.py", "ask"): _A_LABS_OWN,
    ("checks/close_the_back_end_database.py", "_comes_in"): "loopback.HERE, or a lab's socket",
    ("checks/encrypt_at_rest_and_back_up_drill.py", "_empty"): _A_LABS_OWN,
    ("checks/encrypt_at_rest_and_back_up_drill.py", "_operator"): _A_LABS_OWN,
    ("checks/encrypt_at_rest_and_back_up_sealed.py", "_restored"): "127.0.0.1 as a literal",
    ("checks/encrypt_the_field_vault.py", "operator"): _A_LABS_OWN,
    ("checks/give_each_role_its_part_more.py", "_outside"): _A_LABS_OWN,
    ("checks/http_probe.py", "Caller.__init__"): "the host has just passed loopback.addresses",
    ("checks/persona.py", "operator"): _A_LABS_OWN,
    ("checks/probe.py", "Who.__init__"): _A_LABS_OWN,
    ("checks/question_backend/kept.py", "open_one"): _A_SERVICES_OWN,
    ("checks/sql_lab.py", "open_lab.prepare"): _THE_SOCKET,
    ("checks/sql_probe.py", "_connect"): "127.0.0.1 as a literal in Who, or the lab's own socket",
    ("checks/stranger_log.py", "_log_in"): "127.0.0.1, two lines above",
    ("engines/postgres_server.py", "PostgresServer.connect"): _THE_SOCKET,
    ("engines/postgres_server.py", "PostgresServer.load_hba"): _THE_SOCKET,
    ("lab_mongodb.py", "MongoLab._load"): "the address is _uri's, which is 127.0.0.1 as a literal",
    ("lab_opensearch.py", "SearchLab._operator"): _A_LABS_OWN,
    ("checks/search_probe.py", "operator"): _A_LABS_OWN,
    ("checks/search_probe.py", "Who.__init__"): _A_LABS_OWN,
    ("checks/search_probe.py", "plain_status"): "the host has just passed loopback.addresses",
    ("impostor_words.py", "Conversation.server"): "on a socket that loopback has just connected",
    ("proof.py", "_connected"): "each host of the address has just passed loopback.addresses",
    ("stranger_http.py", "knock"): "the host has just passed loopback.addresses",
    ("stranger.py", "_connect"): "each host of the address has just passed loopback.addresses",
    ("stranger.py", "overhear"): "each host of the address has just passed loopback.addresses",
    ("widgets.py", "Explorer.__init__"): _A_LABS_OWN,
}


def openings(source: str) -> list[tuple[str, str, int]]:
    """Calls that may open a socket, with a host that is neither the guard's nor a loopback literal.

    Each is given as the function that it stands in, the name of what is called, and the line. It
    reads what is written: a function that is fetched by its name at run time escapes it.
    """
    tree = ast.parse(source)
    imported = dict(pair for node in ast.walk(tree) for pair in bindings(node))
    found = []

    def name(node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            return imported.get(node.id, node.id)
        return f"{name(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else "?"

    def is_guard(node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and name(node.func).startswith(f"{GUARD}.")

    def is_guarded(call: ast.Call) -> bool:
        hosts = [k.value for k in call.keywords if k.arg == "host"] or call.args[:1]
        host = hosts[0] if hosts else None
        if isinstance(host, ast.Tuple) and host.elts:
            host = host.elts[0]
        if isinstance(host, ast.Subscript):  # loopback.addresses(name)[0]
            host = host.value
        return is_guard(host) or (isinstance(host, ast.Constant) and passes(host.value))

    def opens(call: ast.Call) -> bool:
        called = name(call.func)
        network = any(called.startswith(f"{module}.") for module in NETWORK_MODULES.split())
        return (network or called.rpartition(".")[2] in OPENERS.split()) and called not in FILES

    def walk(node: ast.AST, scope: tuple[str, ...]) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            scope = (*scope, node.name)
        if isinstance(node, ast.Call) and opens(node) and not (is_guard(node) or is_guarded(node)):
            found.append((".".join(scope), name(node.func), node.lineno))
        for child in ast.iter_child_nodes(node):
            walk(child, scope)

    walk(tree, ())
    return found


def bindings(node: ast.AST) -> Iterator[tuple[str, str]]:
    """The names that an import brings, with what each stands for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            first = alias.name.partition(".")[0]
            yield (alias.asname, alias.name) if alias.asname else (first, first)
    if isinstance(node, ast.ImportFrom):
        module = ("leftopen." * bool(node.level) + (node.module or "")).rstrip(".")
        for alias in node.names:
            yield alias.asname or alias.name, f"{module}.{alias.name}"


PLANTED = """
import socket; socket.create_connection(("example.org", 80))
import socket as s; s.create_connection((host, 80))
from socket import create_server as serve; serve(("", 80))
sock.connect((host, 80))
self.sock.connect_ex(self.place)
sock.bind(("0.0.0.0", 80))
sock.listen()
from pymongo import MongoClient; MongoClient(uri)
import pymongo; pymongo.MongoClient()
import pymongo as p; p.MongoClient(host="db.example.org")
from pymongo import MongoClient as M; M(uri)
import psycopg; psycopg.connect(dsn)
import urllib.request; urllib.request.urlopen("https://example.org")
from urllib import request; request.build_opener().open(url)
import http.server; http.server.ThreadingHTTPServer(("", 80), handler)
import asyncio; asyncio.open_connection("example.org", 80)
import asyncio; asyncio.start_server(serve, "0.0.0.0", 80)
from elsewhere import loopback; loopback.connect(host, 80, 1)
"""

GUARDED = """
from leftopen import loopback; loopback.connect(host, port, 1)
from leftopen.loopback import connect; connect(host, port, 1)
from . import loopback; loopback.listen()
from leftopen import loopback; loopback.listen_on(sock)
import pymongo; from leftopen import loopback; pymongo.MongoClient(loopback.addresses(h)[0], port)
import pymongo; pymongo.MongoClient("127.0.0.1", port)
import psycopg; psycopg.connect(host="127.0.0.1", port=port)
sock.bind(("127.0.0.1", 0))
import sqlite3; sqlite3.connect(path)
", ".join(words)
"""


@pytest.mark.parametrize("source", PLANTED.strip().splitlines())
def test_a_planted_opening_is_found(source):
    assert openings(source)


@pytest.mark.parametrize("source", GUARDED.strip().splitlines())
def test_a_guarded_opening_is_not(source):
    assert not openings(source)


def test_an_opening_is_named_by_its_function():
    source = "class Lab:\n    def open(self, sock):\n        sock.connect(self.place)\n"
    assert openings(source) == [("Lab.open", "sock.connect", 3)]


def test_the_package_opens_nothing_past_the_guard():
    found = {
        (path.relative_to(PACKAGE).as_posix(), function): f"line {line}: {call}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for function, call, line in openings(path.read_text(encoding="utf-8"))
    }
    found = {place: call for place, call in found.items() if place[0] != "loopback.py"}
    unguarded = {place: call for place, call in found.items() if place not in ALLOWED}
    assert not unguarded, "let the host pass leftopen.loopback, or state in ALLOWED why it is safe"
    assert not ALLOWED.keys() - found.keys(), "these exceptions are no longer needed"
