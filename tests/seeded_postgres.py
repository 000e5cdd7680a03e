"""A PostgreSQL that is right, and ways to make it wrong, for the auditor's tests and benchmark.

The right server has a private authority with the right names, TLS for all who come from elsewhere,
SCRAM, a superuser that comes by its socket alone, an owner of the tables who cannot log in, and
four accounts with a part each: one writes passages, one manages a house, one audits, one deletes.
"""

import datetime
import os
import time

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from leftopen.audit import Report, run
from leftopen.cases import tongren
from leftopen.lab_postgres import Connect, PostgresLab

DATABASE = "doors_1"
WORDS = {
    name: f"a password of {name} that nobody guesses"
    for name in ("door_service", "manager", "auditor", "retention")
}
PART = """
CREATE ROLE door_owner NOLOGIN;
ALTER TABLE buildings OWNER TO door_owner;
ALTER TABLE residents OWNER TO door_owner;
ALTER TABLE visitors OWNER TO door_owner;
ALTER TABLE passages OWNER TO door_owner;
GRANT INSERT ON passages TO door_service;
GRANT SELECT ON buildings TO door_service, manager, auditor;
GRANT SELECT (person, building, flat) ON residents TO manager;
GRANT SELECT ON passages TO manager, retention;
GRANT DELETE ON passages TO retention;
ALTER TABLE residents ENABLE ROW LEVEL SECURITY;
ALTER TABLE residents FORCE ROW LEVEL SECURITY;
ALTER TABLE passages ENABLE ROW LEVEL SECURITY;
ALTER TABLE passages FORCE ROW LEVEL SECURITY;
CREATE POLICY own_building ON residents TO manager USING (building = 'B01');
CREATE POLICY own_building ON passages TO manager USING (building = 'B01');
CREATE POLICY door ON passages FOR INSERT TO door_service WITH CHECK (true);
CREATE POLICY old ON passages TO retention USING (at < '2020-08-15');
CREATE VIEW homes WITH (security_invoker = true) AS SELECT person, flat FROM residents;
GRANT SELECT ON homes TO manager;
CREATE FUNCTION storeys(name text) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    AS $$ BEGIN RETURN (SELECT storeys FROM buildings WHERE building = name); END $$;
"""
OPS = "a password of postgres that nobody guesses"


def prepare(connect: Connect) -> None:
    """The accounts of the right server, and their parts."""
    with connect("postgres") as operator:
        operator.execute(f"ALTER ROLE postgres PASSWORD '{OPS}'")
        for name, word in WORDS.items():
            operator.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{word}'")
    with connect(DATABASE) as operator:
        operator.execute(PART)


def right_lab(config: str = tongren.LOCKED, hba: str = tongren.HBA_LOCKED) -> PostgresLab:
    """The right server, or one with another configuration."""
    return tongren.small_lab(7, config, hba, prepare, residents=60, days=1)


class Stage:
    """A right server, and what is needed to make it wrong and right again."""

    def __init__(self) -> None:
        self.lab = right_lab()

    def do(self, statements: str, database: str = DATABASE) -> None:
        """Run SQL as the operator; each statement holds at once."""
        with psycopg.connect(self.lab.inside.uri_of(database), autocommit=True) as operator:
            for statement in filter(str.strip, statements.split(";\n")):
                operator.execute(statement)

    def reload(self) -> None:
        """Let the server read its settings again; return when a new session has them."""
        asked = "SELECT pg_conf_load_time()"
        uri = self.lab.inside.uri

        def ask(query: str) -> object:
            with psycopg.connect(uri, autocommit=True) as operator:
                return operator.execute(query).fetchone()[0]

        before = ask(asked)
        ask("SELECT pg_reload_conf()")
        deadline = time.monotonic() + 10
        while ask(asked) == before and time.monotonic() < deadline:
            time.sleep(0.01)

    def hba(self, text: str = tongren.HBA_LOCKED) -> None:
        """Write pg_hba.conf, and let the server read it."""
        self.lab.configure(text, file="pg_hba.conf")

    def settings(self, text: str = "") -> None:
        """Write postgresql.conf, with these lines below the right ones, and restart."""
        self.lab.configure(f"{tongren.LOCKED}{text}", replace=True)

    def audit(self, **more: object) -> Report:
        """Audit the server as its operator; that it listens is wanted."""
        if "client_uri" in more:
            ca = str(self.lab.certificates.ca)
            more["client_uri"] = str(more["client_uri"]).replace("CA", ca)
        return run(self.lab, **{"wanted": ["*"], **more})


def odd_certificate(stage: Stage) -> None:
    """A certificate for another host, that has expired, of an authority that nobody knows."""
    now = datetime.datetime.now(datetime.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "db.example.com")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nobody's authority")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=300))
        .not_valid_after(now - datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("db.example.com")]), False)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    folder = stage.lab.certificates.ca.parent
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    files = {
        "odd.pem": certificate.public_bytes(serialization.Encoding.PEM),
        "odd-key.pem": private,
    }
    owner = folder.stat()
    for file, content in files.items():
        (folder / file).write_bytes(content)
        (folder / file).chmod(0o600)
        if os.geteuid() == 0:
            os.chown(folder / file, owner.st_uid, owner.st_gid)
