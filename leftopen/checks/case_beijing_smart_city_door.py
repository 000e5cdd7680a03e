"""Exercise 02, question 6: no stranger gets a connection, and the feeder goes on writing.

The lab's node keeps transport on loopback, whatever its file says, so that door cannot be tried
from outside: what the settings in force say decides.
"""

import functools

from leftopen import loopback
from leftopen.checks.case_beijing_smart_city_server import DAYS, PEOPLE, Server
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.checks.search_probe import IN_AN_INDEX, Who, operator
from leftopen.lab import Lab
from leftopen.lab_opensearch import SearchLab, quiet
from leftopen.learner import Draw
from leftopen.synth.smart_city import sample

# Each lab of this question may be restarted, which takes seconds, so that learners share a few.
_NUMBERS = (204, 233, 250)


def _task(draw: Draw) -> Task:
    number = draw.pick("closed server", _NUMBERS)
    kind = Server(number).draw.pick("kind", ("faces", "devices", "alarms"))
    return Task(
        server=Server(number).row,
        index=(f"{kind}-2019.04", "the index into which the feeder writes"),
    )


@functools.cache
def _documents(number: int) -> int:
    return sum(map(len, sample(number, PEOPLE, DAYS).values()))


@quiet()
def _check(at: Attempt, lab: SearchLab) -> str:
    """No way in from outside at either door; inside everything is there, and can be added to."""
    reached = _answers(lab.outside.port)
    expected = _documents(at.task["server"])
    with operator(lab) as client:
        there = client.count()["count"]
    if lab.is_as_found and reached and there >= expected:
        return UNTOUCHED
    at.note("as a stranger", "connect from outside", "accepted" if reached else "refused")
    kept = "all are there" if there >= expected else f"{there} of {expected}"
    at.note("as the operator", "count the documents", kept)
    with Who(at, "as the feeder", lab) as feeder:
        index = at.task["index"]
        writes = feeder.can(f"write into {index}", IN_AN_INDEX["index"](index))
    at.values.update(there=there, expected=expected)
    if there < expected:
        return "emptied"
    if reached:
        return "still_reached" if lab.is_in_force else "not_restarted"
    if lab.is_as_found or lab.is_exposed:
        return "relay_shut"
    left = lab.transport_is_exposed
    where = "beyond this machine" if left else "on loopback alone"
    at.note("the settings in force", "say where transport listens", where)
    if left:
        return "transport_left"
    return RIGHT if writes else "feeder_refused"


def _answers(port: int) -> bool:
    try:
        loopback.connect(loopback.HERE, port, 5.0).close()
    except OSError:
        return False
    return True


QUESTION = Question(
    asks={"lab": Lab},
    check=_check,
    task=_task,
    lab=lambda task: Server(task["server"]).open(),
)
