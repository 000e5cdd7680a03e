"""Servers with one fault each, for the tests of the auditor and for its benchmark."""

from collections.abc import Callable
from dataclasses import dataclass, field

import seeded_servers as servers
from seeded_servers import APP, PEOPLE, Stage, certificate, custom_role, roles, settings, written

from leftopen.audit import Report


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: what is wrong, in words.
        finds: the ids that must be found, each with its severity.
        plant: makes a right server wrong; ``None`` for a server of its own.
        bare: settings of a server that is no lab, for what a lab never allows.
        login: an account for auditors that look at one account (name, password, database).
    """

    name: str
    finds: dict[str, str]
    plant: Callable[[Stage], None] | None = None
    bare: str = ""
    login: tuple[str, str, str] | None = ("shop_app", APP, "shop")
    more: dict[str, object] = field(default_factory=dict)


def found(report: Report, fault: Fault) -> bool:
    """Whether a report holds all that the fault must make it find."""
    told = {(finding.id, finding.severity.value) for finding in report.findings}
    return told >= set(fault.finds.items())


# -- the faults -------------------------------------------------------------------------------

ANY = [{"resource": {"anyResource": True}, "actions": ["find", "insert"]}]
BOTH = ["SCRAM-SHA-1", "SCRAM-SHA-256"]
OLD = (
    "net:\n  tls:\n    disabledProtocols: none\n"
    "setParameter:\n  opensslCipherConfig: ALL:@SECLEVEL=0\n"
)
OPEN = {"no-login": "fix", "anonymous-list": "fix", "anonymous-read": "fix"}
CLEAR = {"identifiers-in-clear": "note", "no-validator": "note", "no-retention": "note"}
BROAD = {"broad-role": "fix"}
FAULTS = (
    Fault(
        "no login, in plain text",  # nmap's scripts do not speak TLS
        OPEN,
        settings("security:\n  authorization: disabled\n", without=("net.tls",)),
    ),
    Fault("bound to every address", {"bound-everywhere": "warn"}, settings("net: {bindIp: '*'}")),
    Fault(
        "authorization on, no user", {"localhost-exception": "fix"}, servers.no_users, login=None
    ),
    Fault(
        "password on every list",
        {"weak-password": "fix"},
        roles("shop_part", pwd="123456"),
        login=("shop_app", "123456", "shop"),
    ),
    Fault(
        "password equal to the name",
        {"weak-password": "fix"},
        roles("shop_part", pwd="shop_app"),
        login=("shop_app", "shop_app", "shop"),
    ),
    Fault("SCRAM-SHA-1 stored too", {"sha1-verifier": "warn"}, roles("shop_part", mechanisms=BOTH)),
    Fault("application with root", {"broad-role": "warn"}, roles({"role": "root", "db": "admin"})),
    Fault(
        "application with readWriteAnyDatabase",
        BROAD,
        roles({"role": "readWriteAnyDatabase", "db": "admin"}),
    ),
    Fault("application with dbAdmin", BROAD, roles("readWrite", "dbAdmin")),
    Fault("own role over anyResource", BROAD, custom_role(ANY, [])),
    Fault("own role that inherits root", {"broad-role": "warn"}, custom_role([], ["root"])),
    Fault(
        "one account, two databases",
        {"shared-account": "warn"},
        roles({"role": "read", "db": "shop"}, {"role": "read", "db": "clinic"}),
    ),
    Fault(
        "a writer where a reader suffices",
        {"writer-for-reader": "warn"},
        servers.reader_that_writes,
        login=("report", APP, "shop"),
    ),
    Fault("mongod runs as root", {"root-process": "warn"}, bare="net: {}", login=None),
    Fault("no TLS", {"no-tls": "note"}, settings("", without=("net.tls",))),
    Fault(
        "plain text beside TLS",
        {"plaintext-beside-tls": "warn"},
        settings("net: {tls: {mode: preferTLS}}"),
    ),
    Fault(
        "another authority",
        {"certificate-untrusted": "fix"},
        certificate(servers.of_another_authority),
    ),
    Fault("another host", {"certificate-wrong-name": "fix"}, certificate(servers.for_another_host)),
    Fault(
        "certificate ends in two days",
        {"certificate-expiry": "warn"},
        certificate(servers.short(2 * 86400)),
    ),
    Fault("TLS 1.1 accepted", {"old-tls": "fix"}, settings(OLD)),
    Fault(
        "certificates of clients not checked",
        {"allow-invalid-certificates": "fix"},
        settings("net: {tls: {allowInvalidCertificates: 'true'}}"),
    ),
    Fault(
        "key file readable by others",
        {"open-key-file": "warn"},
        lambda stage: stage.lab.certificates.server.chmod(0o644),
    ),
    Fault("people in clear, kept for ever", CLEAR, written("people", "list", PEOPLE)),
    Fault("a dozen failed logins", {"failed-logins": "warn"}, servers.guesses),
    Fault("a person in the log", {"personal-data-in-log": "warn"}, servers.logged),
    Fault(
        "zlib before 6.0.27",
        {"known-hole": "fix"},
        bare="net: {compression: {compressors: zlib}}",
        login=None,
    ),
    Fault(
        "a ransom note",
        {"ransom-note": "fix"},
        written("READ__ME_TO_RECOVER_YOUR_DATA", "README", [{"content": "pay"}]),
    ),
)
"""The faults of the benchmark: 27."""
EXTRA = (
    Fault(
        "JavaScript on and unused",
        {"javascript-on": "note"},
        settings("", without=("security.javascriptEnabled",)),
    ),
    Fault("a person in the profile", {"personal-data-in-profile": "warn"}, servers.profiled),
    Fault(
        "names of partners not compared",
        {"allow-invalid-hostnames": "warn"},
        settings("net: {tls: {allowInvalidHostnames: 'true'}}"),
    ),
    Fault("application with dbOwner", BROAD, roles("dbOwner")),
    Fault("application with userAdmin", BROAD, roles("userAdmin")),
    Fault(
        "own role over every database",
        BROAD,
        custom_role([{"resource": {"db": "", "collection": ""}, "actions": ["find"]}], []),
    ),
    Fault(
        "own role that makes accounts",
        BROAD,
        custom_role([{"resource": {"db": "shop", "collection": ""}, "actions": ["grantRole"]}], []),
    ),
)
"""Further faults that the tests plant."""
