"""What an audit says: findings, what could not be looked at, and what was found in order."""

import enum
import html
from dataclasses import asdict, dataclass

import pandas as pd


class Severity(enum.StrEnum):
    """How much a finding asks of its reader.

    FIX: someone who should not can read, change or overhear data. Change it.
    WARN: no door stands open by this alone, and it makes one likelier, or worse. Change it soon.
    NOTE: nothing to fix by itself. Know it, and decide.
    """

    FIX = "fix"
    WARN = "warn"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)

    @property
    def symbol(self) -> str:
        """One character, so that the severity is told without colour."""
        return {"fix": "✗", "warn": "!", "note": "·"}[self.value]


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        id: a short word for this kind of finding; it stays the same from release to release.
        severity: how much it asks of the reader.
        what: the finding in one sentence.
        evidence: what was tried and what came back.
        why: why it matters, in a sentence or two.
        cwe: the kind of weakness in the Common Weakness Enumeration, as ``CWE-306``.
        fix: what to change, in the engine's own words.
        retest: one line that tries again by hand.
    """

    id: str
    severity: Severity
    what: str
    evidence: str
    why: str
    cwe: str
    fix: str
    retest: str


@dataclass(frozen=True)
class NotLooked:
    """A check that did not look, and why. It says nothing about the server."""

    id: str
    why: str


_COLOURS = {"fix": "#d93025", "warn": "#b26a00", "note": "inherit"}  # on light and on dark


@dataclass(frozen=True, repr=False)
class Report:
    """The outcome of an audit. A notebook shows it as a table, a terminal as text.

    Attributes:
        target: what was audited.
        version: the version that the server tells anyone; empty when it did not answer.
        findings: worst first.
        not_looked: checks that could not look, each with why. That is never a pass.
        passed: the ids of the checks that looked and found nothing.
        left_out: checks that have no object here, or that a rule leaves out, each with why.
        blind_spots: what no audit of this kind can see.
        login_refused: in words, that the login which was given is refused; else empty.
        product: the program that answers, as people call it.
    """

    target: str
    version: str
    findings: tuple[Finding, ...]
    not_looked: tuple[NotLooked, ...]
    passed: tuple[str, ...]
    left_out: tuple[NotLooked, ...]
    blind_spots: tuple[str, ...]
    login_refused: str = ""
    product: str = "mongod"

    @property
    def exit_code(self) -> int:
        """1 with a finding of severity fix or warn, else 2 if a check could not look, else 0."""
        if any(finding.severity is not Severity.NOTE for finding in self.findings):
            return 1
        return 2 if self.not_looked else 0

    def table(self) -> pd.DataFrame:
        """The findings as a table: severity, id, what, evidence."""
        columns = ["severity", "id", "what", "evidence"]
        rows = [[str(getattr(f, c)) for c in columns] for f in self.findings]
        return pd.DataFrame(rows, columns=columns)

    def as_dict(self) -> dict:
        """The whole report as plain dictionaries and lists, for JSON."""
        return {**asdict(self), "exit_code": self.exit_code}

    @property
    def summary(self) -> str:
        """The report in a sentence or two; a login that was refused is told first."""
        count = {s: sum(f.severity is s for f in self.findings) for s in Severity}
        version = f" ({self.product} {self.version})" if self.version else ""
        refused = self.login_refused.rstrip(".")
        login = f" without a login, because {refused}. Found" if refused else ""
        missed = len(self.not_looked)
        looked = f"{missed} could not look" if missed else "every check could look"
        return (
            f"Audit of {self.target}{version}{login}: {count[Severity.FIX]} to fix, "
            f"{_count(count[Severity.WARN], 'warning')}, {_count(count[Severity.NOTE], 'note')}; "
            f"{_count(len(self.passed), 'check')} found nothing, {looked}."
        )

    def __repr__(self) -> str:
        lines = [self.summary]
        for f in self.findings:
            lines += ["", f"{f.severity.symbol} {f.severity.upper():<5}{f.id}: {f.what}"]
            for name in ("evidence", "why", "fix", "retest"):
                text = f"{f.why} ({f.cwe})" if name == "why" else getattr(f, name)
                lines.append(_hanging(name, text))
        for title, rows in self._sections():
            lines += ["", f"{title}:", *(f"  {line}" for line in rows)]
        return "\n".join(lines)

    def _sections(self) -> list[tuple[str, list[str]]]:
        sections = [
            ("Could not look, which is not a pass", _grouped(self.not_looked)),
            ("Looked, and found nothing", [", ".join(self.passed)] if self.passed else []),
            ("Left out", _grouped(self.left_out)),
            ("What this audit cannot see", list(self.blind_spots)),
        ]
        return [(title, rows) for title, rows in sections if rows]

    def _repr_html_(self) -> str:
        esc = html.escape
        rows = []
        for f in self.findings:
            more = "".join(
                f"<p><b>{name}</b><br><code style='white-space:pre-wrap'>{esc(text)}</code></p>"
                for name, text in (("fix", f.fix), ("re-test", f.retest))
            )
            rows.append(
                f"<tr><td style='{_CELL};white-space:nowrap;color:{_COLOURS[f.severity]}'>"
                f"<b>{f.severity.symbol} {f.severity}</b></td>"
                f"<td style='{_CELL};white-space:nowrap'><code>{esc(f.id)}</code></td>"
                f"<td style='{_CELL}'>{esc(f.what)}<br><small>{esc(f.evidence)}</small>"
                f"<details><summary>why, fix and re-test</summary><p>{esc(f.why)} "
                f"({esc(f.cwe)})</p>{more}</details></td></tr>"
            )
        sections = "".join(
            f"<details><summary>{esc(title)}</summary><ul>"
            + "".join(f"<li>{esc(line)}</li>" for line in lines)
            + "</ul></details>"
            for title, lines in self._sections()
        )
        titles = ("severity", "id", "what was found")
        head = "".join(f"<th style='{_CELL}'>{title}</th>" for title in titles)
        table = f"<table><tr>{head}</tr>{''.join(rows)}</table>" if rows else ""
        return f"<div><p><b>{esc(self.summary)}</b></p>{table}{sections}</div>"


_CELL = "text-align:left;vertical-align:top"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _grouped(rows: tuple[NotLooked, ...]) -> list[str]:
    ids: dict[str, list[str]] = {}
    for row in rows:
        ids.setdefault(row.why, []).append(row.id)
    return [f"{', '.join(names)}: {why}" for why, names in ids.items()]


def _hanging(name: str, text: str) -> str:
    first, *rest = text.splitlines() or [""]
    label = {"retest": "re-test"}.get(name, name)
    return "\n".join([f"  {label:<10}{first}", *(f"{'':12}{line}" for line in rest)])
