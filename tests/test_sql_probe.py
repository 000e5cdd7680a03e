"""What an account may do on PostgreSQL is tried, and nothing of it stays there."""

import psycopg
import pytest

from leftopen.cases import tongren
from leftopen.checks import sql_probe
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import Attempt, Task
from leftopen.checks.sql_probe import SERVER_WIDE, Who

pytestmark = pytest.mark.needs("postgres")

WORD = "a/word: with @ signs"
COLUMNS = {"buildings": ("building", "storeys", "flats"), "visitors": ("visitor", "name")}
ROLES = f"""
    CREATE ROLE reader LOGIN PASSWORD '{WORD}';
    CREATE ROLE shut PASSWORD '{WORD}';
    CREATE ROLE second LOGIN SUPERUSER PASSWORD '{WORD}';
    GRANT SELECT (building, storeys) ON buildings TO reader;
    GRANT INSERT ON visitors TO reader;
    ALTER TABLE visitors ENABLE ROW LEVEL SECURITY;
    CREATE POLICY no_name ON visitors FOR INSERT WITH CHECK (name <> 'no');
"""


@pytest.fixture(scope="module")
def lab():
    def prepare(connect):
        with connect("doors_1") as operator:
            operator.execute(ROLES)

    found = tongren.small_lab(
        seed=3, config=tongren.LOCKED, hba=tongren.HBA_LOCKED, prepare=prepare
    )
    yield found
    found.close()


@pytest.fixture
def at():
    return Attempt(Task())


def state(lab):
    with psycopg.connect(lab.inside.uri_of("doors_1")) as operator:
        ask = (
            "SELECT (SELECT count(*) FROM buildings), (SELECT count(*) FROM visitors),"
            "(SELECT count(*) FROM pg_roles), (SELECT count(*) FROM pg_class),"
            "(SELECT sum(storeys) FROM buildings)"
        )
        return operator.execute(ask).fetchone()


def test_all_is_tried_and_nothing_of_it_stays(lab, at):
    before = state(lab)
    with Who(at, "as a superuser", lab, ("second", WORD)) as who:
        can = who.rights(COLUMNS)
    wanted = {
        f"{a} {t}.{c}"
        for t, cs in COLUMNS.items()
        for c in cs
        for a in ("select", "insert", "update")
    }
    on_tables = ("delete", "truncate", "own", "grant", "references", "trigger")
    wanted |= {f"{a} {t}" for t in COLUMNS for a in on_tables}
    attributes = set(sql_probe.ATTRIBUTES.values())  # a superuser needs none of them
    makes = {sql_probe.MAKES_TABLES, sql_probe.MAKES_SCHEMAS}
    assert can == wanted | (SERVER_WIDE - attributes) | makes
    assert all("refused" not in line for line in at.tried)
    assert state(lab) == before


def test_columns_are_tried_one_by_one(lab, at):
    with Who(at, "as the reader", lab, ("reader", WORD)) as who:
        assert who.logs_in()
        can = who.rights(COLUMNS)
        assert not who.allows("INSERT INTO visitors VALUES (-1, 'no', 'x', 'x')")
        assert who.allows("INSERT INTO visitors VALUES (-1, 'yes', 'x', 'x')")
        assert who.run("INSERT INTO visitors (name) VALUES ('yes')") == []  # a number is missing
        assert who.run("SELECT building FROM buildings WHERE false") == []
        assert who.run("SELECT flats FROM buildings") is None
    assert can == {
        "select buildings.building",
        "select buildings.storeys",
        "insert visitors.visitor",
        "insert visitors.name",
    }
    assert "as the reader: buildings: select (building, storeys) → accepted" in at.tried
    assert state(lab)[1] > 0


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("GRANT pg_read_server_files TO reader", {sql_probe.READS_FILES}),
        ("GRANT pg_write_server_files TO reader", {sql_probe.WRITES_FILES}),
        ("GRANT pg_execute_server_program TO reader", {sql_probe.RUNS_PROGRAMS}),
        ("ALTER ROLE reader CREATEROLE", {sql_probe.MAKES_ROLES}),
        ("ALTER ROLE reader BYPASSRLS", {"the attribute BYPASSRLS"}),
        ("GRANT INSERT ON visitors TO reader WITH GRANT OPTION", {"grant visitors"}),
        ("GRANT TRIGGER ON visitors TO reader", {"trigger visitors"}),
        ("GRANT CREATE ON SCHEMA public TO reader", {sql_probe.MAKES_TABLES}),
    ],
)
def test_what_is_given_beside_the_tables_is_found(lab, at, given, found):
    with psycopg.connect(lab.inside.uri_of("doors_1")) as operator:
        with Who(at, "x", lab, ("reader", WORD)) as who:
            before = who.rights_in_any_role(COLUMNS)
        operator.execute(given)
        operator.commit()
        with Who(at, "x", lab, ("reader", WORD)) as who:
            assert who.rights_in_any_role(COLUMNS) - before == found
        operator.execute(_taken_back(given))


def _taken_back(given):
    if given.startswith("ALTER"):
        return given.replace("reader ", "reader NO")
    if given.endswith(" WITH GRANT OPTION"):
        given = given.removesuffix(" WITH GRANT OPTION").replace(
            "INSERT", "GRANT OPTION FOR INSERT"
        )
    return given.replace("GRANT", "REVOKE", 1).replace(" TO ", " FROM ")


def test_what_it_may_after_set_role_is_found(lab, at):
    with psycopg.connect(lab.inside.uri_of("doors_1")) as operator:
        operator.execute("CREATE ROLE duty; GRANT DELETE ON visitors TO duty; GRANT duty TO reader")
        operator.execute("ALTER ROLE reader NOINHERIT")
    with Who(at, "x", lab, ("reader", WORD)) as who:
        assert "delete visitors" not in who.rights(COLUMNS)
        assert "delete visitors" in who.rights_in_any_role(COLUMNS)
        assert "delete visitors" not in who.rights(COLUMNS)
    with psycopg.connect(lab.inside.uri_of("doors_1")) as operator:
        operator.execute("DROP OWNED BY duty; DROP ROLE duty; ALTER ROLE reader INHERIT")


def test_a_login_is_tried_from_either_side(lab, at):
    def why(*account, **how):
        with Who(at, "x", lab, account or ("reader", WORD), **how) as who:
            return who.why_not()

    assert why() is None
    assert why(outside=True, sslmode="verify-full") is None
    assert "pg_hba.conf rejects" in why(sslmode="disable")
    assert "pg_hba.conf rejects" in why("postgres", "", outside=True)
    assert "password authentication failed" in why("reader", "wrong")
    assert "no password supplied" in why("reader", "")
    assert "not permitted to log in" in why("shut", WORD)
    assert "password authentication failed" in why("nobody", WORD)


def test_the_environment_does_not_change_a_login(lab, at, monkeypatch, tmp_path):
    (tmp_path / "pass").write_text(f"*:*:*:*:{WORD}\n")
    (tmp_path / "pass").chmod(0o600)
    for name, value in {
        "SSLMODE": "disable",
        "PASSFILE": str(tmp_path / "pass"),
        "USER": "x",
    }.items():
        monkeypatch.setenv(f"PG{name}", value)
    with Who(at, "x", lab, ("reader", WORD)) as who:
        assert who.connection.pgconn.ssl_in_use
    with Who(at, "x", lab, ("reader", "")) as who:
        assert who.why_not()


def test_what_is_no_refusal_is_not_taken_for_one(lab, at):
    with Who(at, "x", lab, ("reader", WORD)) as who, pytest.raises(psycopg.ProgrammingError):
        who.allows("SELECT * FROM public.no_such_table")
    unknown = {"sslmode": "verify-full", "sslrootcert": "system"}
    with Who(at, "x", lab, **unknown) as who, pytest.raises(psycopg.OperationalError):
        who.logs_in()


def test_a_transaction_that_is_left_open_is_named(lab, at):
    with psycopg.connect(lab.inside.uri_of("doors_1")) as forgotten:
        forgotten.execute("LOCK TABLE buildings IN ACCESS EXCLUSIVE MODE")
        reader = Who(at, "x", lab, ("reader", WORD))
        with reader as who, pytest.raises(BadAnswer, match="lock"):
            who.allows("SELECT building FROM public.buildings")
        forgotten.execute("GRANT SELECT ON visitors TO reader")
        with pytest.raises(BadAnswer, match="commit"), sql_probe.operator(lab):
            pass
        forgotten.rollback()
        with sql_probe.operator(lab) as operator:
            assert operator.execute("SELECT current_user").fetchone() == ("postgres",)


def test_words_are_few():
    assert sql_probe.words({"b", "a"}) == "a, b"
    assert sql_probe.words("fedcba") == "a, b, c, d and 2 more"
