"""Exercise 04: defaults in time, published figures, a score, months to a fix, a notice, causes."""

from leftopen.checks import (
    what_the_cases_share_causes,
    what_the_cases_share_claims,
    what_the_cases_share_days,
    what_the_cases_share_defaults,
    what_the_cases_share_notice,
    what_the_cases_share_score,
)

QUESTIONS = {
    1: what_the_cases_share_defaults.QUESTION,
    2: what_the_cases_share_claims.QUESTION,
    3: what_the_cases_share_score.QUESTION,
    4: what_the_cases_share_days.QUESTION,
    5: what_the_cases_share_notice.QUESTION,
    6: what_the_cases_share_causes.QUESTION,
}
