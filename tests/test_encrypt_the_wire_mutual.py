"""Exercise 12, question 5: rules for certificates that nobody is shown, right ones and wrong."""

import psycopg
import pytest
from wire_asked import Asked, question

from leftopen.checks.question import RIGHT, UNTOUCHED
from leftopen.engines.pki import Authority
from leftopen.errors import ConfigRefused
from leftopen.proof import sql

postgres = pytest.mark.needs("postgres")


@pytest.fixture(scope="module")
def asked(request):
    found = Asked(request.param)
    yield found
    found.lab.close()


CA = "ssl_ca_file = 'clients/ca.pem'"
ANY = "trust clientcert=verify-ca"
FOUND = """\
local   all  all                     peer
hostssl all  postgres  127.0.0.1/32  scram-sha-256
host    all  postgres  all           reject
"""


@postgres
@question(5)
def test_rules_for_certificates(asked):
    lab = asked.lab
    one, two = asked.task["accounts"]
    assert asked.told() == UNTOUCHED
    lab.configure(CA)
    for rules, wanted in (
        ("hostssl all all all cert", RIGHT),
        (f"{FOUND}hostssl doors_1 all all cert\nhost all all all reject", RIGHT),
        (f"hostnossl all all all reject\nhostssl doors_1 {one},{two} 0.0.0.0/0 cert", RIGHT),
        ("hostssl doors_1 all 127.0.0.0/8 cert", RIGHT),
        (f"hostssl doors_1 {one} all cert\nhostssl doors_1 {two} all trust", "one_of_two"),
        (f"hostssl doors_1 {two} all cert\nhostssl doors_1 {one} all trust", "one_of_two"),
        (f"hostssl doors_1 {two} all cert", "one_shut_out"),
        (f"hostssl doors_1 {one} all {ANY}\nhostssl doors_1 all all cert", "certificate_and_trust"),
        (f"hostssl doors_1 {two} all {ANY}\nhostssl doors_1 all all cert", "certificate_and_trust"),
        ("hostnossl all all all trust\nhostssl doors_1 all all cert", "in_clear"),
        ("hostnossl all all 127.0.0.1/32 md5\nhostssl doors_1 all all cert", "in_clear"),
        ("local all all trust\nhostssl doors_1 all all cert", "by_the_socket"),
        (f"local doors_1 {two} md5\nhostssl doors_1 all all cert", "by_the_socket"),
    ):
        lab.configure(rules, file="pg_hba.conf")
        assert asked.told() == wanted, (rules, asked.at.tried)
        if wanted == "certificate_and_trust":
            assert f"doors_1 {asked.at.values['second']} all {ANY}" in rules


@postgres
@question(5)
def test_nobody_gets_in_by_another_database_or_account(asked):
    lab = asked.lab
    one, two = asked.task["accounts"]
    mine = "hostssl doors_1 all all cert"
    lab.configure(CA)
    for rules, (name, database, with_) in (
        (f"hostssl all postgres all trust\n{mine}", ("postgres", "doors_1", "nothing")),
        (f"{FOUND}{mine}\nhostssl all all all scram-sha-256", (one, "", "its password alone")),
        (f"{FOUND}{mine}\nhostssl all all all trust", (one, "", "nothing")),
        (
            f"hostssl doors_1 {one},{two} all cert\nhostssl doors_1 all all trust",
            ("postgres", "doors_1", "nothing"),
        ),
        (f"{mine}\nhostnossl postgres {two} all scram-sha-256", (two, "postgres", "its password")),
        (f"{mine}\nhost doors_7 {two} all scram-sha-256", (two, "doors_7", "its password")),
        (f"{mine}\nhostssl replication postgres all trust", ("postgres", "replication", "nothing")),
        (
            f"{mine}\nhostssl postgres postgres 127.0.0.1/32 trust",
            ("postgres", "postgres", "nothing"),
        ),
        (
            f"{mine}\nhostssl postgres all all trust clientcert=verify-ca",
            (min(one, "postgres"), "postgres", "the certificate of"),
        ),
    ):
        lab.configure(rules, file="pg_hba.conf")
        assert asked.told() == "another_door", (rules, asked.at.tried)
        found = asked.at.values
        assert found["with"].startswith(with_), rules
        assert name in (one, found["name"]), rules
        assert database in ("", found["database"]), rules


def stored(lab):
    return sql(
        lab.inside.uri_of("postgres"), "SELECT rolname, rolpassword FROM pg_authid ORDER BY 1"
    )


@postgres
@question(5)
def test_the_administrator_s_line_may_stay_and_not_grow(asked):
    lab, mine = asked.lab, "hostssl doors_1 all all cert"
    lab.configure(CA)
    before = stored(lab)
    for word in (None, "heron lamp"):
        if word:
            sql(lab.inside.uri_of("postgres"), f"ALTER ROLE postgres PASSWORD '{word}'")
            before = stored(lab)
        for rules, database in (
            (f"hostssl all postgres all scram-sha-256\n{mine}", "doors_1"),
            (f"hostssl all postgres 127.0.0.0/8 md5\n{mine}", "doors_1"),
            (f"{mine}\nhostnossl postgres postgres 127.0.0.2/32 password", "postgres"),
            (f"{FOUND.replace('reject', 'scram-sha-256')}{mine}", "doors_1"),
            (f"{mine}\nhostssl replication postgres all scram-sha-256", "replication"),
        ):
            lab.configure(rules, file="pg_hba.conf")
            assert asked.told() == "administrator", (rules, asked.at.tried)
            assert (asked.at.values["name"], asked.at.values["database"]) == ("postgres", database)
            assert stored(lab) == before
        lab.configure(f"{FOUND}{mine}", file="pg_hba.conf")
        assert asked.told() == RIGHT
        assert stored(lab) == before
    here = {"host": "127.0.0.1", "port": lab.inside.port, "user": "postgres", "dbname": "postgres"}
    with psycopg.connect(**here, password="heron lamp", sslmode="require") as administrator:
        administrator.execute("ALTER ROLE postgres PASSWORD NULL")


@postgres
@question(5)
def test_the_way_of_an_older_postgresql_is_refused_aloud(asked):
    """Its view of the file says neither a type nor an error of this line; the server stays shut."""
    before, line = asked.lab.hba, "hostssl doors_1 all all scram-sha-256 clientcert=1"
    with pytest.raises(ConfigRefused, match=r"Line 2 .*: an option behind the method has a value"):
        asked.lab.configure(f"local all all peer\n{line}", file="pg_hba.conf")
    assert asked.lab.hba == before
    asked.lab.restart()


@postgres
@question(5)
def test_why_nobody_gets_in_is_told_apart(asked):
    lab = asked.lab
    one, two = asked.task["accounts"]
    for conf, rules, wanted in (
        (CA, "hostssl doors_1 all 127.0.0.1/32 cert", "only_here"),
        (CA, "hostssl doors_1 all all cert clientname=DN", "another_name"),
        (CA, "host all all all reject", "no_line"),
        (CA, "hostssl doors_2 all all cert", "no_line"),
        (f"{CA}\nssl = off", "hostssl doors_1 all all cert", "tls_off"),
        (f"{CA}\nssl = on", "hostssl doors_1 all all cert", RIGHT),
    ):
        lab.configure(rules, file="pg_hba.conf")
        if conf != CA or not lab.config.count("clients/ca.pem"):
            lab.configure(conf)
        assert asked.told() == wanted, (rules, asked.at.tried)
    # The programs keep what they have, whatever is written over the files of the lab.
    mine = Authority("Door programs CA")
    folder = lab.config_folder / "clients"
    (folder / "ca.pem").write_bytes(mine.certificate)
    for name in (one, two):
        pem = mine.client(name)
        (folder / f"{name}.pem").write_bytes(pem)
        (folder / f"{name}-key.pem").write_bytes(pem)
    lab.restart()
    assert asked.told() == "clients_refused"
