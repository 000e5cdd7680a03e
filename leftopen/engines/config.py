"""Configuration files as text: read, merged, and looked up by line.

Scalars stay text, exactly as they were written: the engine decides what ``yes`` or ``0177`` mean,
not Python's YAML reader.
"""

from dataclasses import dataclass
from typing import ClassVar

import yaml

from leftopen.errors import ConfigRefused

UNCHANGED = "Nothing has changed: the server runs with its last good configuration."


@dataclass(frozen=True)
class Place:
    """Where a setting stands in a text: its path of keys, its line (from 1) and its value."""

    path: tuple[str, ...]
    line: int
    value: str


def tidy(text: str) -> str:
    """The text without the empty lines around it, as a triple-quoted string leaves them.

    Raises:
        ConfigRefused: it is not text.
    """
    if not isinstance(text, str):
        raise ConfigRefused(
            f"The configuration must be text (str), but it is {type(text).__name__}. "
            "Write it between triple quotes."
        )
    lines = text.splitlines()
    while lines and not lines[0].strip():
        del lines[0]
    return "\n".join(lines).rstrip()


def parse(text: str, sections: bool = True) -> tuple[dict, list[Place]]:
    """Read YAML text into nested dictionaries of strings, and note where each setting stands.

    Args:
        text: the configuration.
        sections: whether every setting stands in a section, as in a mongod.conf.

    Raises:
        ConfigRefused: it is not YAML, not a mapping, or says the same key twice (YAML 1.2.2,
            section 3.2.1.1: the keys of a mapping are unique). The message names the line.
    """
    try:
        node = yaml.compose(text, yaml.BaseLoader)
        settings = yaml.load(text, yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        hint = "Look at its colon, and at the spaces at the beginning of the lines."
        if "\\t" in str(error.problem):
            hint = "Begin lines with spaces; YAML takes no tabs there."
        raise ConfigRefused(
            f"{quote(text, mark.line + 1)} is not YAML: {error.problem}. {hint} {UNCHANGED}"
        ) from None
    except yaml.YAMLError as error:
        raise ConfigRefused(f"The configuration is not YAML: {error}. {UNCHANGED}") from None
    if node is None:
        return {}, []
    if not isinstance(node, yaml.MappingNode):
        raise ConfigRefused(
            f"{quote(text, 1)} is not a setting. A configuration is lines of `name: value`. "
            f"{UNCHANGED}"
        )
    return settings, _places(node, (), text, sections)


def _places(
    node: yaml.MappingNode, above: tuple[str, ...], text: str, sections: bool
) -> list[Place]:
    found: list[Place] = []
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        name = str(key.value)
        if name in seen:
            raise ConfigRefused(
                f"{quote(text, line)} says `{name}` again; it stands on line {seen[name]} "
                f"already. Put both parts under one. {UNCHANGED}"
            )
        seen[name] = line
        path = (*above, name)
        scalar = value.value if isinstance(value, yaml.ScalarNode) else ""
        if sections and not above and isinstance(value, yaml.ScalarNode):
            if "." in name and scalar:
                raise ConfigRefused(
                    f"{quote(text, line)}: `{name}` is one setting, and not the name of a "
                    f"section. Write its sections around it: {_nested(name, scalar)}. {UNCHANGED}"
                )
            raise ConfigRefused(
                f"{quote(text, line)}: `{name}` is a section, which holds settings. Each stands on "
                "a line of its own below it, begins with two spaces, and has a space after its "
                f"colon. {UNCHANGED}"
            )
        if isinstance(value, yaml.ScalarNode) and not scalar:
            raise ConfigRefused(f"{quote(text, line)} has no value. {UNCHANGED}")
        found.append(Place(path, line, scalar))
        if isinstance(value, yaml.MappingNode):
            found += _places(value, path, text, sections)
    return found


def _nested(name: str, value: str) -> str:
    """A dotted setting on one line, as ``net: {tls: {mode: requireTLS}}``."""
    *sections, last = name.split(".")
    opening = "".join(f"{section}: {{" for section in sections)
    return f"`{opening}{last}: {value}{'}' * len(sections)}`"


def flatten(settings: dict, above: str = "") -> dict[str, str | list]:
    """Settings under dotted names, as OpenSearch reads them (``http.port``)."""
    flat: dict[str, str | list] = {}
    for key, value in settings.items():
        name = f"{above}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def quote(text: str, line: int) -> str:
    """A line by its number and its words, as ``Line 2 (`port: abc`)``."""
    lines = text.splitlines()
    words = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    return f"Line {line} (`{words}`)" if words else f"Line {line}"


def blame(words: str, text: str, places: list[Place]) -> str:
    """The line that an engine's refusal speaks of, quoted; empty when none can be named.

    Looked for, in this order: a full dotted name, a value (a file that does not exist), the last
    part of a name, and the command-line spelling of one (``tlsCAFile`` for ``net.tls.CAFile``).
    """

    def said(part: str) -> bool:
        return len(part) > 2 and part.lower() in words.lower()

    tests = (
        lambda p: said(".".join(p.path)) and len(p.path) > 1,
        lambda p: said(p.value),
        lambda p: len(p.path) > 1 and said("".join(p.path[-2:])),
        lambda p: said(p.path[-1]),
    )
    for test in tests:
        hits = [p for p in places if test(p)]
        if hits:
            return quote(text, max(hits, key=lambda p: len(p.path)).line)
    return ""


class _Plain(yaml.SafeDumper):
    """Writes every text without quotes where YAML allows it: `port: 80` and not `port: '80'`."""

    yaml_implicit_resolvers: ClassVar[dict] = {}


def dump(settings: dict) -> str:
    """Settings as YAML text, in their order."""
    return yaml.dump(settings, Dumper=_Plain, sort_keys=False) if settings else ""


def merge(below: dict, above: dict) -> dict:
    """Both settings in one; where they differ the second holds. Neither is changed."""
    both = dict(below)
    for key, value in above.items():
        if isinstance(value, dict):
            inner = both.get(key)
            both[key] = merge(inner if isinstance(inner, dict) else {}, value)
        else:
            both[key] = value
    return both


def get(settings: dict, dotted: str, default: str = "") -> str:
    """A setting by its dotted name, as ``net.tls.mode``."""
    found: object = settings
    for name in dotted.split("."):
        if not isinstance(found, dict) or name not in found:
            return default
        found = found[name]
    return default if isinstance(found, dict) else str(found)


def delete(settings: dict, path: tuple[str, ...]) -> None:
    """Take a setting out, where it is there; changes ``settings`` (only along ``path``)."""
    for name in path[:-1]:
        inner = settings.get(name)
        if not isinstance(inner, dict):
            return
        settings[name] = dict(inner)
        settings = settings[name]
    settings.pop(path[-1], None)
