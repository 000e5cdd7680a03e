"""environment.yml, pyproject.toml and requirements.lock say the same."""

import re
import tomllib

import conda_file
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from leftopen.course import ROOT

# Where conda-forge gives a package another name.
CONDA_NAMES = {
    "matplotlib": "matplotlib-base",
    "duckdb": "python-duckdb",
    "playwright": "playwright-python",
}
# conda's own: the language, the installer, and the servers with what they run on.
CONDA_ALONE = {"python", "pip", "mongodb", "openjdk", "maven", "postgresql"}


def requirements(*extras: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def locked(text: str) -> list[tuple[Requirement, list[str]]]:
    """Each pinned requirement with its hashes; raises ValueError for anything else in the lock."""
    found = []
    for entry in text.replace("\\\n", " ").splitlines():
        if not entry.strip():
            continue
        line, *hashes = entry.split(" --hash=")
        requirement = Requirement(line.strip())
        if not re.fullmatch(r"==[\w.+!]+", str(requirement.specifier)) or requirement.url:
            raise ValueError(f"not pinned: {line}")
        hashes = [word.strip() for word in hashes]
        if not hashes or not all(re.fullmatch(r"sha256:[0-9a-f]{64}", word) for word in hashes):
            raise ValueError(f"without good hashes: {line}")
        found.append((requirement, hashes))
    return found


LOCK = (ROOT / "requirements.lock").read_text()
ENVIRONMENT = conda_file.read((ROOT / "environment.yml").read_text())
BY_PIP = {
    wanted.name: wanted.specifier
    for line in ENVIRONMENT.pip
    if not line.startswith("-e ")
    for wanted in [Requirement(line)]
}
"""What conda's channel may not have: pip brings it."""


@pytest.mark.parametrize("wanted", requirements("mongodb", "dev"), ids=lambda r: r.name)
def test_the_lock_pins_what_pyproject_asks_for(wanted):
    pins = [pin for pin, _ in locked(LOCK) if pin.name == canonicalize_name(wanted.name)]
    assert pins, f"{wanted} is not in requirements.lock: run `make lock`"
    for pin in pins:
        version = str(pin.specifier).removeprefix("==")
        assert wanted.specifier.contains(version, prereleases=True), f"{wanted} against {pin}"


def test_the_lock_holds_pins_and_hashes_and_no_address():
    assert len(locked(LOCK)) > 100
    assert "://" not in LOCK
    assert not re.search(r"^\s*-(?!-hash=)", LOCK, re.MULTILINE)
    names = [(pin.name, str(pin.marker)) for pin, _ in locked(LOCK)]
    assert len(set(names)) == len(names)


GOOD_HASH = f"--hash=sha256:{'0' * 64}"


@pytest.mark.parametrize(
    "line",
    [
        f"pandas>=3 {GOOD_HASH}",
        f"pandas {GOOD_HASH}",
        "pandas==3.1.1",
        "pandas==3.1.1 --hash=md5:0",
        f"pandas @ https://example.org/pandas.whl {GOOD_HASH}",
        "--index-url https://example.org/simple",
        "--find-links /tmp",
    ],
)
def test_a_line_that_locks_nothing_is_refused(line):
    with pytest.raises(ValueError, match=r".*"):
        locked(f"{line}\n")
    assert locked(f"pandas==3.1.1 ; sys_platform == 'linux' \\\n    {GOOD_HASH}\n")


@pytest.mark.parametrize("wanted", requirements("dev"), ids=lambda r: r.name)
def test_conda_has_the_same_range(wanted):
    name = CONDA_NAMES.get(wanted.name, wanted.name)
    ranges = ENVIRONMENT.packages | BY_PIP
    assert name in ranges, f"{name} is not in environment.yml"
    assert ranges[name] == wanted.specifier


def test_conda_has_nothing_beside():
    known = {CONDA_NAMES.get(r.name, r.name) for r in requirements("dev")} | CONDA_ALONE
    assert set(ENVIRONMENT.packages) <= known
    assert set(BY_PIP) <= known
    assert not set(BY_PIP) & set(ENVIRONMENT.packages)


def test_conda_has_its_own_server_and_a_python_that_fits():
    assert ENVIRONMENT.name == "leftopen"
    assert ENVIRONMENT.channels == ["conda-forge"]
    assert "7.0.34" in ENVIRONMENT.packages["mongodb"]
    assert "6.0.5" not in ENVIRONMENT.packages["mongodb"]
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    python = str(ENVIRONMENT.packages["python"]).strip("=*.")
    assert python in SpecifierSet(wanted)


def test_pip_brings_the_course_what_it_imports_and_no_server():
    assert ENVIRONMENT.pip.count("-e .") == 1
    assert set(BY_PIP) <= {r.name for r in requirements()}


def test_each_package_says_where_it_is_used():
    lines = (ROOT / "environment.yml").read_text().splitlines()
    packages = [line for line in lines if re.match(r" +- [a-z]", line)]
    packages = [line for line in packages if not re.match(r" +- (conda-forge|pip:)", line)]
    assert len(packages) >= len(ENVIRONMENT.packages)
    unexplained = [line for line in packages if not re.search(r"# \w", line)]
    assert unexplained == []


HEAD = "name: x\nchannels: [conda-forge]\ndependencies:\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name: x",
        "name: [x]\nchannels: [c]\ndependencies: []",
        "name: x y\nchannels: [c]\ndependencies: []",
        "name: x\nchannels: c\ndependencies: []",
        "name: x\ndependencies: []",
        "name: x\nchannels: [c]\ndependencies: pandas",
        HEAD.replace("dependencies", "dependencys") + "  - pandas\n",
        HEAD + "  - pandas\nextra: 1\n",
        HEAD + "  - Pandas\n",
        HEAD + "  - pandas >= 3\n",
        HEAD + "  - pandas>=3,\n",
        HEAD + "  - pandas>=3,<\n",
        HEAD + "  - pandas=>3\n",
        HEAD + "  - pandas===3\n",
        HEAD + "  - pandas[extra]>=3\n",
        HEAD + "  - pandas; sys_platform == 'linux'\n",
        HEAD + "  - 3\n",
        HEAD + "  - pandas\n  - pandas>=3\n",
        HEAD + "  - pip:\n      - -e .\n",
        HEAD + "  - pip\n  - pip: -e .\n",
        HEAD + "  - pip\n  - npm:\n      - left\n",
        HEAD + "  - pip\n  - pip:\n      - -r file.txt\n",
        HEAD + "  - pip\n  - pip:\n      - pandas >\n",
        HEAD + "\t- pandas\n",
    ],
)
def test_the_reader_refuses(text):
    with pytest.raises(conda_file.BadFile):
        conda_file.read(text)


@pytest.mark.parametrize(
    ("spec", "inside", "outside"),
    [
        ("mongodb=7.0", "7.0.34", "7.1.0"),
        ("pandas>=3,<4", "3.1", "4.0"),
        ("python-stdnum==2.2", "2.2", "2.3"),
        ("a_b.c~=1.4", "1.9", "2.0"),
    ],
)
def test_the_reader_takes(spec, inside, outside):
    found = conda_file.read(f"{HEAD}  - {spec}\n  - pip\n  - pip:\n      - -e .\n      - x>=1\n")
    (versions,) = (v for name, v in found.packages.items() if name != "pip")
    assert inside in versions
    assert outside not in versions
    assert found.pip == ["-e .", "x>=1"]
