"""The house: its files are there and say the truth, and the code keeps to its floors."""

import ast
import functools
import importlib.metadata
import re
import stat
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

import leftopen
from leftopen.course import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Imports go down, or stay on their floor: never up.
FLOORS = {
    0: {"errors"},
    1: {"loopback", "manifest", "course", "progress", "learner"},
    2: {
        "engines",
        "lab",
        "lab_mongodb",
        "lab_opensearch",
        "lab_postgres",
        "outside",
        "outside_http",
        "synth",
        "stranger",
        "stranger_http",
        "impostor",
        "impostor_sql",
        "impostor_words",
        "at_rest",
        "backup",
        "proof",
        "password_forms",
        "scram_wire",
        "tls_words",
        "recover",
        "plots",
        "frequency",
        "sealing",
        "trace",
        "ledger",
        "incidents",
        "incident_plots",
        "cvss",
        "quiz",
        "widgets",
    },
    3: {"audit", "cases"},
    4: {"checks"},
    5: {"doctor", "jupyter", "exercises", "build"},
    6: {"cli", ""},
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names}

# Brought by jupyterlab and nbval, which could not run a notebook without them.
BROUGHT = {"IPython", "ipykernel", "jupyter_client", "jupyter_core", "nbclient", "nbformat"}


def files(*patterns):
    """The project's own files; not those that tools keep in folders of their own."""
    found = []
    for pattern in patterns:
        for path in sorted(ROOT.rglob(pattern)):
            folders = set(path.relative_to(ROOT).parts[:-1])
            hidden = any(folder.startswith(".") and folder != ".ci" for folder in folders)
            if path.is_file() and not hidden and not folders & {"artefacts", "data", "__pycache__"}:
                found.append(path)
    return found


def imports(source):
    """The modules that a source imports, whole names: also those inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield node.module
            if node.module == "leftopen":
                yield from (f"leftopen.{name.name}" for name in node.names)


def climbs(part, source):
    """The imports of a part of the package that go up a floor."""
    for name in imports(source):
        if name.startswith("leftopen."):
            other = name.split(".")[1]
            if FLOOR_OF.get(other, 99) > FLOOR_OF[part]:
                yield f"{part} imports {other}"


@pytest.mark.parametrize("path", files("leftopen/**/*.py"), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    part = path.relative_to(ROOT / "leftopen").with_suffix("").parts[0]
    part = "" if part == "__init__" else part
    assert part in FLOOR_OF, f"give {part} a floor in tests/test_house.py"
    assert not list(climbs(part, path.read_text()))


def test_an_import_that_goes_up_is_seen():
    assert list(climbs("engines", "from leftopen import checks")) == ["engines imports checks"]
    assert list(climbs("errors", "def f():\n    import leftopen.loopback"))
    assert not list(climbs("checks", "from leftopen.lab import Lab\nfrom leftopen import errors"))


def declared(*extras):
    lines = PROJECT["dependencies"] + [
        line for extra in extras for line in PROJECT["optional-dependencies"][extra]
    ]
    return {Requirement(line).name for line in lines}


packages = functools.cache(importlib.metadata.packages_distributions)  # reads every package


def undeclared(source, known, own=()):
    """The imports of a source that no declared package brings."""
    brings = packages()
    for name in imports(source):
        top = name.split(".")[0]
        if top in sys.stdlib_module_names or top in BROUGHT or top in own or top == "leftopen":
            continue
        if not known & {d.lower().replace("_", "-") for d in brings.get(top, ())}:
            yield top


def test_what_is_imported_is_declared():
    for path in files("leftopen/**/*.py"):
        # A case's service runs in its own folder, as a program and not as a part of the package.
        service = path.parent.name.endswith("_backend")
        own = {other.stem for other in files("leftopen/**/*_backend/*.py")} if service else ()
        # mongod's wheel is an extra: it is looked for, never needed.
        assert not set(undeclared(path.read_text(), declared(), own)), path
    own = {path.stem for path in files("tests/**/*.py")}
    for path in files("tests/**/*.py"):
        assert not set(undeclared(path.read_text(), declared("dev"), own)), path


def test_an_undeclared_import_is_seen():
    assert list(undeclared("import requests", declared("dev"))) == ["requests"]
    assert list(undeclared("import duckdb", declared())) == ["duckdb"]
    assert not list(undeclared("import yaml, duckdb, json, stdnum", declared("dev")))


@pytest.mark.parametrize("path", files("*.py"), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_of_code_is_over_400_lines(path):
    assert len(path.read_text().splitlines()) <= 400


def test_no_file_names_a_path_of_the_machine_that_it_was_written_on():
    if len(ROOT.parts) < 3:
        pytest.skip(f"{ROOT} is too short a path to look for")
    texts = [path for path in files("*") if path.suffix not in (".png", ".parquet")]
    assert [path for path in texts if str(ROOT) in path.read_text(errors="replace")] == []


def test_the_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] == leftopen.__version__


def test_citation_has_what_its_format_asks_for():
    # Citation File Format 1.2.0, "Valid keys": these four are required.
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert all(citation[key] for key in ("message", "title", "authors"))
    assert all("name" in author or "family-names" in author for author in citation["authors"])
    assert citation["type"] in ("software", "dataset")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", str(citation["date-released"]))


@pytest.mark.parametrize(
    ("name", "phrases"),
    [
        ("LICENSE", ["Apache License", "Version 2.0, January 2004", "9. Accepting Warranty"]),
        (
            "LICENSE-CONTENT",
            ["Creative Commons Attribution 4.0 International", "Section 8 -- Interpretation."],
        ),
    ],
)
def test_the_licences_are_whole(name, phrases):
    text = (ROOT / name).read_text()
    positions = [text.find(phrase) for phrase in phrases]
    assert -1 not in positions
    assert positions == sorted(positions)
    assert name in PROJECT["license-files"]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_to_files_lead_somewhere(name):
    text = (ROOT / name).read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?:|#", target):
            assert (ROOT / target).exists(), f"{name} links to {target}"


def test_readme_is_short_and_names_both_ways_in():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 120
    for command in ("make lab", "make test", "conda env create -f environment.yml"):
        assert command in text


def test_each_target_of_make_says_what_it_does():
    text = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())
    explained = set(re.findall(r"^([a-z]+):.*## \w", text, re.MULTILINE))
    assert targets == explained
    assert {"setup", "lab", "test", "lint", "bench", "clean"} <= targets


def test_ci_is_strict_and_runs_what_a_person_runs():
    script = ROOT / ".ci" / "run"
    text = script.read_text()
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    assert "\nmake test\n" in text
    assert script.stat().st_mode & stat.S_IXUSR
    subprocess.run(["bash", "-n", script], check=True, timeout=60)


def test_the_hooks_before_a_commit_need_no_network():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].split()[0].startswith(".venv/bin/")
