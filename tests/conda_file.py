"""A small, strict reader of environment.yml: what conda's own reader takes, and less.

From conda's documentation, "Creating an environment file manually" and "Package match
specifications". Where that grammar is generous (blanks, brackets, build strings), this one
refuses: our file needs none of it.
"""

import re
from dataclasses import dataclass, field

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

KEYS = {"name", "channels", "dependencies", "prefix", "variables"}
_NAME = r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?"
_VERSION = r"[0-9]+(?:\.[0-9]+)*"
_RANGE = rf"(?:==|!=|<=|>=|<|>|~=){_VERSION}"
_SPEC = re.compile(rf"(?P<name>{_NAME})(?P<version>=(?!=){_VERSION}|{_RANGE}(?:,{_RANGE})*)?")


class BadFile(Exception):
    """The file is not what conda would read."""


@dataclass
class Environment:
    """What environment.yml says: conda's packages with their ranges, and the lines for pip."""

    name: str
    channels: list[str]
    packages: dict[str, SpecifierSet] = field(default_factory=dict)
    pip: list[str] = field(default_factory=list)


def read(text: str) -> Environment:
    """Read the text of an environment.yml; raises BadFile."""
    try:
        whole = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadFile(f"not YAML: {error}") from None
    if not isinstance(whole, dict) or not isinstance(whole.get("dependencies"), list):
        raise BadFile("no mapping with a list of dependencies")
    if unknown := set(whole) - KEYS:
        raise BadFile(f"unknown keys: {unknown}")
    name, channels = whole.get("name"), whole.get("channels")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise BadFile(f"no usable name: {name!r}")
    if not isinstance(channels, list) or not all(isinstance(c, str) and c for c in channels):
        raise BadFile("no list of channels")
    found = Environment(name, channels)
    for entry in whole["dependencies"]:
        if isinstance(entry, dict):
            _pip(entry, found)
        else:
            package, versions = match_spec(entry)
            if package in found.packages:
                raise BadFile(f"{package} stands there twice")
            found.packages[package] = versions
    if found.pip and "pip" not in found.packages:
        raise BadFile("a list for pip, and pip itself is not asked for")
    return found


def match_spec(entry: object) -> tuple[str, SpecifierSet]:
    """A package with its range; conda's ``=7.0`` is every 7.0.x."""
    match = _SPEC.fullmatch(entry) if isinstance(entry, str) else None
    if not match:
        raise BadFile(f"no match specification: {entry!r}")
    version = match["version"] or ""
    if re.match(r"=[^=]", version):
        version = f"=={version[1:]}.*"
    try:
        return match["name"], SpecifierSet(version)
    except InvalidSpecifier as error:
        raise BadFile(f"no range: {error}") from None


def _pip(entry: dict, found: Environment) -> None:
    if list(entry) != ["pip"] or not isinstance(entry["pip"], list) or found.pip:
        raise BadFile(f"the only mapping among the dependencies is pip's, once: {entry!r}")
    for line in entry["pip"]:
        if not isinstance(line, str):
            raise BadFile(f"no requirement: {line!r}")
        if not re.fullmatch(r"-e \S+", line):
            try:
                Requirement(line)
            except InvalidRequirement as error:
                raise BadFile(f"no requirement: {error}") from None
        found.pip.append(line)
