"""A report as SARIF 2.1.0 (OASIS Standard, 27 March 2020), which many CI systems read.

The sections named below are those of that standard.
"""

import leftopen
from leftopen.audit.report import Finding, Report, Severity

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {Severity.FIX: "error", Severity.WARN: "warning", Severity.NOTE: "note"}


def to_sarif(report: Report) -> dict:
    """The report as a SARIF log with one run (sections 3.13 and 3.14).

    A check that could not look becomes a tool notification (section 3.20.21), and the invocation
    then says that it did not succeed.
    """
    ids = list(dict.fromkeys(finding.id for finding in report.findings))
    by_id = {finding.id: finding for finding in reversed(report.findings)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "leftopen audit",
                        "version": leftopen.__version__,
                        "rules": [_rule(by_id[name]) for name in ids],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": not report.not_looked,
                        "exitCode": report.exit_code,
                        "toolExecutionNotifications": [
                            {
                                "descriptor": {"id": missed.id},
                                "level": "warning",
                                "message": {"text": f"Could not look: {missed.why}"},
                            }
                            for missed in report.not_looked
                        ],
                    }
                ],
                "results": [_result(f, ids.index(f.id), report) for f in report.findings],
                "properties": {
                    "passed": list(report.passed),
                    "blindSpots": list(report.blind_spots),
                },
            }
        ],
    }


def _rule(finding: Finding) -> dict:
    return {
        "id": finding.id,
        "shortDescription": {"text": finding.what},
        "fullDescription": {"text": finding.why},
        "help": {"text": f"{finding.fix}\n\nRe-test: {finding.retest}"},
        "properties": {"tags": ["security", finding.cwe]},
    }


def _result(finding: Finding, index: int, report: Report) -> dict:
    return {
        "ruleId": finding.id,
        "ruleIndex": index,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{finding.what} {finding.evidence}"},
        "locations": [
            {"logicalLocations": [{"fullyQualifiedName": report.target, "kind": "resource"}]}
        ],
    }
