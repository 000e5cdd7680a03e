"""Exercise 07: a login is required, each application has an account, and a password can change."""

from leftopen.cases import sensenets
from leftopen.checks.probe import Who, credentials, look_as_stranger
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.engines import config
from leftopen.lab import Lab
from leftopen.learner import Draw

SHORTEST = 15  # characters of a password that is used alone: NIST SP 800-63B-4, 3.1.1.2
KNOWN = {"admin", "administrator", "root", "password", "mongodb", "sensenets", "123456", "changeme"}
_BIRDS = ("kestrel", "plover", "dunlin", "linnet", "siskin", "avocet", "fulmar", "merlin")


def weakness(name: str, password: str) -> str:
    """What is wrong with a password: ``known_password``, ``short_password``, or nothing."""
    plain = password.lower()
    if plain in KNOWN or plain.strip("0123456789!.") in KNOWN | {name.lower()}:
        return "known_password"
    return "short_password" if len(password) < SHORTEST else ""


def _task_1(draw: Draw) -> Task:
    name = f"{draw.pick('admin', _BIRDS)}_admin"
    return Task(administrator=(name, "the name of the administrator's account"))


def _open_lab(task: Task) -> Lab:
    return sensenets.small_lab(seed=7)


def _login_required(at: Attempt, lab: Lab, admin_uri: str) -> str:
    """The stranger is refused, and the administrator gets in and can make accounts."""
    login = credentials(lab, "admin_uri", admin_uri)
    found = look_as_stranger(at, lab)
    if found["read one document"].allowed:
        if config.get(config.parse(lab.config)[0], "security.authorization") == "enabled":
            return "restart_forgotten"
        return "still_open" if lab.is_as_found else "port_moved"
    with Who(at, "as the administrator", lab.inside.uri, login) as admin:
        if not admin.logs_in():
            return "nobody_gets_in"
        if not admin.makes_accounts():
            return "cannot_administer"
    if login["username"] != at.task["administrator"]:
        return "another_name"
    at.note("the administrator's password", "length", f"{len(login['password'])} characters")
    return weakness(login["username"], login["password"]) or RIGHT


QUESTIONS = {
    1: Question(
        asks={"lab": Lab, "admin_uri": str},
        check=_login_required,
        task=_task_1,
        lab=_open_lab,
    ),
}
