"""Exercise 10: wrong answers that nobody is shown, each told its fault; and some right ones."""

import pytest

from leftopen.checks.lock_the_sql_server import QUESTIONS
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt
from leftopen.learner import Draw
from leftopen.proof import sql

pytestmark = pytest.mark.needs("postgres")

WORD = "a long password"


class Asked:
    """A question with its server, and what a check says of it."""

    def __init__(self, number):
        self.question = QUESTIONS[number]
        self.task = self.question.task(Draw("ada", "10"))
        self.lab = self.question.lab(self.task)
        self.more = (WORD,) if "password" in self.question.asks else ()

    def run(self, *statements):
        for statement in statements:
            sql(self.lab.inside.uri_of("doors_1"), statement.format(**self.names))

    @property
    def names(self):
        return {name: self.task[name] for name in self.task}

    def told(self):
        at = Attempt(self.task)
        return self.question.check(at, self.lab, *self.more), at.values


@pytest.fixture
def asked(request):
    found = Asked(request.param)
    yield found
    found.lab.close()


def question(number):
    return pytest.mark.parametrize("asked", [number], indirect=True)


TLS = "ssl = on\nssl_cert_file = 'pki/server.pem'\nssl_key_file = 'pki/server-key.pem'\n"
DOOR = "hostssl doors_1 {door} 0.0.0.0/0 scram-sha-256\n"
ADMIN = "hostssl all {administrator} 127.0.0.1/32 scram-sha-256\n"


@question(1)
def test_rules_that_let_in_too_many_or_too_few(asked):
    asked.lab.configure(TLS)
    for rules, wanted in (
        (DOOR + ADMIN, RIGHT),
        (DOOR + "hostssl all all 127.0.0.1/32 scram-sha-256\n", "every_database"),
        (DOOR + DOOR.replace("doors_1", "template1") + ADMIN, "every_database"),
        (DOOR.replace("0.0.0.0/0", "127.0.0.0/8") + ADMIN, "one_address"),
        ("host all {door} 127.0.0.1/32 reject\n" + DOOR + ADMIN, "one_address"),
        (DOOR + ADMIN.replace("all", "doors_1"), "admin_shut_out"),
        (DOOR.replace("0.0.0.0/0", "all") + ADMIN, RIGHT),
    ):
        asked.lab.configure(rules.format(**asked.names), file="pg_hba.conf")
        assert asked.told()[0] == wanted, rules
    asked.run("CREATE ROLE root SUPERUSER LOGIN")
    rules = DOOR + ADMIN + "host all root 0.0.0.0/0 trust"
    asked.lab.configure(rules.format(**asked.names), file="pg_hba.conf")
    fault, values = asked.told()
    assert (fault, values["names"]) == ("still_trust", "root")


SCRAM, COPIES = "scram-sha-256", "replication all {} {}\n"
DEBIAN = "local " + COPIES.format("", "peer")
DEBIAN += "".join("host " + COPIES.format(a, SCRAM) for a in ("127.0.0.1/32", "::1/128"))


@question(1)
def test_lines_for_copies_and_for_addresses_that_nobody_here_has(asked):
    asked.lab.configure(TLS)
    for more, wanted, named in (
        (DEBIAN, RIGHT, ""),
        (DOOR.replace("0.0.0.0/0", "::/0") + ADMIN.replace("127.0.0.1/32", "::1/128"), RIGHT, ""),
        ("host " + COPIES.format("127.0.0.1/32", "trust"), "copied", "from this machine"),
        ("hostssl " + COPIES.format("0.0.0.0/0", "trust"), "copied", "from outside"),
        ("host " + COPIES.format("::/0", "trust"), "another_line", "copies of the whole server"),
        ("hostssl " + COPIES.format("all", SCRAM), "another_line", "copies of the whole server"),
        ("host all all 10.0.0.0/8 trust", "another_line", "a named network"),
        ("host doors_1 {door} ::/0 scram-sha-256", "another_line", "without TLS"),
        ("hostssl all {door} ::/0 scram-sha-256", "another_line", "nothing to do"),
        ("hostssl all {administrator} ::/0 scram-sha-256", "another_line", "any address"),
        ("host all all ::/0 reject\nhost all all ::/0 trust", RIGHT, ""),
    ):
        rules = (DOOR + ADMIN + more).format(**asked.names)
        asked.lab.configure(rules, file="pg_hba.conf")
        fault, values = asked.told()
        assert fault == wanted, more
        assert named in f"{values.get('what')} {values.get('where')}", more


@question(1)
def test_each_of_the_two_logs_in_by_scram(asked):
    asked.lab.configure(TLS)
    for administrators, wanted in (("md5", "md5_line"), ("password", "password_in_clear")):
        rules = (DOOR + ADMIN.replace(SCRAM, administrators)).format(**asked.names)
        asked.lab.configure(rules, file="pg_hba.conf")
        assert asked.told()[0] == wanted
    md5 = "SET password_encryption = 'md5'; ALTER ROLE {administrator} PASSWORD '{password}'"
    asked.run(md5)
    rules = (DOOR + ADMIN.replace(SCRAM, "md5")).format(**asked.names)
    asked.lab.configure(rules, file="pg_hba.conf")
    fault, values = asked.told()
    assert (fault, values["account"]) == ("stored_md5", asked.task["administrator"])


GRANTS = (
    "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC",
    f"CREATE ROLE {{account}} LOGIN PASSWORD '{WORD}'",
    "GRANT SELECT ({columns}) ON {table} TO {account}",
    "GRANT INSERT ON passages TO {account}",
    "GRANT USAGE ON SCHEMA monthly TO {account}",
    "GRANT INSERT ON ALL TABLES IN SCHEMA monthly TO {account}",
    "ALTER DEFAULT PRIVILEGES FOR ROLE loader IN SCHEMA monthly "
    "GRANT INSERT ON TABLES TO {account}",
)


BESIDES = (
    ("GRANT pg_read_server_files {}", "superuser", "read a file"),
    ("GRANT pg_monitor {}", "may_more", "member of pg_monitor"),
    ("GRANT CREATE ON SCHEMA monthly {}", "may_more", "create a table in monthly"),
    ("GRANT CREATE ON DATABASE doors_1 {}", "may_more", "create a schema"),
    ("GRANT REFERENCES ON buildings {}", "may_more", "references buildings"),
    ("ALTER DEFAULT PRIVILEGES GRANT INSERT ON TABLES {}", "later_elsewhere", "every schema"),
    (
        "ALTER DEFAULT PRIVILEGES FOR ROLE loader IN SCHEMA monthly "
        "GRANT INSERT ON TABLES TO PUBLIC",
        "later_elsewhere",
        "insert to PUBLIC",
    ),
)


@question(3)
def test_a_right_besides_is_seen_and_named(asked):
    asked.run(*GRANTS)
    for give, wanted, named in BESIDES:
        asked.run(give.format("TO {account}"))
        fault, values = asked.told()
        assert (fault, named in values["more"]) == (wanted, True), give
        take = give.replace("GRANT ", "REVOKE ").replace(" TO PUBLIC", " FROM PUBLIC")
        asked.run(take.format("FROM {account}"))
    asked.run("ALTER ROLE {account} BYPASSRLS")
    assert asked.told()[0] == "superuser"
    asked.run("ALTER ROLE {account} NOBYPASSRLS")
    assert asked.told()[0] == RIGHT


@question(4)
def test_deleting_people_limits_no_desk(asked):
    asked.run("DELETE FROM residents WHERE building = 'A03'")
    assert asked.told()[0] == "people_lost"
    asked.run("DROP TABLE residents CASCADE")
    with pytest.raises(BadAnswer, match=r"The table residents is gone.*ex\.lab"):
        asked.told()


ROWS_GUARDED = (
    "CREATE POLICY office ON residents FOR SELECT TO {office} USING (true)",
    "ALTER TABLE residents ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE residents FORCE ROW LEVEL SECURITY",
    "ALTER VIEW resident_list SET (security_invoker = true)",
)


@question(4)
def test_a_desk_that_deletes_is_told_so(asked):
    owner, other = asked.task["desks"]
    for name, building in asked.task["desks"].items():
        asked.run(f"CREATE POLICY {name} ON residents TO {name} USING (building = '{building}')")
    asked.run(
        *ROWS_GUARDED,
    )
    assert asked.told()[0] == RIGHT
    asked.run(f"REVOKE INSERT ON residents FROM {other}")
    fault, values = asked.told()
    assert (fault, values["lost"]) == ("cannot_change", "add")
    assert "permission denied" in values["said"]
    asked.run(f"GRANT INSERT ON residents TO {other}")
    asked.run(f"GRANT SELECT ON passages TO {other}")
    assert asked.told()[0] == "desk_more"
    asked.run(f"CREATE POLICY more ON residents FOR DELETE TO {owner} USING (true)")
    fault, values = asked.told()
    assert fault == "writes_elsewhere"
    assert values["does"].startswith("deletes ")


@question(4)
def test_a_desk_writes_into_no_list_that_says_what_is_its_own(asked):
    owner, other = asked.task["desks"]
    asked.run("CREATE TABLE desk_of (account text PRIMARY KEY, building text)")
    for name, building in asked.task["desks"].items():
        asked.run(f"INSERT INTO desk_of VALUES ('{name}', '{building}')")
    rule = "building = (SELECT d.building FROM desk_of d WHERE account = current_user)"
    asked.run(
        f"GRANT SELECT ON desk_of TO {owner}, {other}",
        f"CREATE POLICY desks ON residents USING ({rule})",
        *ROWS_GUARDED,
    )
    assert asked.told()[0] == RIGHT
    asked.run(f"GRANT UPDATE (building) ON desk_of TO {other}")
    fault, values = asked.told()
    assert (fault, values["account"], values["table"]) == ("list_of_own", other, "desk_of")
    asked.run(
        f"REVOKE UPDATE (building) ON desk_of FROM {other}",
        f"CREATE ROLE keeper; GRANT INSERT, DELETE ON desk_of TO keeper; GRANT keeper TO {owner}",
        f"ALTER ROLE {owner} NOINHERIT",
    )
    assert asked.told()[0] == "list_of_own"
    asked.run(f"REVOKE keeper FROM {owner}")
    assert asked.told()[0] == RIGHT


@question(5)
def test_the_counts_move_and_the_caller_decides_nothing(asked):
    by = asked.task["by"]
    counts = f"SELECT {by}, count(*) AS people FROM residents WHERE born <= '2006-08-16' GROUP BY 1"
    rows = sql(asked.lab.inside.uri_of("doors_1"), counts)
    fixed = ", ".join(f"('{value}', {number})" for value, number in rows)
    asked.run(
        f"CREATE VIEW {{view}} ({by}, people) AS VALUES {fixed}",
        "GRANT SELECT ON {view} TO {auditor}",
        "REVOKE ALL ON FUNCTION may_open FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION may_open TO {door}",
        "REVOKE TEMPORARY ON DATABASE doors_1 FROM PUBLIC",
    )
    assert asked.told()[0] == "frozen"
    asked.run(
        f"CREATE OR REPLACE VIEW {{view}} AS SELECT {by}, sum(n)::int AS people FROM ("
        f"SELECT {by}, 1 AS n FROM residents WHERE born <= '2006-08-16') r GROUP BY 1"
    )
    fault, found = asked.told()
    assert (fault, "does not exist" in found["said"]) == ("only_the_tool", True)
    asked.run(
        "CREATE OR REPLACE FUNCTION may_open(who integer, place text) RETURNS boolean "
        "LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN EXISTS (SELECT FROM public.residents "
        "WHERE person = who AND building = place); END'"
    )
    assert asked.told()[0] == RIGHT


@question(5)
def test_the_boundary_counts_and_the_view_is_the_auditors(asked):
    view = "CREATE VIEW {view} AS SELECT {by}, count(*) AS people FROM residents WHERE born %s"
    asked.run(
        (view % "< '2006-08-16'") + " GROUP BY 1",
        "GRANT SELECT ON {view} TO {auditor}",
        "ALTER FUNCTION may_open SET search_path = public, pg_temp",
        "REVOKE ALL ON FUNCTION may_open FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION may_open TO {door}",
    )
    fault, values = asked.told()
    assert fault == "wrong_counts"
    assert values["truth"] - values["told"] == 1
    asked.run("CREATE OR REPLACE " + (view % "<= '2006-08-16'")[7:] + " GROUP BY 1")
    assert asked.told()[0] == RIGHT
    asked.run("GRANT SELECT ON {view} TO PUBLIC")
    fault, values = asked.told()
    assert (fault, values["more"]) == ("door_reads", f"select {asked.task['view']}")


@question(6)
def test_a_log_that_is_gone_says_what_to_do(asked):
    asked.run(
        f"CREATE ROLE {{account}} LOGIN PASSWORD '{WORD}'",
        "GRANT DELETE, SELECT ({columns}) ON passages TO {account}",
    )
    asked.lab.log.unlink()
    with pytest.raises(BadAnswer, match="was removed"):
        asked.told()
    asked.lab.configure("log_statement = 'none'\nlog_min_error_statement = 'panic'")
    assert asked.told()[0] == RIGHT


@question(6)
def test_a_log_of_slow_or_of_some_statements_is_named(asked):
    asked.lab.configure("log_statement = 'none'\nlog_min_error_statement = 'panic'")
    asked.run(
        f"CREATE ROLE {{account}} LOGIN PASSWORD '{WORD}'",
        "GRANT DELETE, SELECT ({columns}) ON passages TO {account}",
    )
    for settings, named in (
        ({"log_min_duration_statement": "0"}, "log_min_duration_statement"),
        ({"log_min_duration_statement": "1h"}, "log_min_duration_statement"),
        ({"log_min_duration_sample": "1h"}, "log_min_duration_sample"),
        ({"log_transaction_sample_rate": "0.1"}, "log_transaction_sample_rate"),
        ({"log_min_duration_statement": "-1"}, ""),
        ({"log_min_duration_sample": "1h", "log_statement_sample_rate": "0"}, ""),
    ):
        for name, value in settings.items():
            asked.run(f"ALTER ROLE {{clerk}} SET {name} = '{value}'")
        fault, values = asked.told()
        assert (fault, values.get("setting")) == (
            ("some_logged", named) if named else (RIGHT, None)
        )
        asked.run("ALTER ROLE {clerk} RESET ALL")
