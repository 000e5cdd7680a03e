"""A search lab from opening to close, on a real OpenSearch."""

import ssl
import urllib.error
import urllib.request

import psutil
import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import AuthorizationException, OpenSearchException

from leftopen.cases import smart_city
from leftopen.engines import opensearch_home
from leftopen.errors import ConfigRefused, EngineFailed, EngineMissing

pytestmark = pytest.mark.needs("opensearch")
ADA = ("ada", "a-password-of-ada")
ROLE = """
reader:
  index_permissions:
  - index_patterns: ["residents"]
    allowed_actions: [read]
"""
USER = """
bob:
  hash: $2b$04$0123456789012345678901uC3hKc9gN8LLzHrGcoFqoDq3bY7XWqe
  opendistro_security_roles: [reader]
"""


def small(**more):
    return smart_city.small_lab(5, people=20, days=3, **more)


def locked():
    return small(config=smart_city.LOCKED, security=smart_city.security_files(*ADA))


@pytest.fixture(scope="module")
def open_lab():
    lab = small()
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def closed_lab():
    lab = locked()
    yield lab
    lab.close()


def status(uri, context=None):
    try:
        return urllib.request.urlopen(uri, context=context, timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code


def ada(lab):
    return OpenSearch(lab.inside.uri, http_auth=ADA, ca_certs=str(lab.certificates.ca))


def test_as_found_a_stranger_reads_and_writes(open_lab):
    stranger = OpenSearch(open_lab.outside.uri)
    assert stranger.count(index="residents")["count"] == 20
    stranger.index(index="left", body={"by": "a stranger"}, id=1)
    assert OpenSearch(open_lab.inside.uri).get(index="left", id=1)["found"]
    assert open_lab.is_as_found
    assert status(f"{open_lab.outside.uri}/_cat/indices") == 200


def test_what_a_notebook_shows(open_lab):
    shown = open_lab._repr_html_()
    assert f"href='{open_lab.outside.uri}/'" in shown
    assert "OpenSearch" in repr(open_lab)
    assert "http.port" in open_lab.added
    assert "] started" in open_lab.log.read_text()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "no.such.setting: 1",
            r"Line 1 \(`no.such.setting: 1`\): OpenSearch refuses this",
        ),
        ("network.host: 192.0.2.1", r"Line 1 .*`192.0.2.1` is not an address of this lab's"),
        ("http:\n\tport: 1", "Line 2 .* is not YAML"),
        ("plugins.security.disabled: false", "No SSL configuration found"),
    ],
)
def test_a_refused_configuration_leaves_the_last_good_one(open_lab, text, says):
    before = open_lab.config
    with pytest.raises(ConfigRefused, match=says):
        open_lab.configure(text)
    assert open_lab.config == before
    assert status(open_lab.outside.uri) == 200


def test_the_address_in_the_file_opens_and_shuts_the_door(open_lab, capsys):
    open_lab.configure("network:\n  host: 127.0.0.1\nhttp.port: 9200")
    assert "keeps its own http.port" in capsys.readouterr().out
    assert not open_lab.outside.is_open
    assert status(open_lab.inside.uri) == 200
    open_lab.configure("network.host: 0.0.0.0\ntransport.profiles.default.bind_host: 0.0.0.0")
    assert status(open_lab.outside.uri) == 200
    heard = psutil.Process(open_lab.server_pid).net_connections("tcp")
    addresses = {c.laddr.ip.removeprefix("::ffff:") for c in heard if c.status == "LISTEN"}
    assert addresses == {"127.0.0.1"}, "the node itself listens on loopback, whatever is written"


def test_locked_it_asks_for_trust_and_for_a_login(closed_lab):
    uri = closed_lab.outside.uri
    assert uri.startswith("https://")
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        status(uri)
    trusted = ssl.create_default_context(cafile=closed_lab.certificates.ca)
    assert status(uri, trusted) == 401
    with pytest.raises(OSError, match=r".*"):
        status(uri.replace("https", "http"))
    assert ada(closed_lab).count(index="residents")["count"] == 20


def test_the_plugins_files_take_effect_without_a_restart(closed_lab):
    pid = closed_lab.server_pid
    ada(closed_lab).security.create_user(username="bob", body={"password": "a-password-of-bob"})
    bob = OpenSearch(
        closed_lab.inside.uri,
        http_auth=("bob", "a-password-of-bob"),
        ca_certs=str(closed_lab.certificates.ca),
    )
    with pytest.raises(AuthorizationException):
        bob.count(index="residents")
    closed_lab.configure(ROLE, file="roles.yml")
    closed_lab.configure("reader: {users: [bob]}", file="roles_mapping.yml")
    assert bob.count(index="residents")["count"] == 20
    with pytest.raises(AuthorizationException):
        bob.count(index="watchlist")
    assert closed_lab.server_pid == pid
    text = closed_lab.config_folder.joinpath("opensearch-security", "roles_mapping.yml").read_text()
    assert "all_access" in text


def test_a_whole_file_may_be_written_in_any_form_of_yaml(closed_lab):
    path = closed_lab.config_folder / "opensearch-security" / "roles.yml"
    closed_lab.configure('{"only": {"cluster_permissions": ["*"]}}', True, file="roles.yml")
    assert "_meta:" in path.read_text()
    assert "only" in ada(closed_lab).security.get_roles()


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("roles.yml", "reader: {no_such_key: 1}", "Unrecognized field"),
        ("rules.yml", "a: {}", "There is no configuration file named 'rules.yml'"),
        ("roles.yml", "reader: [", "is not YAML"),
    ],
)
def test_a_refused_file_leaves_the_last_good_one(closed_lab, file, text, says):
    path = closed_lab.config_folder / "opensearch-security" / "roles.yml"
    before = path.read_text()
    with pytest.raises(ConfigRefused, match=says) as caught:
        closed_lab.configure(text, file=file)
    assert str(closed_lab.config_folder) not in str(caught.value)
    assert path.read_text() == before
    assert ada(closed_lab).count(index="residents")["count"] == 20


def test_the_next_lab_takes_over_a_node_that_runs_and_finds_it_as_new():
    first = locked()
    admin, folder = ada(first), first.config_folder
    admin.index(index="mine", body={"a": 1})
    admin.security.create_user(username="eve", body={"password": "a-password-of-eve"})
    admin.cluster.put_settings(body={"persistent": {"action.auto_create_index": "false"}})
    pid = first.server_pid
    first.retire()
    assert not first.is_running
    second = locked()
    try:
        assert second.server_pid == pid
        assert second.config_folder == folder
        admin = ada(second)
        names = {row["index"] for row in admin.cat.indices(format="json")}
        assert "mine" not in names
        assert admin.count(index="residents")["count"] == 20
        assert "eve" not in admin.security.get_users()
        assert admin.cluster.get_settings()["persistent"] == {}
        with pytest.raises(OpenSearchException):
            OpenSearch(first.outside.uri, max_retries=0).info()
    finally:
        second.close()
    assert not folder.exists()


def test_a_lab_that_began_otherwise_takes_over_nothing():
    first = small()
    first.retire()
    folder = first.config_folder
    second = small(config="plugins.security.disabled: true")
    try:
        assert second.config_folder != folder
        assert not folder.exists()
        assert not second.outside.is_open
    finally:
        second.close()


def test_closed_it_says_how_to_open_it_again_and_leaves_nothing():
    lab = small()
    folder = lab.config_folder
    lab.close()
    lab.close()
    assert not folder.exists()
    assert not lab.is_running
    with pytest.raises(EngineFailed, match="lab = open_case"):
        lab.configure("network.host: 0.0.0.0")
    assert "not running" in repr(lab)


def test_a_node_that_was_killed_comes_back_with_its_data(open_lab):
    psutil.Process(open_lab.server_pid).kill()
    psutil.wait_procs([psutil.Process(open_lab.server_pid)] if open_lab.server_pid else [], 5)
    assert not open_lab.is_running
    assert open_lab.way_back.startswith("lab.restart()")
    open_lab.restart()
    assert OpenSearch(open_lab.outside.uri).count(index="residents")["count"] == 20


def test_without_opensearch_one_sentence_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv(opensearch_home.CACHE, str(tmp_path))
    monkeypatch.delenv(opensearch_home.VARIABLE, raising=False)
    with pytest.raises(EngineMissing, match=r"Bring it with: .*leftopen engines"):
        small()
