"""What a stranger gets over HTTP, and the false server, on sockets of this machine."""

import contextlib
import http.server
import os
import threading
from urllib.parse import urlsplit
from urllib.request import urlopen

import httpx
import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import SSLError, TransportError

from leftopen import loopback
from leftopen.engines.pki import make_pki
from leftopen.errors import NotLoopback
from leftopen.impostor import Impostor
from leftopen.outside_http import Internet
from leftopen.stranger_http import NO_ANSWER, knock, watching

SITE = "https://news.example"


@contextlib.contextmanager
def serving(status, body, kind="text/plain", **headers):
    """A small server that answers everything in one way; its answer can be changed."""
    said = {"status": status, "asked": []}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            said["asked"].append(self.headers.get("Origin"))
            self.send_response(said["status"])
            for name, value in {"Content-Type": kind, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer((loopback.HERE, 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", said
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "uri",
    [
        "http://192.0.2.1:9200",
        "https://search.example:9200",
        "mongodb://127.0.0.1:27017",
        "http://127.0.0.1",
        "127.0.0.1:9200",
    ],
)
def test_no_other_machine_is_asked(uri):
    with pytest.raises(NotLoopback):
        knock(uri)
    with pytest.raises(NotLoopback), watching(uri):
        pass


def test_the_status_the_words_and_the_headers_come_back():
    with serving(503, b"Not\n ready.", **{"X-Told": "Yes"}) as (uri, _):
        answer = knock(uri)
    assert (answer.status, answer.words, answer.headers["x-told"]) == (503, "Not ready.", "Yes")
    assert str(answer) == "503 Not ready."


def test_what_is_no_plain_text_is_told_by_its_status():
    with serving(200, b'{"name": "node-1"}', kind="application/json") as (uri, _):
        assert str(knock(uri)) == "200 OK"


def test_a_page_of_another_site_says_whose_it_is_and_a_stranger_does_not():
    with serving(200, b"x") as (uri, said):
        knock(uri)
        knock(uri, origin=SITE)
    assert said["asked"] == [None, SITE]


def test_whose_pages_may_read_an_answer_is_told():
    with serving(200, b"x", **{"Access-Control-Allow-Origin": SITE}) as (uri, _):
        assert knock(uri, origin=SITE).cors == SITE
    with serving(200, b"x") as (uri, _):
        assert knock(uri, origin=SITE).cors is None


def test_a_closed_port_and_a_server_that_speaks_tls_give_no_answer():
    with loopback.reserve() as closed:
        assert str(knock(f"http://127.0.0.1:{closed.getsockname()[1]}")) == NO_ANSWER
    with Impostor() as false:
        assert knock(false.uri).status == 401
        assert str(knock(false.uri.replace("https", "http"))) == NO_ANSWER


def test_watching_keeps_each_change_in_order_and_nothing_twice():
    with serving(200, b"in") as (uri, said), watching(uri) as seen:
        for status, kept in ((503, 2), (503, 2), (401, 3)):
            said["status"] = status
            while len(seen) < kept:
                pass
    assert seen == ["200 in", "503 in", "401 in"]


def test_watching_sees_what_changed_at_the_very_end():
    with serving(200, b"in") as (uri, said):
        with watching(uri) as seen:
            said["status"] = 401
        assert seen == ["200 in", "401 in"]


@pytest.mark.parametrize("others", [None, "example.org, .example.net"])
def test_a_proxy_of_the_notebook_is_not_asked_for_a_lab(monkeypatch, others):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        if others:
            monkeypatch.setenv(name, others)
    with serving(500, b"the proxy") as (proxy, _), serving(200, b"the server") as (uri, _):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("http_proxy", proxy)
        assert httpx.get(uri).text == "the proxy"
        with Internet(urlsplit(uri).port) as internet:
            internet.open()
            assert httpx.get(internet.uri).text == "the server"
            with urlopen(internet.uri) as answer:
                assert answer.read() == b"the server"
    for name in ("no_proxy", "NO_PROXY"):
        assert os.environ[name] == (f"{others},127.0.0.1" if others else "127.0.0.1")


def ask(uri, **options):
    with OpenSearch(uri, http_auth=("app", "pass:word"), **options) as client:
        return client.info()


def test_a_careless_client_gives_the_impostor_its_password():
    with Impostor() as false:
        with pytest.raises(TransportError) as refused:
            ask(false.uri, verify_certs=False, ssl_show_warn=False)
        assert refused.value.status_code == 401
        assert false.heard == ["app:pass:word"]


def test_a_client_that_verifies_tells_the_impostor_nothing(tmp_path):
    with Impostor() as false:
        with pytest.raises(SSLError):
            ask(false.uri, ca_certs=str(make_pki(tmp_path).ca))
        with pytest.raises(SSLError):
            ask(false.uri)
        assert false.heard == []
        knock(false.uri)
        assert false.heard == []


def test_the_impostor_is_gone_when_it_is_closed():
    false = Impostor()
    false.close()
    false.close()
    assert str(knock(false.uri)) == NO_ANSWER
