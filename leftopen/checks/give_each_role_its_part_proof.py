"""Exercise 08: find by trying where five accounts break the policy that was written for them."""

from dataclasses import dataclass

from pymongo import MongoClient

from leftopen.cases import sensenets
from leftopen.checks.persona import administrator, locked_lab, try_all, variant
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.lab import Lab
from leftopen.learner import Draw

_ABILITIES = tuple(
    f"{a} {c}" for a in ("find", "insert", "update", "remove") for c in sensenets.COLLECTIONS
)
_POLICIES = {
    "gate": ("find trackers, insert positions", "find people, insert positions"),
    "desk": ("find people, insert people", "find people, update people"),
    "installer": ("find trackers, insert trackers", "find trackers, update trackers"),
    "deletion": ("remove positions", "remove people"),
    "planner": ("find positions, find trackers", "find positions, update trackers"),
}


@dataclass(frozen=True)
class _Faults:
    """Where the accounts break the policy, as pairs of an account and an ability."""

    own: tuple[str, str]  # too much, in the account's own role
    inherited: tuple[str, str]  # too much, in a role that its role inherits
    second: tuple[str, str]  # too much, in a second role that was left on the account
    lacking: tuple[str, str]  # missing

    def all(self) -> frozenset[str]:
        """The answer."""
        four = (self.own, self.inherited, self.second, self.lacking)
        return frozenset(f"{who}: {what}" for who, what in four)


def proof_task(draw: Draw) -> Task:
    """The policy, and a login for each account."""
    draw = variant(draw, 6, of=24)
    policy = {who: draw.pick(who, options) for who, options in _POLICIES.items()}
    return Task(
        policy=(policy, "what each account is to be able to do; all else must be refused"),
        passwords=({who: draw.password(who, 12) for who in policy}, "the accounts' passwords"),
    )


def _faults(task: Task) -> _Faults:
    """The faults of a task, which the task itself does not show."""
    draw, policy = Draw(str(task["passwords"]), "08 faults"), task["policy"]
    order = draw.shuffle("accounts", list(policy))
    beyond = [
        (
            who,
            draw.pick(f"beyond {who}", [a for a in _ABILITIES if a not in policy[who].split(", ")]),
        )
        for who in order[:3]
    ]
    return _Faults(*beyond, (order[3], draw.pick("lacking", policy[order[3]].split(", "))))


def with_administrator(task: Task) -> Task:
    """The task with the administrator's login, which nobody needs to answer it."""
    rows = {name: (value, "") for name, value in task.items()}
    return Task(**rows, **administrator(Draw(str(task["passwords"]), "08 administrator")))


def proof_lab(task: Task) -> Lab:
    """A server with five accounts, four of which break the policy."""
    faults, whole = _faults(task), with_administrator(task)

    def prepare(client: MongoClient) -> None:
        for who, stated in task["policy"].items():
            has = [a for a in stated.split(", ") if (who, a) != faults.lacking]
            has += [what for other, what in (faults.own,) if other == who]
            inherits = _extra_role(client, f"{who}_base", faults.inherited, who)
            second = _extra_role(client, f"{who}_2019", faults.second, who)
            privileges = [_privilege(ability) for ability in has]
            client.admin.command("createRole", who, privileges=privileges, roles=inherits)
            password = task["passwords"][who]
            client.admin.command("createUser", who, pwd=password, roles=[who, *second])

    return locked_lab(whole, prepare)


def _extra_role(client: MongoClient, name: str, fault: tuple[str, str], who: str) -> list[str]:
    if fault[0] != who:
        return []
    client.admin.command("createRole", name, privileges=[_privilege(fault[1])], roles=[])
    return [name]


def _privilege(ability: str) -> dict:
    action, collection = ability.split()
    return {"resource": {"db": "sensenets", "collection": collection}, "actions": [action]}


def proved(at: Attempt, lab: Lab, breaks: set) -> str:
    """The set names each thing that an account may do against the policy, or cannot do."""
    policy, faults = at.task["policy"], _faults(at.task)
    known = {f"{who}: {ability}" for who in policy for ability in _ABILITIES}
    if strange := sorted(str(element) for element in breaks if element not in known):
        raise BadAnswer(
            f"{strange[0]!r} is not one of the {len(known)} possible elements. Each is a str such "
            "as 'gate: find people': an account of the policy, a colon, an action (find, insert, "
            "update, remove), and a collection"
        )
    can = _what_they_can(at.task, lab)
    wanted = {f"{who}: {ability}" for who in policy for ability in policy[who].split(", ")}
    truth = can ^ wanted
    at.note(
        "your set", "elements that the server bears out", f"{len(breaks & truth)} of {len(breaks)}"
    )
    at.values.update(named=len(breaks), right=len(breaks & truth))
    if truth != faults.all():
        return "repaired"
    if breaks == truth:
        return RIGHT
    if not breaks:
        return "nothing_found"
    if breaks == known - wanted:
        return "all_accepted"
    if named := _part(breaks, truth, can, faults):
        return named
    wrong = breaks ^ truth
    if wrong & breaks & wanted and all(": insert" in element for element in wrong):
        return "errors_as_refusals"
    return "right_ones_named" if breaks - truth else "incomplete"


def _part(breaks: set, truth: set, can: set, faults: _Faults) -> str:
    """Which way of looking finds just these."""
    ways = {
        "only_too_much": truth & can,
        "only_missing": truth - can,
        "inherited_overlooked": truth - {": ".join(faults.inherited)},
        "second_role_overlooked": truth - {": ".join(faults.second)},
    }
    return next((name for name, part in ways.items() if part == breaks), "")


def _what_they_can(task: Task, lab: Lab) -> set[str]:
    found = set()
    for who, password in task["passwords"].items():
        login = {"username": who, "password": password, "authSource": "admin"}
        persona = try_all(Attempt(task), who, lab.inside.uri, login)
        found |= {f"{who}: {ability}" for ability in (persona.can if persona else ())}
    return {element for element in found if element.split(": ")[1] in _ABILITIES}
