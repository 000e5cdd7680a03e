"""Each fault, planted in a real server that is otherwise right, is found; and there only."""

import os

import audits
import pytest
import seeded_faults as seeded
import seeded_servers as servers

from leftopen.audit import run

pytestmark = pytest.mark.needs("mongodb")
stage = audits.stage_of("mongodb", servers)
right = audits.right


def test_there_are_27_and_each_has_its_own_name():
    names = [fault.name for fault in seeded.FAULTS + seeded.EXTRA]
    assert len(seeded.FAULTS) == 27
    assert len(set(names)) == len(names)


def test_the_right_server_has_nothing_to_fix(right):
    assert [f for f in right.findings if f.severity != "note"] == []
    assert right.not_looked == ()
    assert right.exit_code == 0


PLANTED = [fault for fault in seeded.FAULTS + seeded.EXTRA if fault.plant]


@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found(stage, right, fault):
    assert not seeded.found(right, fault)
    stage.reset()
    try:
        fault.plant(stage)
        report = stage.audit(**fault.more)
        assert seeded.found(report, fault), report
        assert report.exit_code == int(set(fault.finds.values()) != {"note"}) or report.not_looked
    finally:
        if fault.plant is servers.no_users:
            servers.make_ops_again(stage)
        stage.reset()


def test_after_all_of_them_the_server_is_right_again(stage, right):
    stage.reset()
    assert stage.audit().table().equals(right.table())


@pytest.mark.parametrize(
    "fault", [f for f in seeded.FAULTS if f.bare], ids=lambda fault: fault.name
)
def test_a_fault_of_a_server_that_is_no_lab_is_found(fault):
    if "root-process" in fault.finds and (os.name != "posix" or os.geteuid() != 0):
        pytest.skip("only root can start a server as root")
    with servers.bare_mongod(fault.bare) as port:
        report = run(f"mongodb://127.0.0.1:{port}")
    assert seeded.found(report, fault), report
