"""A search cluster that is right, and ways to make it wrong, for the auditor's tests and benchmark.

The right cluster has a private authority with the right names, TLS for clients and nodes, one
administrator, an account that writes events and reads none, one that reads them without the fields
that identify people, one that reads the audit log alone, and an audit log without requests.
"""

import datetime
import json
from collections.abc import Callable
from pathlib import Path

import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from opensearchpy import OpenSearch

from leftopen.audit import Report, run
from leftopen.engines.config import dump, parse
from leftopen.lab_opensearch import SearchLab

OPS = "a password of ops that nobody guesses"
API = "/_plugins/_security/api"
RIGHT = """\
network.host: 127.0.0.1
plugins.security.ssl.transport.pemcert_filepath: pki/server.pem
plugins.security.ssl.transport.pemkey_filepath: pki/server-key.pem
plugins.security.ssl.transport.pemtrustedcas_filepath: pki/ca.pem
plugins.security.ssl.transport.enforce_hostname_verification: false
plugins.security.ssl.http.enabled: true
plugins.security.ssl.http.pemcert_filepath: pki/server.pem
plugins.security.ssl.http.pemkey_filepath: pki/server-key.pem
plugins.security.ssl.http.pemtrustedcas_filepath: pki/ca.pem
plugins.security.authcz.admin_dn: ["CN=admin,O=Left Open lab"]
plugins.security.restapi.roles_enabled: [all_access, helpdesk]
plugins.security.audit.type: internal_opensearch
"""
EVENTS = {
    "cluster_permissions": ["cluster_composite_ops"],
    "index_permissions": [
        {"index_patterns": ["faces-*"], "allowed_actions": ["index", "create_index"]}
    ],
}
DUTY = {
    "index_permissions": [
        {"index_patterns": ["faces-*"], "fls": ["~idNumber", "~group"], "allowed_actions": ["read"]}
    ],
}
AUDITOR = {
    "index_permissions": [{"index_patterns": ["security-auditlog-*"], "allowed_actions": ["read"]}],
}
ROLES = {"events_in": EVENTS, "duty": DUTY, "audit_reader": AUDITOR}
MAPPINGS = {
    "all_access": {"users": ["ops"]},
    "own_index": {"users": ["*"]},
    "events_in": {"users": ["sensors"]},
    "duty": {"users": ["officer"]},
    "audit_reader": {"users": ["reviewer"]},
}
AUDIT_YML = """\
config:
  enabled: true
  audit:
    enable_rest: true
    disabled_rest_categories: [AUTHENTICATED, GRANTED_PRIVILEGES]
    enable_transport: false
    disabled_transport_categories: [AUTHENTICATED, GRANTED_PRIVILEGES]
    log_request_body: false
    resolve_indices: true
    exclude_sensitive_headers: true
  compliance:
    enabled: false
"""


def hashed(password: str) -> str:
    """A password as the plugin stores it; with few rounds, so that the tests are quick."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4, prefix=b"2a")).decode()


def users() -> dict[str, dict]:
    """The accounts of the right cluster."""
    names = ("ops", "sensors", "officer", "reviewer")
    return {name: {"hash": hashed(f"a password of {name} that nobody guesses")} for name in names}


def _file(kind: str, body: str) -> str:
    return f"_meta:\n  type: {kind}\n  config_version: 2\n{body}\n"


def security() -> dict[str, str]:
    """The plugin's files of the right cluster."""
    return {
        "internal_users.yml": _yaml("internalusers", users()),
        "roles.yml": _yaml("roles", ROLES),
        "roles_mapping.yml": _yaml("rolesmapping", MAPPINGS),
        "audit.yml": _file("audit", AUDIT_YML),
    }


def _yaml(kind: str, entries: dict) -> str:
    # JSON is YAML: each entry on a line of its own.
    body = "\n".join(f"{name}: {json.dumps(entry)}" for name, entry in entries.items())
    return _file(kind, body)


def load(client: OpenSearch) -> None:
    """Events about nobody."""
    for n in range(30):
        client.index(
            index="faces-2019.04",
            body={"place": f"Gate {n % 3}", "idNumber": f"0000001990010{n % 9 + 1}{n:03}X",
                  "group": ("Alder", "Birch")[n % 2]},
        )  # fmt: skip
    client.indices.refresh(index="faces-2019.04")


class Stage:
    """A right cluster, and what is needed to make it wrong and right again."""

    def __init__(self) -> None:
        self.lab = SearchLab("stage", RIGHT, load, security())

    @property
    def spare(self) -> Path:
        """A folder for further certificates that the node may read."""
        return self.lab.config_folder / "pki"

    def configure(self, text: str, without: tuple[str, ...] = ()) -> None:
        """The right opensearch.yml, with these settings in it and without those; a restart."""
        settings = {**parse(RIGHT, sections=False)[0], **parse(text, sections=False)[0]}
        for name in without:
            settings.pop(name)
        self.lab.configure(dump(settings), replace=True)

    def client(self) -> OpenSearch:
        """A client with the admin certificate."""
        pki = self.lab.certificates
        return OpenSearch(
            self.lab.inside.uri, ca_certs=str(pki.ca), client_cert=str(pki.admin),
            client_key=str(pki.admin_key), timeout=60,
        )  # fmt: skip

    def put(self, path: str, body: dict) -> None:
        """Change one entry of the plugin's configuration, or a setting of the cluster."""
        with self.client() as client:
            client.transport.perform_request("PUT", path, body=body)

    def delete(self, path: str) -> None:
        """Take an entry out again."""
        with self.client() as client:
            client.transport.perform_request("DELETE", path)

    def audit(self, **more: object) -> Report:
        """Audit the cluster as its administrator."""
        return run(self.lab, user="ops", password=OPS, **more)


# -- planting while the cluster runs ----------------------------------------------------------


def account(role: dict | None, mapping: dict, name: str = "own_part", **user: object):
    """An application's account with a role of its own, or with one of the plugin's."""

    def plant(stage: Stage) -> None:
        entry = {"hash": hashed("a password of board that nobody guesses"), **user}
        stage.put(f"{API}/internalusers/board", entry)
        if role is not None:
            stage.put(f"{API}/roles/{name}", role)
        stage.put(f"{API}/rolesmapping/{name}", mapping)

    def mend(stage: Stage) -> None:
        stage.delete(f"{API}/internalusers/board")
        if name in MAPPINGS:
            stage.put(f"{API}/rolesmapping/{name}", MAPPINGS[name])
        else:
            stage.delete(f"{API}/rolesmapping/{name}")
        if role is not None:
            stage.delete(f"{API}/roles/{name}")

    return {"plant": plant, "mend": mend}


def cluster(*rights: str) -> dict:
    """A role with rights over the cluster."""
    return {"cluster_permissions": list(rights), "index_permissions": []}


def index(pattern: str, *actions: str) -> dict:
    """A role with rights in indices."""
    part = {"index_patterns": [pattern], "allowed_actions": list(actions)}
    return {"cluster_permissions": [], "index_permissions": [part]}


def audit_config(**changes: object) -> dict:
    """The audit log's configuration, changed in places."""

    def configure(stage: Stage, audit: dict) -> None:
        with stage.client() as client:
            told = client.transport.perform_request("GET", f"{API}/audit")["config"]
        enabled = audit.pop("enabled", True)
        whole = {**told, "enabled": enabled, "audit": {**told["audit"], **audit}}
        stage.put(f"{API}/audit/config", whole)

    right = {
        "enabled": True,
        "log_request_body": False,
        "disabled_rest_categories": ["AUTHENTICATED", "GRANTED_PRIVILEGES"],
    }
    return {
        "plant": lambda stage: configure(stage, dict(changes)),
        "mend": lambda stage: configure(stage, dict(right)),
    }


def weak(name: str, word: str) -> dict:
    """An account with a password that everyone tries."""
    path = f"{API}/internalusers/{name}"
    return {
        "plant": lambda stage: stage.put(path, {"hash": hashed(word)}),
        "mend": lambda stage: stage.delete(path),
    }


def dual_mode(value: bool | None) -> Callable[[Stage], None]:
    """Nodes are answered in clear too; the setting holds at once."""
    name = "plugins.security_config.ssl_dual_mode_enabled"
    return lambda stage: stage.put("/_cluster/settings", {"persistent": {name: value}})


def anonymous(stage: Stage, role: str) -> None:
    """Clients without a login are let in, and hold this role."""
    text = "config: {dynamic: {http: {anonymous_auth_enabled: true}}}"
    stage.lab.configure(text, file="config.yml")
    everyone = {**MAPPINGS[role], "backend_roles": ["opendistro_security_anonymous_backendrole"]}
    stage.put(f"{API}/rolesmapping/{role}", everyone)


def not_anonymous(stage: Stage) -> None:
    """Nobody is let in without a login."""
    text = "config: {dynamic: {http: {anonymous_auth_enabled: false}}}"
    stage.lab.configure(text, file="config.yml")
    stage.put(f"{API}/rolesmapping/duty", MAPPINGS["duty"])


# -- planting with a restart ------------------------------------------------------------------


def odd_certificate(folder: Path, issuer: str) -> None:
    """A certificate for another host, near its end, of an authority of this name that signs it."""
    now = datetime.datetime.now(datetime.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node-0.example.com")]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=300))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("node-0.example.com")]), False)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    (folder / "odd.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "odd-key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


CARELESS = """\
network.host: 0.0.0.0
http.cors.enabled: true
http.cors.allow-origin: "*"
http.cors.allow-credentials: true
plugins.security.audit.type: noop
plugins.security.ssl.http.enabled_protocols: [TLSv1.1, TLSv1.2]
plugins.security.authcz.admin_dn: ["CN=admin,O=Left Open lab", "CN=*,O=Left Open lab"]
"""
NODES = """\
plugins.security.nodes_dn: ["*"]
plugins.security.authcz.admin_dn: ["CN=admin,O=Left Open lab", "O=Left Open lab, CN=localhost"]
plugins.security.ssl.http.enabled: false
"""
ODD = """\
plugins.security.ssl.http.pemcert_filepath: pki/odd.pem
plugins.security.ssl.http.pemkey_filepath: pki/odd-key.pem
"""


def careless(stage: Stage) -> None:
    """Much is wrong, and clients are shown a certificate of the demo's authority."""
    odd_certificate(stage.spare, "Example Com Inc. Root CA")
    stage.configure(CARELESS + ODD)
