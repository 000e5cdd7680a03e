"""What the tests of the auditor share, whichever server is looked at."""

import pytest
from conftest import needs


def stage_of(engine, servers):
    """A fixture: the right server of an engine, for the tests of a module."""

    @pytest.fixture(scope="module")
    def stage():
        needs(engine)
        stage = servers.Stage()
        yield stage
        stage.lab.close()

    return stage


@pytest.fixture(scope="module")
def right(stage):
    """The report on the right server, before anything is planted."""
    return stage.audit()


def ids(report, *severities):
    """What was found, or what of these severities."""
    return {f.id for f in report.findings if not severities or f.severity in severities}


def why(report, name):
    """Why a check could not look, or was left out; empty if it looked."""
    return next((n.why for n in (*report.not_looked, *report.left_out) if n.id == name), "")
