"""Exercise 02, question 6: which of a node's doors its settings open, and what is said of each."""

import contextlib
from types import SimpleNamespace

import pytest

from leftopen import lab_opensearch
from leftopen.checks import case_beijing_smart_city_door as door
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Task
from leftopen.engines import config
from leftopen.errors import ConfigRefused

BOTH = {"http", "transport"}


def doors(text):
    nested, places = config.parse(text, sections=False)
    return lab_opensearch._reachable_doors(config.flatten(nested), text, places)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("node.name: n", set()),
        ("network.host: 0.0.0.0", BOTH),
        ("network.host: [_local_, _site_]", BOTH),
        ("network.host: 127.0.0.1", set()),
        ("network.host: _local_", set()),
        ("network.host: 0.0.0.0\nhttp.host: 127.0.0.1", {"transport"}),
        ("network.host: 0.0.0.0\nhttp.bind_host: _local_", {"transport"}),
        ("network.host: 0.0.0.0\ntransport.host: 127.0.0.1", {"http"}),
        ("network.host: 0.0.0.0\nhttp.host: 127.0.0.1\ntransport.host: 127.0.0.1", set()),
        ("network.host: 0.0.0.0\nhttp.host: _local_\ntransport.bind_host: _local_", set()),
        ("network:\n  host: 0.0.0.0\n  bind_host: 127.0.0.1", set()),
        ("network.host: 127.0.0.1\ntransport.host: 0.0.0.0", {"transport"}),
        ("network.host: 127.0.0.1\nhttp.host: 0.0.0.0", {"http"}),
        ("transport.host: 127.0.0.1\ntransport.bind_host: 0.0.0.0", {"transport"}),
        ("transport.host: 0.0.0.0\ntransport.bind_host: 127.0.0.1", set()),
        ("network.bind_host: 0.0.0.0\ntransport.host: _local_", {"http"}),
        ("transport.profiles.default.bind_host: 0.0.0.0", {"transport"}),
        ("transport.bind_host: 0.0.0.0\ntransport.profiles.default.bind_host: _local_", set()),
        # Which address a node tells others says nothing about where it listens.
        ("network.host: 0.0.0.0\ntransport.publish_host: 127.0.0.1", BOTH),
    ],
)
def test_each_door_listens_where_its_own_setting_says_and_else_where_that_of_both_does(
    text, expected
):
    assert doors(text) == expected


@pytest.mark.parametrize("name", ["http.host", "transport.host", "network.host"])
def test_an_address_that_the_machine_has_not_is_refused_at_either_door(name):
    with pytest.raises(ConfigRefused, match=rf"Line 1 .*{name}.*is not an address"):
        doors(f"{name}: 192.0.2.1")


class Feeder(contextlib.nullcontext):
    def __init__(self, writes):
        super().__init__(SimpleNamespace(can=lambda *_: writes))


@pytest.mark.parametrize(
    ("reached", "change", "writes", "verdict"),
    [
        (True, {"is_as_found": True, "is_exposed": True, "transport": True}, True, UNTOUCHED),
        (True, {"is_exposed": True}, True, "still_reached"),
        (True, {"is_exposed": True, "is_in_force": False}, True, "not_restarted"),
        (False, {"is_as_found": True, "is_exposed": True, "transport": True}, True, "relay_shut"),
        # The file was written, the node not restarted, and the relay shut by hand.
        (False, {"is_exposed": True, "is_in_force": False}, True, "relay_shut"),
        (False, {"transport": True}, True, "transport_left"),
        (False, {"transport": True}, False, "transport_left"),
        (False, {}, False, "feeder_refused"),
        (False, {}, True, RIGHT),
    ],
)
def test_a_door_left_open_is_never_called_closed(monkeypatch, reached, change, writes, verdict):
    state = {"is_as_found": False, "is_exposed": False, "is_in_force": True, "transport": False}
    state |= change
    lab = SimpleNamespace(
        outside=SimpleNamespace(port=1), transport_is_exposed=state.pop("transport"), **state
    )
    client = SimpleNamespace(count=lambda: {"count": 7})
    monkeypatch.setattr(door, "_answers", lambda port: reached)
    monkeypatch.setattr(door, "_documents", lambda number: 7)
    monkeypatch.setattr(door, "operator", lambda lab: contextlib.nullcontext(client))
    monkeypatch.setattr(door, "Who", lambda *_: Feeder(writes))
    at = Attempt(Task(server=(1, "its number"), index=("faces-2019.04", "where it writes")))
    assert door._check(at, lab) == verdict
    if verdict in ("transport_left", RIGHT):
        where = "beyond this machine" if verdict == "transport_left" else "on loopback alone"
        assert at.tried[-1] == f"the settings in force: say where transport listens → {where}"
