"""Exercise 15, question 5: what was lost, what was taken, and for how long nothing worked.

The log is invented, in the form in which mongod 6.0 writes it when every command is logged
(``slowms: 0``; MongoDB manual, "Log Messages"): one JSON object a line, times in UTC. Its addresses
are those for documentation (RFC 5737).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.learner import Draw

_LOCAL = timezone(timedelta(hours=8))
_START = datetime(2020, 8, 15, 1, 0, tzinfo=_LOCAL)
_HOURS = 58
_NIGHTS = ("saturday", "sunday", "monday")
_DATABASE = "sensenets"
_OFFICE, _FEED, _BACKUP = "192.0.2.20", "192.0.2.31", "127.0.0.1"
_GOOD, _BAD = "signed with your key", "signed with another key"
_BEFORE = 1200  # positions that are there at the beginning, at least
_FIRST, _THAT_MANY = 101, 3000  # documents of a first batch, and of the next ones of a backup
_TIME = "%Y-%m-%d %H:%M %z"


@dataclass(frozen=True)
class Log:
    """The lines of a log, which a task names and does not print."""

    lines: tuple[str, ...]

    def __str__(self) -> str:
        return f"{len(self.lines)} lines, in task['log'].lines"

    __repr__ = __str__


# -- the story that the log tells ---------------------------------------------------------------


class _Story:
    """What happened, every part of it drawn for a learner."""

    def __init__(self, draw: Draw) -> None:
        self._number = draw.number
        self._entries: list[tuple[datetime, dict]] = []
        self.stranger = f"198.51.100.{5 + self._number('stranger', 200)}"
        self.backups: dict[str, tuple[datetime, datetime]] = {}
        for night, name in enumerate(_NIGHTS):
            begun = _START + timedelta(days=night, hours=2, minutes=self._number(f"{name} at", 20))
            ended = begun + timedelta(minutes=61 + self._number(f"{name} for", 20))
            self.backups[name] = begun, ended
        after = timedelta(minutes=150 + self._number("came", 200))
        self.dropped = self.backups["monday"][1] + after
        self.restored = self.dropped + timedelta(minutes=100 + self._number("restored", 240))
        self._work()
        self._back_up()
        self._visits()

    def lines(self) -> tuple[str, ...]:
        """The log, in order of time."""
        in_order = sorted(self._entries, key=lambda pair: pair[0])
        return tuple(json.dumps(entry) for _, entry in in_order)

    def _work(self) -> None:
        """Trackers that report twice an hour, people of the office, and another database."""
        for hour in range(_HOURS):
            at = _START + timedelta(hours=hour)
            for part in (0, 30):
                minute = timedelta(minutes=part + self._number(f"minute {hour} {part}", 29))
                if at + minute < self.restored:
                    count = 20 + self._number(f"reports {hour} {part}", 70)
                    self._write(at + minute, _DATABASE, "positions", count)
            if hour % 5 == 0 and at < self.restored:
                self._write(at, "payroll", "hours", 3 + self._number(f"pay {hour}", 9))
                self._read(at, "people", 1 + self._number(f"office {hour}", 6), _OFFICE, 60)

    def _back_up(self) -> None:
        """Each night all positions are read, from the beginning of the backup."""
        for number, (begun, _) in enumerate(self.backups.values(), start=90):
            self._all_positions(begun, _BACKUP, number, _THAT_MANY)

    def _visits(self) -> None:
        """A first look on Sunday; on Monday all positions, and the end of them."""
        first = self.backups["sunday"][1] + timedelta(hours=3)
        self._read(first, "people", 2 + self._number("first look", 9), self.stranger, 141)
        at = self.dropped - timedelta(minutes=12)
        self._all_positions(at, self.stranger, 187, 900 + self._number("batch", 400))
        command = {"dropDatabase": 1, "$db": _DATABASE}
        self._add(self.dropped, f"{_DATABASE}.$cmd", command, self.stranger, 187)

    def _write(self, at: datetime, database: str, name: str, count: int) -> None:
        command = {"insert": name, "ordered": True, "$db": database}
        self._add(at, f"{database}.{name}", command, _FEED, 33, ninserted=count)

    def _all_positions(self, at: datetime, who: str, number: int, batch: int) -> None:
        """A find and what it goes on with: as many documents as there are at that moment."""
        rest = _BEFORE + self._number("before", 900) + self._written_before(at) - _FIRST
        self._read(at, "positions", _FIRST, who, number)
        while rest > 0:
            at += timedelta(seconds=30)
            self._read(at, "positions", min(batch, rest), who, number, more=True)
            rest -= batch

    def _written_before(self, end: datetime) -> int:
        name = f"{_DATABASE}.positions"
        lines = [entry["attr"] for at, entry in self._entries if at < end]
        return sum(attr.get("ninserted", 0) for attr in lines if attr["ns"] == name)

    def _read(
        self, at: datetime, name: str, count: int, who: str, number: int, more: bool = False
    ) -> None:
        command = {"getMore": 0, "collection": name} if more else {"find": name}
        command["$db"] = _DATABASE
        self._add(at, f"{_DATABASE}.{name}", command, who, number, nreturned=count)

    def _add(
        self, at: datetime, ns: str, command: dict, who: str, number: int, **more: int
    ) -> None:
        entry = {
            "t": {"$date": at.astimezone(UTC).isoformat(timespec="milliseconds")},
            "s": "I",
            "c": "COMMAND",
            "id": 51803,
            "ctx": f"conn{number}",
            "msg": "Slow query",
            "attr": {"ns": ns, "command": command, **more, "remote": f"{who}:{40000 + number}"},
        }
        self._entries.append((at, entry))


def lost_task(draw: Draw) -> Task:
    """The log, the three backups, and when the work went on.

    It is the first story in which no two ways to count come to the same number, and in which
    nothing was written in the very minute from which, or until which, is counted.
    """
    own = variant(draw, "15", 5, 40).number("story", 10**9)
    number = 0
    while True:
        task = _task(_Story(Draw(f"{own}, {number}", "15 question 5")))
        case = _Case(task)
        ways = [way(case) for way in (_lost, _taken, _down)]
        apart = all(len(set(each.values())) == len(each) for each in ways)
        edges = {case.backups["sunday"][0], case.dropped}
        if apart and not any(_at(e) in edges for e in case.entries if "ninserted" in e["attr"]):
            return task
        number += 1


def _task(story: _Story) -> Task:
    shown = {
        name: f"begun {begun:{_TIME}}, ended {ended:%H:%M}, {_BAD if name == 'monday' else _GOOD}"
        for name, (begun, ended) in story.backups.items()
    }
    return Task(
        backups=(shown, "the backups of the database sensenets"),
        restored=(f"{story.restored:{_TIME}}", "when the database worked again"),
        log=(Log(story.lines()), "of mongod, which logged each command"),
    )


# -- what can be counted in it ------------------------------------------------------------------


class _Case:
    """A task, read as the learner has to read it."""

    def __init__(self, task: Mapping) -> None:
        self.entries = [json.loads(line) for line in task["log"].lines]
        self.backups = {name: _span(text) for name, text in task["backups"].items()}
        self.restored = datetime.strptime(task["restored"], _TIME)
        (end,) = (e for e in self.entries if "dropDatabase" in e["attr"]["command"])
        self.dropped, self.last, self.stranger = _at(end), end["ctx"], _address(end)

    def written(
        self,
        begin: datetime,
        end: datetime,
        databases: tuple[str, ...] = (_DATABASE,),
        count: Callable[[int], int] = int,
    ) -> int:
        """Documents that were inserted from one moment to another."""
        return sum(
            count(entry["attr"]["ninserted"])
            for entry in self.entries
            if begin <= _at(entry) < end
            and "ninserted" in entry["attr"]
            and entry["attr"]["ns"].split(".")[0] in databases
        )

    def read(self, whose: Callable[[dict], bool]) -> int:
        """Documents that were returned, in the lines that are meant."""
        return sum(entry["attr"].get("nreturned", 0) for entry in self.entries if whose(entry))


def _span(text: str) -> tuple[datetime, datetime]:
    begun, ended, _ = text.split(", ")
    start = datetime.strptime(begun.removeprefix("begun "), _TIME)
    clock = datetime.strptime(ended.removeprefix("ended "), "%H:%M")
    return start, start.replace(hour=clock.hour, minute=clock.minute)


def _at(entry: dict) -> datetime:
    return datetime.fromisoformat(entry["t"]["$date"])


def _address(entry: dict) -> str:
    return entry["attr"]["remote"].rpartition(":")[0]


def _lost(case: _Case) -> dict[str, int]:
    """Documents lost: the right number, and those to which other ways of counting come."""
    begun, ended = case.backups["sunday"]
    dropped = case.dropped
    return {
        RIGHT: case.written(begun, dropped),
        "from_its_end": case.written(ended, dropped),
        "backup_not_yours": case.written(case.backups["monday"][0], dropped),
        "clocks_mixed": case.written(begun.replace(tzinfo=UTC), dropped),
        "lines_counted": case.written(begun, dropped, count=lambda _: 1),
        "until_the_end": case.written(begun, case.restored),
        "every_database": case.written(begun, dropped, (_DATABASE, "payroll")),
    }


def _taken(case: _Case) -> dict[str, int]:
    """Documents taken, counted in the same manner."""

    def theirs(entry: dict) -> bool:
        return _address(entry) == case.stranger

    return {
        RIGHT: case.read(theirs),
        "one_connection": case.read(lambda entry: entry["ctx"] == case.last),
        "first_answers": case.read(lambda e: theirs(e) and "find" in e["attr"]["command"]),
        "every_reader": case.read(lambda entry: True),
    }


def _down(case: _Case) -> dict[str, int]:
    """Minutes without the database, counted in the same manner."""

    def minutes(begin: datetime) -> int:
        return int((case.restored - begin).total_seconds() // 60)

    return {
        RIGHT: minutes(case.dropped),
        "since_the_backup": minutes(case.backups["sunday"][0]),
        "down_in_two_clocks": minutes(case.dropped) + 8 * 60,
    }


def lost(at: Attempt, lost: float, taken: float, down: float) -> str:
    """Three numbers, each compared with the right one and with the ways to miss it."""
    case = _Case(at.task)
    faults = []
    for name, what, number, ways in (
        ("lost", "documents lost", lost, _lost(case)),
        ("taken", "documents taken", taken, _taken(case)),
        ("down", "minutes without the database", down, _down(case)),
    ):
        right, number = number == ways[RIGHT], _whole(number)
        at.note("your answer", f"{what}: {number}", "right" if right else "not the number")
        if not right:
            told = (way for way, value in ways.items() if value == number)
            faults.append((next(told, f"{name}_else"), number))
    if not faults:
        return RIGHT
    fault, at.values["number"] = faults[0]
    return fault


def _whole(number: float) -> float:
    """A number as people write it: pandas gives a sum of whole ones as 3180.0."""
    return int(number) if number.is_integer() else number
