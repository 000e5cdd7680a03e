"""The questions' manifest: the real ones are right, and each mistake is told with its line."""

import pytest

from leftopen import course
from leftopen.errors import DataError

GOOD = """\
# A comment

[[question]]
number = 1
title = "First"
points = 2
hints = [
    "nudge",
    "nearly there",
]
reason = "It matters."
alternatives = ["another way"]

[question.near_misses]
one = "This."
two = "That, for {name}."
three = "Other."
four = "More."

[[question]]
number = 2
title = "Second"
points = 10
hints = ["a", "b", "c"]
reason = "It matters more."
alternatives = ["this way", "that way"]
near_misses = {five = "5", six = "6", seven = "7", eight = "8"}
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "07_topic.toml"
        path.write_text(text)
        return course.load_questions(path)

    return load


def test_good_questions_are_read(load):
    first, second = load(GOOD)
    assert (first.number, first.title, first.points) == (1, "First", 2)
    assert first.hints == ("nudge", "nearly there")
    assert first.near_misses["two"] == "That, for {name}."
    assert second.alternatives == ("this way", "that way")
    assert list(second.near_misses) == ["five", "six", "seven", "eight"]


@pytest.mark.parametrize(
    ("right", "wrong", "line", "told"),
    [
        ("points = 2", "point = 2", 6, "`point` is not known in this question"),
        ("points = 2\n", "", 3, "`points` is missing in this question"),
        ("points = 2", "points = 0", 6, "0 points"),
        ("points = 2", "points = true", 6, "`points` must be int"),
        ("number = 2", "number = 3", 21, "question 3 stands in place 2"),
        ('hints = ["a", "b", "c"]\n', "", 20, "`hints` is missing"),
        ('hints = ["a", "b", "c"]', "hints = []", 24, "one to 3 hints"),
        ('hints = ["a", "b", "c"]', 'hints = ["a", ""]', 24, "none of them empty"),
        ('hints = ["a", "b", "c"]', 'hints = ["a", "b", "c", "d"]', 24, "one to 3 hints"),
        ('alternatives = ["another way"]', "alternatives = []", 12, "has an alternative"),
        ('alternatives = ["another way"]\n', "", 3, "`alternatives` is missing"),
        ('four = "More."\n', "", 14, "at least 4 near misses"),
        ('four = "More."', "four = 4", 14, "`near_misses` must be a table of str"),
        ('four = "More."', 'four = " "', 18, "`four` has no sentence"),
        ('four = "More."', 'four = "This."', 18, "`four` has the sentence of `one`"),
        ('eight = "8"', 'eight = "This."', 20, "`eight` has the sentence of `one`"),
        ('reason = "It matters."', 'reason = ""', 11, "`reason` is empty"),
        ('title = "First"', 'title = ""', 5, "`title` is empty"),
        ("# A comment", 'answer = "x"', 1, "`answer` is not known"),
    ],
)
def test_a_mistake_is_told_with_its_line(load, right, wrong, line, told):
    assert GOOD.count(right) == 1
    with pytest.raises(DataError) as caught:
        load(GOOD.replace(right, wrong))
    assert str(caught.value).startswith(f"07_topic.toml, line {line}: "), caught.value
    assert told in str(caught.value)


def test_questions_stand_beside_the_manifest(tmp_path):
    beside = tmp_path / "questions" / "07_topic.toml"
    beside.parent.mkdir()
    beside.write_text(GOOD)
    manifest = tmp_path / "course.toml"
    lesson = '[[lesson]]\nnumber = 7\nslug = "topic"\ntitle = "T"\nengine = "none"\n'
    manifest.write_text(f'title = "A"\n{lesson}minutes = 5\nstatus = "planned"\n')
    (found,) = course.load(manifest).lessons
    assert [question.number for question in found.questions] == [1, 2]
    assert found.exercise == "exercises/07_topic.ipynb"
    beside.unlink()
    assert course.load(manifest).lessons[0].questions == ()


def test_the_courses_own_questions_are_right():
    lessons = [lesson for lesson in course.load().lessons if lesson.questions]
    numbers = [lesson.number for lesson in lessons]
    assert numbers == sorted(numbers)
    assert {0, 1, 2, 3, 4, 6, 7, 8, 9} <= set(numbers)
