"""PostgreSQL servers with one fault each, for the tests of the auditor and for its benchmark."""

from planted import Fault
from seeded_postgres import OPS, Stage, odd_certificate

from leftopen.cases.tongren import AS_FOUND, HBA_AS_FOUND, HBA_LOCKED


def sql(name: str, finds: dict[str, str], plant: str, mend: str, **more: object) -> Fault:
    """A fault that SQL makes, and unmakes."""
    return Fault(name, finds, lambda s: s.do(plant), lambda s: s.do(mend), more)


def role(name: str, finds: dict[str, str], words: str, then: str = "", **more: object) -> Fault:
    """A fault of one more account."""
    made = f"CREATE ROLE board LOGIN {words};\n{then}"
    return sql(name, finds, made, "DROP OWNED BY board;\nDROP ROLE board", **more)


def lines(name: str, finds: dict[str, str], above: str, below: str = HBA_LOCKED) -> Fault:
    """A fault of pg_hba.conf: lines above the right ones."""
    return Fault(name, finds, lambda s: s.hba(f"{above}\n{below}"), lambda s: s.hba())


def setting(name: str, finds: dict[str, str], line: str) -> Fault:
    """A fault of a setting that holds at once."""
    variable = line.split()[0]
    return Fault(
        name,
        finds,
        lambda s: (s.do(f"ALTER SYSTEM SET {line}"), s.reload()),
        lambda s: (s.do(f"ALTER SYSTEM RESET {variable}"), s.reload()),
    )


URI = "postgresql://door_service@localhost/doors_1"
CA = "&sslrootcert=CA"
OWNER = "ALTER TABLE residents OWNER TO "
VIEW = "CREATE VIEW everyone {0} AS SELECT * FROM residents;\nGRANT SELECT ON everyone TO manager"
DEFINER = "CREATE FUNCTION look() RETURNS integer LANGUAGE sql SECURITY DEFINER {0}AS 'SELECT 1'"
MD5 = "SET password_encryption = 'md5';\n"
LONG = "PASSWORD 'a password of board that nobody guesses'"

LIVE = (
    # who is let in
    lines("trust from anywhere, above a right line", {"no-login": "fix", "anonymous-read": "fix"},
          "host all all 0.0.0.0/0 trust"),
    lines("trust for one account and one database", {"no-login": "fix"},
          "host doors_1 auditor all trust"),
    lines("trust on this machine", {"no-login": "fix"}, "host all all 127.0.0.1/32 trust"),
    lines("trust for every account of the machine", {"no-login": "warn"}, "local all all trust"),
    lines("trust inside TLS", {"no-login": "fix"}, "hostssl all all 127.0.0.0/8 trust"),
    lines("trust for copies of the server", {"no-login": "fix"},
          "host replication all 0.0.0.0/0 trust"),
    lines("trust for every address of IPv6", {"no-login": "fix"}, "host all all ::/0 trust"),
    lines("a right line below a trusting one", {"no-login": "fix", "hba-shadowed": "note"},
          "host all all all trust"),
    lines("password sent as it is, in clear",
          {"hba-password": "fix", "plaintext-beside-tls": "fix"},
          "host doors_1 auditor all password"),
    lines("password sent as it is, inside TLS", {"hba-password": "warn"},
          "hostssl doors_1 auditor all password"),
    lines("ident from a network", {"hba-ident": "fix"}, "hostssl all manager 10.0.0.0/8 ident"),
    lines("the superuser from any address", {"hba-wide": "warn"},
          "hostssl all all 0.0.0.0/0 scram-sha-256"),
    lines("plain text beside TLS", {"plaintext-beside-tls": "fix"},
          "host doors_1 manager 0.0.0.0/0 scram-sha-256"),
    # accounts
    role("password equal to the name", {"weak-password": "fix"}, "PASSWORD 'board'"),
    role("password on every list", {"weak-password": "fix"}, "PASSWORD 'changeme'"),
    sql("password left as MD5", {"md5-verifier": "warn"}, f"{MD5}CREATE ROLE board LOGIN {LONG}",
        "DROP ROLE board"),
    sql("password as MD5, and a weak one", {"md5-verifier": "warn", "weak-password": "fix"},
        f"{MD5}CREATE ROLE board LOGIN PASSWORD 'secret'", "DROP ROLE board"),
    setting("the next password as MD5", {"md5-encryption": "warn"}, "password_encryption = 'md5'"),
    Fault("account without a password, trusted", {"no-password": "note", "no-login": "fix"},
          lambda s: (s.do("CREATE ROLE board LOGIN"),
                     s.hba(f"host all board all trust\n{HBA_LOCKED}")),
          lambda s: (s.hba(), s.do("DROP ROLE board"))),
    role("superuser, to cure permission denied", {"broad-role": "fix"}, f"SUPERUSER {LONG}"),
    role("superuser by way of a group", {"broad-role": "fix"}, LONG,
         "CREATE ROLE rulers SUPERUSER;\nGRANT rulers TO board;\nALTER ROLE board NOINHERIT"),
    Fault("application that logs in as postgres", {"broad-role": "fix"},
          more={"client_uri": f"postgresql://postgres@localhost/?sslmode=verify-full{CA}"}),
    role("account that makes roles", {"dangerous-right": "fix"}, f"CREATEROLE {LONG}"),
    role("account that makes databases", {"dangerous-right": "warn"}, f"CREATEDB {LONG}"),
    role("account that copies the server", {"dangerous-right": "fix"}, f"REPLICATION {LONG}"),
    role("account that reads files", {"dangerous-right": "fix"}, LONG,
         "GRANT pg_read_server_files TO board"),
    role("account that runs programs", {"dangerous-right": "fix"}, LONG,
         "GRANT pg_execute_server_program TO board"),
    role("account that reads every table", {"dangerous-right": "fix"}, LONG,
         "GRANT pg_read_all_data TO board"),
    role("account that was given pg_read_file", {"dangerous-right": "fix"}, LONG,
         "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO board"),
    # grants
    sql("a table given to everyone", {"public-grant": "fix"},
        "GRANT SELECT ON residents TO PUBLIC", "REVOKE SELECT ON residents FROM PUBLIC"),
    sql("a column given to everyone", {"public-grant": "fix"},
        "GRANT SELECT (name) ON visitors TO PUBLIC",
        "REVOKE SELECT (name) ON visitors FROM PUBLIC"),
    sql("the next table given to everyone", {"public-grant": "warn"},
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC"),
    sql("everyone may create in public", {"public-schema": "warn"},
        "GRANT CREATE ON SCHEMA public TO PUBLIC", "REVOKE CREATE ON SCHEMA public FROM PUBLIC"),
    sql("function of the superuser's without search_path", {"definer-search-path": "fix"},
        DEFINER.format(""), "DROP FUNCTION look"),
    sql("function that forgets pg_temp", {"definer-search-path": "note"},
        DEFINER.format("SET search_path = public "), "DROP FUNCTION look"),
    # rows
    sql("owner without FORCE, while the application owns the table", {"row-security-bypass": "fix"},
        f"{OWNER}manager;\nALTER TABLE residents NO FORCE ROW LEVEL SECURITY",
        f"{OWNER}door_owner;\nALTER TABLE residents FORCE ROW LEVEL SECURITY;\n"
        "GRANT SELECT (person, building, flat) ON residents TO manager;\n"
        "REVOKE ALL ON residents FROM manager;\n"
        "GRANT SELECT (person, building, flat) ON residents TO manager"),
    role("account that bypasses row security", {"row-security-bypass": "fix"}, f"BYPASSRLS {LONG}"),
    sql("a view around the policy", {"row-security-bypass": "fix"}, VIEW.format(""),
        "DROP VIEW everyone"),
    sql("a copy of the rows around the policy", {"row-security-bypass": "fix"},
        VIEW.format("").replace("VIEW", "MATERIALIZED VIEW"), "DROP MATERIALIZED VIEW everyone"),
    sql("a view upon a view around the policy", {"row-security-bypass": "fix"},
        "CREATE VIEW inner_one AS SELECT person FROM residents;\n"
        "CREATE VIEW outer_one AS SELECT person FROM inner_one;\n"
        "GRANT SELECT ON outer_one TO auditor", "DROP VIEW outer_one;\nDROP VIEW inner_one"),
    sql("policies, and row security off", {"row-security-off": "fix"},
        "ALTER TABLE residents DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE residents ENABLE ROW LEVEL SECURITY"),
    sql("a policy that is always true, for everyone", {"policy-true": "fix"},
        "CREATE POLICY open ON residents USING (true)", "DROP POLICY open ON residents"),
    sql("a policy that is always true, beside a narrow one", {"policy-true": "fix"},
        "CREATE POLICY open ON passages FOR SELECT TO manager USING (building = building)",
        "DROP POLICY open ON passages"),
    # the log
    setting("statements in the log", {"statements-in-log": "warn"}, "log_statement = 'all'"),
    setting("every statement timed in the log", {"statements-in-log": "warn"},
            "log_min_duration_statement = 0"),
    setting("slow statements in the log", {"statements-in-log": "note"},
            "log_min_duration_statement = 5000"),
    sql("one account's statements in the log", {"statements-in-log": "warn"},
        "ALTER ROLE manager SET log_statement = 'mod'", "ALTER ROLE manager RESET log_statement"),
    # what is installed
    sql("an extension that reads files", {"extension": "warn"}, "CREATE EXTENSION file_fdw",
        "DROP EXTENSION file_fdw"),
    sql("an extension that connects on", {"extension": "note"}, "CREATE EXTENSION dblink",
        "DROP EXTENSION dblink"),
    sql("another server's password, for everyone",
        {"stored-foreign-password": "fix", "extension": "note"},
        "CREATE EXTENSION postgres_fdw;\n"
        "CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw;\n"
        "CREATE USER MAPPING FOR PUBLIC SERVER other OPTIONS (user 'a', password 'b')",
        "DROP EXTENSION postgres_fdw CASCADE"),
    # the data
    sql("an account that sees identifiers", {"identifiers-in-clear": "note"},
        "GRANT SELECT ON visitors TO auditor", "REVOKE SELECT ON visitors FROM auditor"),
    sql("a note of somebody who took the data", {"ransom-note": "fix"},
        "CREATE TABLE readme_to_recover ()", "DROP TABLE readme_to_recover"),
    # the application's own string
    Fault("client in clear", {"client-no-tls": "fix"},
          more={"client_uri": f"{URI}?sslmode=disable"}),
    Fault("client that says nothing of TLS", {"client-no-tls": "fix"}, more={"client_uri": URI}),
    Fault("client that takes any certificate", {"client-insecure": "fix"},
          more={"client_uri": f"{URI}?sslmode=require"}),
    Fault("client that takes any host", {"client-any-host": "fix"},
          more={"client_uri": f"{URI}?sslmode=verify-ca{CA}"}),
    Fault("client without an authority", {"client-no-ca": "warn"},
          more={"client_uri": f"{URI}?sslmode=verify-full"}),
    Fault("password in the client's string", {"client-password": "note"},
          more={"client_uri": f"postgresql://a:b@localhost/?sslmode=verify-full{CA}"}),
    Fault("listening where nobody wants it", {"bound-everywhere": "note"}, more={"wanted": []}),
)  # fmt: skip
"""Faults that are planted while the server runs."""


QUIET = (
    lines("md5 in pg_hba.conf, with SCRAM stored", {}, "hostssl doors_1 manager all md5"),
    lines("peer by the socket", {}, "local all all peer"),
    lines("copies of the server from this machine, as Debian has it", {},
          "local replication all peer\nhost replication all 127.0.0.1/32 scram-sha-256\n"
          "host replication all ::1/128 scram-sha-256"),
    lines("a refusal above a trusting line", {"hba-shadowed": "note"},
          "host all all all reject\nhost all all all trust",
          "local all all peer"),
    lines("trust for nobody who is there", {}, "host all nobody_at_all all trust"),
    lines("this machine in clear, with SCRAM", {}, "host doors_1 all 127.0.0.1/32 scram-sha-256"),
    lines("ident on this machine", {}, "host doors_1 manager 127.0.0.1/32 ident"),
    lines("a superuser by certificate", {}, "hostssl doors_1 postgres all cert"),
    Fault("a superuser from any address who has no password", {},
          lambda s: (s.do("ALTER ROLE postgres PASSWORD NULL"),
                     s.hba("hostssl doors_1 all all scram-sha-256\nlocal all all peer")),
          lambda s: (s.do(f"ALTER ROLE postgres PASSWORD '{OPS}'"), s.hba())),
    role("an account with a part of its own", {}, LONG, "GRANT SELECT ON buildings TO board"),
    Fault("a second administrator, once named", {},
          lambda s: (s.do(f"CREATE ROLE board LOGIN SUPERUSER {LONG}"),
                     s.hba(f"host all board all reject\n{HBA_LOCKED}")),
          lambda s: (s.hba(), s.do("DROP ROLE board")), {"administrators": ["board"]}),
    sql("an account that cannot log in may more", {}, "CREATE ROLE group_of SUPERUSER BYPASSRLS",
        "DROP ROLE group_of"),
    sql("an owner without FORCE who cannot log in", {},
        "ALTER TABLE residents NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE residents FORCE ROW LEVEL SECURITY"),
    sql("an owner with FORCE", {}, f"{OWNER}retention;\nREVOKE ALL ON residents FROM retention",
        f"{OWNER}door_owner;\nGRANT ALL ON residents TO door_owner"),
    sql("a view that looks with its reader's eyes", {},
        VIEW.format("WITH (security_invoker)").replace("*", "person, building, flat"),
        "DROP VIEW everyone"),
    sql("a view of figures alone", {"row-security-bypass": "note"},
        "CREATE VIEW counts AS SELECT building, count(*) FROM passages GROUP BY 1;\n"
        "GRANT SELECT ON counts TO auditor", "DROP VIEW counts"),
    sql("a view of the superuser's that nobody may read", {},
        "CREATE VIEW own AS SELECT * FROM residents", "DROP VIEW own"),
    sql("a policy that is true for one account", {"policy-true": "note"},
        "CREATE POLICY all_of_it ON passages FOR SELECT TO auditor USING (true)",
        "DROP POLICY all_of_it ON passages"),
    sql("a restrictive policy that is always true", {},
        "CREATE POLICY more ON passages AS RESTRICTIVE TO manager USING (true)",
        "DROP POLICY more ON passages"),
    sql("a function with its search_path", {},
        DEFINER.format("SET search_path = pg_catalog, pg_temp "), "DROP FUNCTION look"),
    sql("a function that is bound when it is made", {},
        "CREATE FUNCTION look() RETURNS integer LANGUAGE sql SECURITY DEFINER RETURN 1",
        "DROP FUNCTION look"),
    sql("a function that nobody else may call", {},
        f"{DEFINER.format('')};\nREVOKE ALL ON FUNCTION look FROM PUBLIC", "DROP FUNCTION look"),
    sql("a table given to one account", {}, "GRANT SELECT ON buildings TO retention",
        "REVOKE SELECT ON buildings FROM retention"),
    sql("an extension that stays inside", {}, "CREATE EXTENSION pgcrypto",
        "DROP EXTENSION pgcrypto"),
    setting("changes of the schema in the log", {}, "log_statement = 'ddl'"),
    setting("TLS 1.2 as the floor", {}, "ssl_min_protocol_version = 'TLSv1.2'"),
    setting("TLS 1.3 as the floor", {}, "ssl_min_protocol_version = 'TLSv1.3'"),
    Fault("a careful client", {}, more={"client_uri": f"{URI}?sslmode=verify-full{CA}"}),
    Fault("a client by its socket", {},
          more={"client_uri": "host=/var/run/postgresql user=door_service dbname=doors_1"}),
)  # fmt: skip
"""What is no fault, and the notes, if any, that it may have."""


def as_found(stage: Stage) -> None:
    """The case as it was found."""
    stage.hba(HBA_AS_FOUND)
    stage.lab.configure(AS_FOUND, replace=True)


RESTARTS = (
    Fault("an expired certificate of another host, by nobody's authority",
          {"certificate-expiry": "fix", "certificate-wrong-name": "fix"},
          lambda s: (odd_certificate(s), s.settings(
              "ssl_cert_file = 'pki/odd.pem'\nssl_key_file = 'pki/odd-key.pem'\n")),
          lambda s: s.settings()),
    Fault("TLS 1.0 allowed", {"old-tls": "fix"},
          lambda s: s.settings("ssl_min_protocol_version = 'TLSv1'\n"
                               "ssl_ciphers = 'ALL:@SECLEVEL=0'\n"),
          lambda s: s.settings()),
    Fault("TLS 1.0 allowed, and kept out by the library", {"old-tls": "warn"},
          lambda s: s.settings("ssl_min_protocol_version = 'TLSv1.1'\n"),
          lambda s: s.settings()),
    Fault("open, as found",
          {"no-login": "fix", "anonymous-read": "fix", "no-tls": "fix", "bound-everywhere": "fix",
           "identifiers-in-clear": "warn"}, as_found, more={"wanted": []}),
)  # fmt: skip
"""Faults of postgresql.conf, which a restart brings."""
