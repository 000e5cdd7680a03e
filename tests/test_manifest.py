"""The manifest: the real one is right, and each kind of mistake is told with its line."""

import json

import pytest

from leftopen import build, course
from leftopen.errors import DataError

GOOD = """\
title = "A course"

[[lesson]]
number = 0
slug = "first"
title = "First"
engine = "none"
minutes = 15
status = "ready"
objectives = ["Begin"]

[[lesson]]
number = 1
slug = "second"
title = "Second"
engine = "MongoDB"
minutes = 45
status = "planned"
prerequisites = [0]
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "course.toml"
        path.write_text(text)
        return course.load(path)

    return load


def test_a_good_manifest_is_read(load):
    found = load(GOOD)
    assert found.title == "A course"
    assert [lesson.number for lesson in found.lessons] == [0, 1]
    first, second = found.lessons
    assert first.is_ready
    assert not second.is_ready
    assert first.notebook == "notebooks/00_first.ipynb"
    assert second.prerequisites == (0,)


def test_a_lesson_names_its_servers_and_a_server_its_lessons(load):
    servers = {
        "none": (),
        "MongoDB": ("MongoDB",),
        "MongoDB, PostgreSQL": ("MongoDB", "PostgreSQL"),
    }
    servers["all three"] = ("MongoDB", "OpenSearch", "PostgreSQL")
    for engine, wanted in servers.items():
        first, second = load(GOOD.replace('"none"', f'"{engine}"')).lessons
        assert first.servers == wanted
        assert second.servers == ("MongoDB",)
    everything = load(GOOD.replace('"none"', '"all three"'))
    assert everything.on("PostgreSQL") == "lessons 00"
    assert everything.on("MongoDB") == "lessons 00"  # the second is not ready
    both = load(
        GOOD.replace('"none"', '"all three"').replace('"planned"', '"ready"\nobjectives = ["x"]')
    )
    assert both.on("MongoDB") == "lessons 00, 01"


@pytest.mark.parametrize(
    ("right", "wrong", "line", "told"),
    [
        ("minutes = 45", "minuts = 45", 17, "`minuts` is not known"),
        ("minutes = 45\n", "", 12, "`minutes` is missing"),
        ("minutes = 45", 'minutes = "45"', 17, "`minutes` must be int"),
        ("minutes = 45", "minutes = true", 17, "`minutes` must be int"),
        ("minutes = 45", "minutes = 0", 17, "0 minutes"),
        ("number = 1", "number = 0", 13, "lesson 0 stands after lesson 0"),
        ('slug = "second"', 'slug = "first"', 14, "is used by an earlier lesson"),
        ('slug = "second"', 'slug = "Second one"', 14, "may hold a-z"),
        ('"MongoDB"', '"Oracle"', 16, "'Oracle' must be one of"),
        ('"planned"', '"done"', 18, "'done' must be one of"),
        ("prerequisites = [0]", "prerequisites = [7]", 19, "7 is no lesson before"),
        ("prerequisites = [0]", "prerequisites = [1]", 19, "1 is no lesson before"),
        ("prerequisites = [0]", 'prerequisites = ["0"]', 19, "must be a list of int"),
        ("prerequisites = [0]", "prerequisites = 0", 19, "must be a list of int"),
        ('objectives = ["Begin"]\n', "", 3, "states its objectives"),
        ('title = "A course"', 'titel = "A course"', 1, "`titel` is not known"),
        ('title = "A course"', "title = 3", 1, "`title` must be str"),
    ],
)
def test_a_mistake_is_told_with_its_line(load, right, wrong, line, told):
    assert GOOD.count(right) == 1
    with pytest.raises(DataError) as caught:
        load(GOOD.replace(right, wrong))
    assert str(caught.value).startswith(f"course.toml, line {line}: "), caught.value
    assert told in str(caught.value)


def test_bad_toml_is_told_with_its_line(load):
    with pytest.raises(DataError, match=r"course\.toml cannot be read: .*line 8"):
        load(GOOD.replace("minutes = 15", "minutes = 15 minutes"))


def test_a_lesson_must_be_a_table(load):
    with pytest.raises(DataError, match="`lesson` must be"):
        load('title = "A course"\nlesson = [1]\n')


def test_a_manifest_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        course.load(tmp_path / "course.toml")


def test_the_course_has_its_twenty_lessons():
    lessons = course.load().lessons
    assert [lesson.number for lesson in lessons] == list(range(20))
    assert [lesson.slug for lesson in lessons][:2] == ["start_here", "case_sensenets"]
    assert [lesson.number for lesson in lessons if lesson.is_ready][:2] == [0, 1]


def test_ready_means_that_the_notebook_exists():
    for lesson in course.load().lessons:
        assert (course.ROOT / lesson.notebook).exists() is lesson.is_ready, lesson.notebook


def test_a_notebook_bears_its_title():
    for lesson in course.load().lessons:
        if lesson.is_ready:
            cells = json.loads((course.ROOT / lesson.notebook).read_text())["cells"]
            assert "".join(cells[0]["source"]).splitlines()[0] == f"# {lesson.title}"


def test_the_table_links_what_is_ready_alone(load):
    table = build.lessons_table(load(GOOD)).splitlines()[2:]
    assert table == [
        "| 00 | [First](notebooks/00_first.ipynb) | – | 15 | – |",
        "| 01 | Second | MongoDB | planned | – |",
    ]


README = f"# Title\n{build.BEGIN}\nold\n{build.END}\nafter\n"


def test_only_the_part_between_the_markers_changes():
    assert build.with_table(README, "new") == f"# Title\n{build.BEGIN}\nnew\n{build.END}\nafter\n"


@pytest.mark.parametrize(
    "readme",
    ["", README.replace(build.END, ""), README + README, f"{build.END}\n{build.BEGIN}\n"],
)
def test_missing_markers_are_told(readme):
    with pytest.raises(DataError, match="must hold the line"):
        build.with_table(readme, "new")


def test_build_writes_and_check_only_looks(tmp_path):
    (tmp_path / "exercises").mkdir()
    (tmp_path / "exercises" / "course.toml").write_text(GOOD)
    readme = tmp_path / "README.md"
    readme.write_text(README)
    assert build.build(tmp_path, check=True) == [readme]
    assert readme.read_text() == README
    assert build.build(tmp_path) == [readme]
    assert "| 01 | Second |" in readme.read_text()
    assert build.build(tmp_path, check=True) == []


def test_the_table_in_readme_is_fresh():
    assert build.build(check=True) == [], "run `make build`"
