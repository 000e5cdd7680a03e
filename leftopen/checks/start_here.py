"""Lesson 00: one question, which shows how every check of the course works."""

from leftopen import stranger
from leftopen.checks.probe import look_as_stranger
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question
from leftopen.engines import config
from leftopen.lab import Lab


def _close_the_door(at: Attempt, lab: Lab) -> str:
    """Nobody outside can connect any more, and the operator still can."""
    operator = {a.tried: a for a in stranger.look(lab.inside.uri)}["read one document"]
    at.note("as the operator", operator.tried, operator.answer)
    outside = look_as_stranger(at, lab)
    if lab.is_as_found:
        return UNTOUCHED
    if outside["read one document"].allowed:
        several = "," in config.get(lab.effective, "net.bindIp")
        return "one_address_more" if several else "another_setting"
    if outside["connect"].allowed:
        return "login_instead"
    return RIGHT if operator.allowed else "operator_out"


QUESTIONS = {1: Question(asks={"lab": Lab}, check=_close_the_door)}
