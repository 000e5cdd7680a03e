"""Lesson 00: one question, which shows how every check of the course works."""

from leftopen import stranger
from leftopen.checks.verdict import Kind, Verdict
from leftopen.lab import Lab


def close_the_door(*answer: object) -> Verdict:
    """Question 1: nobody outside can connect any more, and the operator still can."""
    if answer == (...,):
        return Verdict(Kind.NOT_ATTEMPTED, "The question asks for the lab: ex.check(1, lab).")
    if len(answer) != 1 or not isinstance(answer[0], Lab):
        raise TypeError("the question asks for the lab and nothing else: ex.check(1, lab)")
    lab = answer[0]
    if not lab.is_running:
        return Verdict(
            Kind.BLOCKED,
            "Your server is not running, so nothing could be tried; this says nothing about your "
            f"answer. {lab.way_back}",
        )
    operator = {a.tried: a for a in stranger.look(lab.inside.uri)}["read one document"]
    outside = {a.tried: a for a in stranger.look(lab.outside.uri)}
    tried = (
        f"as the operator: read one document → {operator.answer}",
        f"as the stranger: connect → {outside['connect'].answer}",
        f"as the stranger: read one document → {outside['read one document'].answer}",
    )
    if outside["read one document"].allowed:
        return Verdict(
            Kind.NOT_ATTEMPTED if lab.is_as_found else Kind.NOT_YET,
            "The stranger still reads. net.bindIp says on which addresses the server listens.",
            tried,
        )
    if outside["connect"].allowed:
        return Verdict(
            Kind.NOT_YET,
            "The stranger reads nothing now, but still connects. This question asks for the door "
            "itself: let mongod listen on this machine alone.",
            tried,
        )
    if not operator.allowed:
        return Verdict(
            Kind.NOT_YET,
            "The stranger is out, and so is the operator, who has no login. Only the network was "
            "to change. Take security.authorization out again with: "
            "lab.configure('net: {bindIp: 127.0.0.1}', replace=True)",
            tried,
        )
    return Verdict(Kind.RIGHT, "The stranger is out, and the operator still works.", tried)


QUESTIONS = {1: close_the_door}
