"""Each learner's own values: the reference passes for all of them, and one's value fails another.

Equal tasks are equal questions (`Question.lab` may depend on the task alone), so that a task that
several of the learners drew is run once. A run of the suite takes `FEW` tasks of each question that
needs a server, the first and the last; the solution itself runs one more, the default learner's.
With `--all-tasks` it takes every one.
"""

import itertools

import pytest
from exercise_notebooks import LESSONS, code, run, sections, solution

from leftopen import checks, lab_opensearch, learner, progress
from leftopen.cases import sensenets
from leftopen.checks.verdict import Kind
from leftopen.lab import Lab
from leftopen.lab_mongodb import MongoLab
from leftopen.lab_opensearch import SearchLab

LEARNERS = [f"learner {number}" for number in range(200)]
FEW = 2
FEW_EQUAL = 0.1

pytestmark = pytest.mark.needs("mongodb")


class Kept(MongoLab):
    """A lab that is wiped and filled again instead of being closed: ten times as fast."""

    def close(self):
        self.outside.shut()

    def refill(self, load):
        self._turn_relay()
        with self.client() as client:
            for name in client.list_database_names():
                if name not in ("admin", "config", "local"):
                    client.drop_database(name)
            client.admin.command("dropAllUsersFromDatabase")
            load(client)

    def client(self):
        return sensenets.MongoClient(self.inside.uri)


@pytest.fixture
def quick(monkeypatch):
    """Labs that begin open, and are only read or written, need no server of their own each."""
    kept = []

    def lab(name, config, load):
        if config != sensenets.AS_FOUND:
            return MongoLab(name, config, load)
        if kept and kept[0].is_running and kept[0].is_as_found:
            kept[0].refill(load)
        else:
            if kept:
                MongoLab.close(kept.pop())
            kept.append(Kept(name, config, load))
        return kept[0]

    close = SearchLab.close

    def give_way(lab):
        as_new = lab.is_running and lab._running == lab._as_found
        (SearchLab.retire if as_new else close)(lab)

    monkeypatch.setattr(sensenets, "MongoLab", lab)
    monkeypatch.setattr(SearchLab, "close", give_way)  # its node goes to the next learner
    # Each save waits for the disk, and what is saved has its own tests.
    monkeypatch.setattr(progress, "note_verdict", lambda *_: None)
    yield
    for each in kept:
        MongoLab.close(each)
    while lab_opensearch._parked:
        lab_opensearch._parked.pop()[0].close()


def reference(cells, name, monkeypatch):
    """Run a question's reference for a learner: its exercise, its answers, its verdict."""
    given = []
    plain = checks.Exercise.check

    def check(self, number, *answer):
        given[:] = [self, answer]
        return plain(self, number, *answer)

    monkeypatch.setenv(learner.VARIABLE, name)
    with monkeypatch.context() as patch:
        patch.setattr(checks.Exercise, "check", check)
        names, value = {}, None
        for cell in cells:
            found = run(cell.source, names)
            value = found if "ex.check(" in cell.source else value
    return given[0], given[1], value


def pytest_generate_tests(metafunc):
    if metafunc.cls is not None:
        questions = metafunc.cls.lesson.questions
        metafunc.parametrize("question", questions, ids=lambda question: f"q{question.number}")


def spread(names, count):
    """So many of the names, at equal distances: the first and the last among them."""
    last = len(names) - 1
    return [names[n] for n in sorted({round(n * last / (count - 1)) for n in range(count)})]


def test_a_few_tasks_are_the_first_the_last_and_some_between():
    assert spread(list("abcdefghij"), 4) == list("adgj")
    assert spread(list("ab"), 4) == list("ab")


class Learners:
    """The proof for one lesson; a class each, so that workers share them out."""

    def test_200_learners(self, question, quick, monkeypatch, request):
        parts = sections(solution(self.lesson))
        cells = code(parts[0]) + code(parts[question.number])
        first: dict[str, str] = {}
        for name in LEARNERS:
            task = repr(checks.Exercise(self.lesson.name, name).task(question.number))
            first.setdefault(task, name)
        assert len(first) > 1, "every learner has the same task"
        names = list(first.values())
        asked = checks.Exercise(self.lesson.name)._questions[question.number]
        if asked.lab is not None and not request.config.getoption("all_tasks"):
            names = spread(names, FEW)
        earlier, equal = None, 0
        for name in names:
            ex, answer, verdict = reference(cells, name, monkeypatch)
            try:
                assert verdict.kind is Kind.RIGHT, (name, verdict)
                if not ex._questions[question.number].value:
                    continue
                values = [given for given in answer if not isinstance(given, Lab)]
                if values == earlier:
                    equal += 1
                elif earlier is not None:
                    others = iter(earlier)
                    mixed = [a if isinstance(a, Lab) else next(others) for a in answer]
                    verdict = ex.check(question.number, *mixed)
                    assert verdict.kind is not Kind.RIGHT, (name, verdict)
                earlier = values
            finally:
                ex.close()
        assert equal <= FEW_EQUAL * len(names)


for each in LESSONS:
    title = f"Test_{each.name}"
    globals()[title] = type(title, (Learners,), {"lesson": each})


def test_draws_depend_on_the_name_the_exercise_and_the_purpose_alone():
    def draw(name="a", exercise="e", purpose="p"):
        return learner.Draw(name, exercise).number(purpose, 10**9)

    assert draw() == draw()
    assert len({draw(), draw(name="b"), draw(exercise="f"), draw(purpose="q")}) == 4


def test_a_draw_is_what_it_was_when_the_release_began():
    # SHA-256 of "1\ne\na\np", its first digits worked out with sha256sum.
    assert learner.Draw("a", "e").number("p", 2**256) == int(
        "905b9f64f1fdfb04c0c056eebf3cd01adaee0d7408763d9c1ca4c19f2c73cdfd", 16
    )


def test_shuffles_keep_everything_and_picks_come_from_the_options():
    draws = [learner.Draw(name, "e") for name in LEARNERS]
    shuffles = {tuple(draw.shuffle("s", "abcd")) for draw in draws}
    assert shuffles == set(itertools.permutations("abcd"))
    assert {draw.pick("c", "xyz") for draw in draws} == set("xyz")
    passwords = {draw.password("w") for draw in draws}
    assert len(passwords) == len(LEARNERS)
    assert {len(password) for password in passwords} == {20}
