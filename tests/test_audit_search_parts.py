"""The parts of the search cluster's auditor that need no cluster: rights, names, files, clients."""

import contextlib
import http.server
import json
import ssl
import threading

import pytest
import seeded_search as seeded
from audits import ids
from cryptography import x509

from leftopen import loopback
from leftopen.audit import holes, run
from leftopen.audit.opensearch import client, rights, settings, tls
from leftopen.audit.personal import DEVICES_AND_GROUPS, identifiers, kind_of
from leftopen.audit.shared import Target

NOBODY = "http://127.0.0.1:1"  # nothing listens there
GROUPS = {"read": {"allowed_actions": ["indices:data/read*"]},
          "crud": {"allowed_actions": ["read", "indices:data/write*"]},
          "loop": {"allowed_actions": ["loop", "crud"]}}  # fmt: skip


# -- rights -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "name", "takes"),
    [
        ("*", "anything", True),
        ("faces-*", "faces-2019.04", True),
        ("faces-*", "devices-2019.04", False),
        ("faces-2019.0?", "faces-2019.04", True),
        ("faces.2019", "faces-2019", False),  # a full stop is no wildcard
        ("/faces-\\d+/", "faces-2019", True),
        ("/faces-\\d+/", "faces-", False),
        ("/(/", "(", False),
        ("${user_name}", "ops", False),
    ],
)
def test_a_pattern_takes_a_name(pattern, name, takes):
    assert rights.matches(pattern, name) is takes


def model(role, mapping=None, user=None, **more):
    mappings = {"part": mapping or {"users": ["board"]}} | more
    return rights.build({"board": user or {}}, {"part": role}, mappings, GROUPS)


@pytest.mark.parametrize(
    ("pattern", "actions", "broad"),
    [
        ("*", ["read"], "reading every index"),
        ("*", ["loop"], "reading and writing every index"),
        ("/.*/", ["indices:data/write/*"], "writing every index"),
        ("*", ["indices:admin/aliases*"], ""),
        ("faces-*", ["*"], ""),
        ("?*", ["crud"], "reading and writing every index"),
    ],
)
def test_what_a_role_is_too_broad_in(pattern, actions, broad):
    found = model(seeded.index(pattern, *actions)).roles["part"].too_broad
    assert found.startswith(broad) if broad else found == ""


@pytest.mark.parametrize(
    ("right", "dangerous"),
    [
        ("restapi:admin/*", True),
        ("restapi:admin/internalusers", True),
        ("cluster:admin/*", True),
        ("cluster:*", True),
        ("cluster:admin/snapshot/restore", True),
        ("cluster:monitor/main", False),
        ("indices:data/read/scroll", False),
    ],
)
def test_rights_over_the_cluster(right, dangerous):
    assert bool(model(seeded.cluster(right)).roles["part"].dangerous) is dangerous


@pytest.mark.parametrize(
    ("user", "mapping", "way"),
    [
        ({}, {"users": ["board"]}, "its name"),
        ({}, {"users": ["b*"]}, "users: b*"),
        ({}, {"users": ["ops"]}, None),
        ({"backend_roles": ["staff"]}, {"backend_roles": ["staff"]}, "backend role staff"),
        ({"backend_roles": ["a"]}, {"and_backend_roles": ["a", "b"]}, None),
        ({"backend_roles": ["a", "b"]}, {"and_backend_roles": ["a", "b"]}, "backend roles a and b"),
        ({"opendistro_security_roles": ["part"]}, {"users": []}, "its own entry"),
        ({}, {"hosts": ["*"]}, "hosts: *"),
    ],
)
def test_by_which_way_an_account_has_a_role(user, mapping, way):
    (account,) = model({}, mapping, user).accounts
    assert account.roles.get("part") == way


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        ({}, True),
        ({"fls": ["~idNumber"]}, False),
        ({"fls": ["~id*"]}, False),
        ({"fls": ["~place"]}, True),
        ({"fls": ["place"]}, False),
        ({"fls": ["place", "idNumber"]}, True),
        ({"masked_fields": ["idNumber::/./::*"]}, False),
    ],
)
def test_whether_a_role_shows_a_field(part, shown):
    right = {"index_patterns": ["faces-*"], "allowed_actions": ["read"], **part}
    (found,) = model({"index_permissions": [right]}).roles["part"].indices
    assert found.shows("idNumber") is shown


# -- configuration files, in both products' names ---------------------------------------------

FILES = [
    ("plugins.security.disabled: true", {"security-off"}),
    ("opendistro_security.disabled: true", {"security-off"}),
    ("plugins:\n  security:\n    disabled: true", {"security-off"}),
    ("xpack.security.enabled: false", {"security-off"}),
    ("xpack.security.enabled: true", set()),
    ("xpack:\n  security:\n    http.ssl.enabled: false", {"no-tls"}),
    ("plugins.security.ssl.http.enabled: false", {"no-tls"}),
    ("network.host: 0.0.0.0", {"bound-everywhere"}),
    ("network.host: [_local_, _site_]", {"bound-everywhere"}),
    ("network.host: 0.0.0.0\nhttp.host: _local_", {"bound-everywhere"}),
    ("network.host: 0.0.0.0\nhttp.host: _local_\ntransport.host: _local_", set()),
    ("transport.profiles.default.bind_host: 0.0.0.0", {"bound-everywhere"}),
    ("network.host: 127.0.0.1", set()),
    ('http.cors.enabled: true\nhttp.cors.allow-origin: "*"', {"cors-open"}),
    ("http.cors.enabled: true\nhttp.cors.allow-origin: /.*/", {"cors-open"}),
    ('http.cors.enabled: false\nhttp.cors.allow-origin: "*"', set()),
    ("http.cors.enabled: true\nhttp.cors.allow-origin: https://board.example", set()),
    ("xpack.security.authc.anonymous.roles: [viewer]", {"anonymous-role"}),
    ("xpack.security.audit.enabled: false", {"audit-off"}),
    ("xpack.security.audit.logfile.events.emit_request_body: true", {"audit-bodies"}),
    ("plugins.security.audit.type: noop", {"audit-off"}),
    ("xpack.security.http.ssl.supported_protocols: [TLSv1.1, TLSv1.2]", {"old-tls"}),
    ('plugins.security.authcz.admin_dn: ["CN=*,O=x"]', {"admin-dn"}),
    ('plugins.security.authcz.admin_dn: ["CN=kirk,OU=client,O=client,L=test,C=de"]',
     {"demo-certificate"}),
    ('plugins.security.nodes_dn: ["*"]', {"admin-dn"}),
]  # fmt: skip


AUDITED = "\nxpack.security.audit.enabled: true"


@pytest.mark.parametrize(("text", "expected"), FILES)
def test_a_configuration_file_is_judged_where_nobody_answers(tmp_path, text, expected):
    audited = "" if "audit.enabled" in text or "audit.type" in text else AUDITED
    path = tmp_path / "elasticsearch.yml"
    path.write_text(text + audited)
    report = run(NOBODY, config=path)
    assert ids(report) == expected, report
    assert all("elasticsearch.yml → " in f.evidence for f in report.findings)
    assert report.exit_code == (1 if expected - {"no-tls"} else 2)  # on loopback it is a note
    assert {"anonymous-read", "known-hole"} <= {n.id for n in report.not_looked}


@pytest.mark.parametrize(
    ("text", "line", "port"),
    [
        ("network.host: 0.0.0.0", "network.host: 127.0.0.1", 1),
        ("network.host: 0.0.0.0\nhttp.host: _local_", "transport.host: 127.0.0.1", 9300),
    ],
)
def test_the_door_that_is_open_is_the_one_to_be_closed_and_tried_again(tmp_path, text, line, port):
    path = tmp_path / "opensearch.yml"
    path.write_text(text + AUDITED)
    (found,) = run(NOBODY, config=path).findings
    assert line in found.fix
    assert f":{port}'" in found.retest
    path.write_text(f"{text}\n{line}{AUDITED}".replace("network.host: 0.0.0.0\nnet", "net"))
    assert not run(NOBODY, config=path).findings


def test_a_file_without_an_audit_log(tmp_path):
    path = tmp_path / "opensearch.yml"
    path.write_text("network.host: 127.0.0.1\n")
    assert ids(run(NOBODY, config=path)) == {"audit-off"}


def test_values_with_commas_and_lists():
    said = settings.from_text(
        "plugins.security.authcz.admin_dn:\n- CN=a,O=b\n- CN=c,O=d\n", "x"
    ).said("admin-dn")
    assert said.values == ("CN=a,O=b", "CN=c,O=d")
    assert settings.from_text("network.host: 127.0.0.1, ::1", "x").said("host").values == (
        "127.0.0.1",
        "::1",
    )
    assert settings.from_text("", "x").said("host") is None


# -- what an application says to its driver ---------------------------------------------------


def context(check_hostname=True, verify=ssl.CERT_REQUIRED):
    made = ssl.create_default_context()
    made.check_hostname = check_hostname
    made.verify_mode = verify
    return made


CLIENTS = [
    ("https://db.example:9200", {"ca_certs": "ca.pem"}, set()),
    ("https://db.example", {"ssl_context": context()}, set()),
    ("http://db.example", {}, set()),  # in clear, and there is no server here that speaks TLS
    ("https://shop:pw@db.example", {}, {"client-password"}),
    ("https://db.example", {"verify_certs": False}, {"client-insecure"}),
    ("https://db.example", {"verify_certs": "false"}, {"client-insecure"}),
    ("https://db.example", {"verify_certs": True}, set()),
    ("https://db.example", {"ssl_context": context(False, ssl.CERT_NONE)}, {"client-insecure"}),
    ("https://db.example", {"ssl_context": context(False)}, {"client-any-host"}),
    ("https://db.example", {"ssl_assert_hostname": False}, {"client-any-host"}),
]


@pytest.mark.parametrize(("uri", "options", "expected"), CLIENTS)
def test_the_applications_options_are_judged(uri, options, expected):
    assert ids(run(NOBODY, client_uri=uri, client_options=options)) == expected


def test_the_account_of_an_application():
    def user(uri, **options):
        target = Target("127.0.0.1", 1, client_uri=uri, client_options=options)
        return client.parse(target).user

    assert user("https://a%40b:pw@db.example") == "a@b"
    assert user("https://db.example", http_auth=("board", "pw")) == "board"
    assert user("https://db.example", http_auth="board:pw") == "board"
    assert user("https://db.example") == ""


def test_a_password_in_the_address_is_never_told():
    report = run(NOBODY, client_uri="https://shop:sesame-open@db.example")
    assert "sesame-open" not in repr(report) + report._repr_html_()


def test_a_name_counts_where_a_few_values_look_like_something_else():
    numbers = [f"00101000000000{n}" for n in range(10)]
    assert len([n for n in numbers if kind_of(n)]) == 1, "one check digit in ten is right"
    documents = [{"imsi": n, "camera": f"cam-{n}"} for n in numbers]
    (found,) = identifiers(documents, DEVICES_AND_GROUPS)
    assert (found.field, found.kind, found.hits) == ("imsi", "a phone card's number", 10)
    assert identifiers(documents) == []


# -- certificates -----------------------------------------------------------------------------


def test_a_demo_certificate_is_known_by_its_issuer(tmp_path):
    for issuer, known in ((tls.DEMO_ISSUER, True), ("Example Company Root CA", False)):
        seeded.odd_certificate(tmp_path, issuer)
        made = x509.load_pem_x509_certificate((tmp_path / "odd.pem").read_bytes())
        assert bool(tls.is_demo(made)) is known


def test_a_demo_certificate_is_known_by_its_fingerprint(tmp_path, monkeypatch):
    seeded.odd_certificate(tmp_path, "anybody")
    made = x509.load_pem_x509_certificate((tmp_path / "odd.pem").read_bytes())
    assert tls.is_demo(made) == ""
    digest = made.fingerprint(made.signature_hash_algorithm).hex()
    monkeypatch.setitem(tls.DEMO, digest, "esnode.pem")
    assert "that of esnode.pem" in tls.is_demo(made)


# -- Elasticsearch's answers, from a server that plays it ---------------------------------------


@contextlib.contextmanager
def playing(answers):
    """A server that gives these answers, as (status, body) by path, and 400 to everything else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answers.get(self.path.partition("?")[0], (400, {"error": "no handler"}))
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer((loopback.HERE, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def root(number, **more):
    return 200, {"name": "n", "version": {"number": number, **more}}


HITS = {"hits": {"total": 7, "hits": [{"_index": "faces", "_source": {}}]}}


def test_an_open_elasticsearch_of_before_passwords_were_free():
    answers = {"/": root("1.4.2"), "/_cat/indices": (200, [{"index": "faces"}]),
               "/faces/_search": (200, HITS)}  # fmt: skip
    with playing(answers) as uri:
        report = run(uri)
    assert {"security-off", "anonymous-read", "anonymous-list", "known-hole"} <= ids(report)
    assert report.product == "Elasticsearch"
    told = next(f for f in report.findings if f.id == "known-hole")
    assert "CVE-2015-1427" in told.what
    assert "a document, of 7" in next(
        f.evidence for f in report.findings if f.id == "anonymous-read"
    )


def test_an_elasticsearch_with_an_anonymous_role_is_not_said_to_be_off():
    answers = {"/": root("8.11.0"), "/_security/_authenticate": (
        200, {"username": "_anonymous", "roles": ["viewer"]})}  # fmt: skip
    with playing(answers) as uri:
        report = run(uri)
    assert "security-off" in report.passed
    told = next(f for f in report.findings if f.id == "anonymous-role")
    assert "_anonymous, roles: viewer" in told.evidence


def test_a_plugin_without_its_configuration_is_no_pass():
    with playing({"/": (503, "OpenSearch Security not initialized.")}) as uri:
        report = run(uri)
    assert report.exit_code == 2
    assert "the security plugin has no configuration yet" in report.not_looked[0].why


@pytest.mark.parametrize(
    ("product", "version", "name", "has"),
    [
        ("OpenSearch", "2.19.4", "", False),
        ("OpenSearch", "2.19.2", "GHSA-2rjv-cv85-xhgm", True),
        ("OpenSearch", "2.11.0", "CVE-2023-31419", True),
        ("OpenSearch", "2.11.0", "CVE-2023-31418", False),
        ("OpenSearch", "1.3.13", "CVE-2023-31418", True),
        ("OpenSearch", "2.5.0", "GHSA-v3cg-7r9h-r2g6", False),
        ("Elasticsearch", "0.90.1", "CVE-2014-3120", True),
        ("Elasticsearch", "1.2.0", "CVE-2014-3120", False),
        ("Elasticsearch", "1.4.3", "CVE-2015-1427", False),
        ("Elasticsearch", "7.17.0", "", False),
    ],
)
def test_a_version_and_its_holes(product, version, name, has):
    found = {hole.cve for hole in holes.holes(product) if hole.is_in(version)}
    assert (name in found) is has if name else not found
    assert all(h.source and h.published and h.confidence for h in holes.holes(product))
