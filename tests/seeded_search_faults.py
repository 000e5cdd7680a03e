"""Search clusters with one fault each, for the tests of the auditor and for its benchmark."""

from planted import Fault
from seeded_search import (
    API,
    NODES,
    account,
    anonymous,
    audit_config,
    careless,
    cluster,
    dual_mode,
    hashed,
    index,
    not_anonymous,
    weak,
)

from leftopen.cases.smart_city import AS_FOUND

BOARD = {"users": ["board"]}
URI = "https://board@127.0.0.1:9200"
LIVE = (
    Fault("password equal to the name", {"weak-password": "fix"}, **weak("board", "board")),
    Fault("password on every list", {"weak-password": "fix"}, **weak("board", "changeme")),
    Fault(
        "an account of the demo, as it came",
        {"weak-password": "fix", "demo-accounts": "warn"},
        lambda s: s.put(
            f"{API}/internalusers/readall",
            {"hash": hashed("readall"), "description": "Demo readall user"},
        ),
        lambda s: s.delete(f"{API}/internalusers/readall"),
    ),
    Fault(
        "application with all_access",
        {"broad-role": "warn"},
        **account(None, {"users": ["ops", "board"]}, "all_access"),
    ),
    Fault(
        "all_access by a backend role, and an application uses it",
        {"broad-role": "fix"},
        more={"client_uri": URI, "client_options": {"ca_certs": "ca.pem"}},
        **account(
            None,
            {"users": ["ops"], "backend_roles": ["staff"]},
            "all_access",
            backend_roles=["staff"],
        ),
    ),
    Fault(
        "application with the pattern *",
        {"broad-role": "fix", "identifiers-in-clear": "note"},
        **account(index("*", "read"), BOARD),
    ),
    Fault("a role for everyone", {"role-for-everyone": "fix"},
          **account(index("*", "read"), {"users": ["*"]})),
    Fault("a small role for everyone", {"role-for-everyone": "warn"},
          **account(index("alarms-*", "read"), {"users": ["*"]})),
    Fault("application that may call the plugin's API", {"dangerous-right": "fix"},
          **account(cluster("cluster_composite_ops"), BOARD, "helpdesk")),
    Fault("anonymous with a role that reads", {"anonymous-role": "fix", "anonymous-read": "fix"},
          lambda s: anonymous(s, "duty"), not_anonymous),
    Fault("application that restores snapshots", {"dangerous-right": "fix"},
          **account(cluster("manage_snapshots"), BOARD)),
    Fault("application with cluster:admin/*", {"dangerous-right": "fix"},
          **account(cluster("cluster:admin/*"), BOARD)),
    Fault("application that writes the plugin's index", {"dangerous-right": "fix"},
          **account(index(".opendistro*", "indices:*"), BOARD)),
    Fault("application that writes the audit log", {"audit-index": "fix"},
          **account(index("s*", "crud"), BOARD)),
    Fault("application that reads the audit log", {"audit-index": "warn"},
          **account(index("/(faces|security).*/", "read"), BOARD)),
    Fault("application that sees identifiers", {"identifiers-in-clear": "note"},
          **account(index("faces-*", "read"), BOARD)),
    Fault("requests in the audit log", {"audit-bodies": "warn"},
          **audit_config(log_request_body=True)),
    Fault("audit log off", {"audit-off": "warn"}, **audit_config(enabled=False)),
    Fault("audit log deaf to failed logins", {"audit-off": "warn"},
          **audit_config(disabled_rest_categories=["FAILED_LOGIN"])),
    Fault("nodes answered in clear", {"plaintext-beside-tls": "warn"},
          dual_mode(True), dual_mode(None)),
    Fault("client that checks no certificate", {"client-insecure": "fix"},
          more={"client_uri": URI, "client_options": {"verify_certs": False}}),
    Fault("client that takes any host", {"client-any-host": "fix"},
          more={"client_uri": URI, "client_options": {"ssl_assert_hostname": False}}),
    Fault("client in plain HTTP", {"client-no-tls": "fix"},
          more={"client_uri": "http://board:word@127.0.0.1:9200"}),
    Fault("client without an authority", {"client-no-ca": "warn"}, more={"client_uri": URI}),
)  # fmt: skip
"""Faults that are planted while the cluster runs."""

RESTARTS = (
    Fault(
        "a careless opensearch.yml, and a certificate of the demo's authority",
        {"cors-open": "fix", "bound-everywhere": "warn", "audit-off": "warn", "old-tls": "warn",
         "admin-dn": "warn", "certificate-untrusted": "fix", "certificate-wrong-name": "fix",
         "certificate-expiry": "warn", "demo-certificate": "fix"},
        careless,
    ),
    Fault(
        "TLS between nodes alone, and every certificate a node's",
        {"no-tls": "note", "admin-dn": "warn"},
        lambda stage: stage.configure(NODES),
    ),
    Fault(
        "open, as found",
        {"security-off": "fix", "anonymous-read": "fix", "anonymous-list": "fix", "no-tls": "fix",
         "bound-everywhere": "fix", "identifiers-in-clear": "warn"},
        lambda stage: stage.lab.configure(AS_FOUND, replace=True),
    ),
)  # fmt: skip
"""Faults of opensearch.yml, several in each, because a restart takes seconds."""
