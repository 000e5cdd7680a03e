"""Exercise 05: two points, unicity, a release, groups, a secret of a group, an exposure."""

from leftopen.checks import (
    why_a_trace_identifies_clinic,
    why_a_trace_identifies_coarsen,
    why_a_trace_identifies_exposure,
    why_a_trace_identifies_groups,
    why_a_trace_identifies_share,
    why_a_trace_identifies_witness,
)

QUESTIONS = {
    1: why_a_trace_identifies_witness.QUESTION,
    2: why_a_trace_identifies_share.QUESTION,
    3: why_a_trace_identifies_coarsen.QUESTION,
    4: why_a_trace_identifies_groups.QUESTION,
    5: why_a_trace_identifies_clinic.QUESTION,
    6: why_a_trace_identifies_exposure.QUESTION,
}
