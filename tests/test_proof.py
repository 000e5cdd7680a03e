"""The table of who may what, against clients whose answers are known."""

import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as NoConnection
from opensearchpy.exceptions import TransportError

from leftopen.errors import ConfigRefused
from leftopen.impostor import Impostor
from leftopen.proof import ask, may, proof


class Persona:
    """Answers each request in one way: with a value, or with a status of HTTP."""

    def __init__(self, **answers):
        self.answers = answers

    def ask(self, what):
        answer = self.answers[what]
        if isinstance(answer, Exception):
            raise answer
        return answer


def error(status):
    return TransportError(status, "refused", {})


def read(client):
    return client.ask("read")


def write(client):
    return client.ask("write")


@pytest.mark.parametrize("answer", [{}, 0, None, True, error(404), error(409)])
def test_an_answer_and_what_comes_after_the_check_of_rights_are_allowed(answer):
    assert may(read, Persona(read=answer))


@pytest.mark.parametrize("answer", [False, error(401), error(403)])
def test_a_refusal_and_an_empty_hand_are_refused(answer):
    assert not may(read, Persona(read=answer))


@pytest.mark.parametrize(
    "answer", [error(400), error(500), error(503), NoConnection("N/A", "x", {})]
)
def test_a_server_that_fails_is_not_taken_for_a_refusal(answer):
    with pytest.raises(TransportError):
        may(read, Persona(read=answer))


def test_the_table_tells_all_four():
    clients = {
        "feeder": Persona(read=error(403), write=error(409)),
        "reader": Persona(read={}, write={}),
        "stopped": Persona(read=error(401), write=error(403)),
    }
    policy = {"feeder": {"write"}, "reader": {"read"}, "stopped": {"read", "write"}}
    table = proof(policy, {"read": read, "write": write}, clients)
    assert table.to_dict() == {
        "feeder": {"read": "-", "write": "yes"},
        "reader": {"read": "yes", "write": "TOO MUCH"},
        "stopped": {"read": "MISSING", "write": "MISSING"},
    }


def test_a_policy_that_nobody_tries_or_nobody_holds_is_an_error():
    with pytest.raises(KeyError, match="delete"):
        proof({"feeder": {"delete"}}, {"read": read}, {"feeder": Persona(read={})})
    with pytest.raises(KeyError, match="feeder"):
        proof({"feeder": {"read"}}, {"read": read}, {})


def test_an_answer_is_given_back_and_a_refusal_is_one_line():
    refusal = "line 1: this is not allowed"

    def configure():
        raise ConfigRefused(refusal)

    def mistake():
        return {}["no such key"]

    assert ask(lambda: {"a": 1}) == {"a": 1}
    assert ask(lambda: read(Persona(read=error(403)))) == "refused: 403 TransportError"
    assert ask(configure) == refusal
    with pytest.raises(KeyError):  # a learner's own error is theirs to see
        ask(mistake)


def test_the_driver_does_not_tell_a_refusal_a_second_time(caplog):
    options = {"verify_certs": False, "ssl_show_warn": False}
    with Impostor() as false, OpenSearch(false.uri, **options) as client:
        assert ask(client.info) == "refused: 401 AuthenticationException"
        assert not may(lambda c: c.info(), client)
        assert not caplog.records
        with pytest.raises(TransportError):
            client.info()
        assert caplog.records
