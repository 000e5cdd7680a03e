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


@question(4)
def test_a_desk_that_deletes_is_told_so(asked):
    owner, other = asked.task["desks"]
    for name, building in asked.task["desks"].items():
        asked.run(f"CREATE POLICY {name} ON residents TO {name} USING (building = '{building}')")
    asked.run(
        "CREATE POLICY office ON residents FOR SELECT TO {office} USING (true)",
        "ALTER TABLE residents ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE residents FORCE ROW LEVEL SECURITY",
        "ALTER VIEW resident_list SET (security_invoker = true)",
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
