"""Configuration text: read as it is written, merged, and blamed by line."""

import pytest

from leftopen.engines import config
from leftopen.errors import ConfigRefused


def test_scalars_stay_as_they_are_written():
    text = "security:\n  authorization: on\nnet:\n  port: 0177\n"
    settings, _ = config.parse(text)
    assert settings == {"security": {"authorization": "on"}, "net": {"port": "0177"}}
    assert config.dump(settings) == text
    hard = {"a": {"b": "*", "c": "x: y", "d": " z "}}
    assert config.parse(config.dump(hard))[0] == hard


def test_empty_text_is_no_setting():
    assert config.parse("# only a comment") == ({}, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("net:\n  bindIp: [", "not YAML"),
        ("net:\n\tport: 1", "Line 2"),
        ("a: b: c", "Line 1 (`a: b: c`)"),
        ("just words", "Line 1 (`just words`) is not a setting"),
        ("- net", "is not a setting"),
        ("net:\nport: 1", "Line 1 (`net:`): `net` is a section"),
        (
            "net.tls.mode: requireTLS",
            "`net.tls.mode` is one setting, and not the name of a section. Write its sections "
            "around it: `net: {tls: {mode: requireTLS}}`.",
        ),
        ("net:\n  port:", "Line 2 (`port:`) has no value"),
        (
            "net:\n  port: 1\nnet:\n  port: 2",
            "Line 3 (`net:`) says `net` again; it stands on line 1",
        ),
    ],
)
def test_bad_text_is_one_sentence_with_its_line(text, said):
    with pytest.raises(ConfigRefused) as caught:
        config.parse(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_something_else_than_text_is_refused():
    with pytest.raises(ConfigRefused, match="must be text"):
        config.tidy({"net": 1})


def test_lines_are_counted_from_the_first_that_says_something():
    assert config.tidy("\n\n  net:\n    port: 1\n\n") == "  net:\n    port: 1"


def test_merge_goes_deep_and_changes_neither():
    below = {"net": {"port": "1", "bindIp": "a"}, "x": "y"}
    above = {"net": {"port": "2"}, "x": {"z": "1"}}
    assert config.merge(below, above) == {"net": {"port": "2", "bindIp": "a"}, "x": {"z": "1"}}
    assert below == {"net": {"port": "1", "bindIp": "a"}, "x": "y"}


def test_get_finds_a_setting_or_gives_the_default():
    settings = {"net": {"tls": {"mode": "requireTLS"}}}
    assert config.get(settings, "net.tls.mode") == "requireTLS"
    assert config.get(settings, "net.tls") == ""
    assert config.get(settings, "net.port", "27017") == "27017"


TEXT = "net:\n  port: 12\n  tls:\n    CAFile: /no/ca.pem\nsecurity:\n  authorization: yes"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("security.authorization expects either", "Line 6 (`authorization: yes`)"),
        ("Cannot read /no/ca.pem", "Line 4 (`CAFile: /no/ca.pem`)"),
        ("need tlsCAFile", "Line 4 (`CAFile: /no/ca.pem`)"),
        ("something else entirely", ""),
    ],
)
def test_the_line_that_is_blamed(words, line):
    _, places = config.parse(TEXT)
    assert config.blame(words, TEXT, places) == line
