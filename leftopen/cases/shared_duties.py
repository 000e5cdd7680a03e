"""Who owed what, over the three cases: the statements of lesson 04's quiz.

How the duties are divided is our reading of what the parties said (AL1, AL7, DI1 and BJ9 in the
claims ledger); contracts, laws and courts may divide them otherwise.
"""

from leftopen.quiz import Quiz, Statement

OPERATOR, PROVIDER, VENDOR = "operator", "provider", "vendor"
FINDER, NEWSPAPER = "finder", "newspaper"


def duties() -> Quiz:
    """The quiz of lesson 04."""
    return Quiz((OPERATOR, PROVIDER, VENDOR, FINDER, NEWSPAPER), STATEMENTS)


STATEMENTS = (
    Statement(
        "Look from outside, now and then, at what one's own servers answer to a stranger.",
        OPERATOR,
        "Others may look too, but nobody else knows which servers there are, and what is right.",
    ),
    Statement(
        "Ship an engine that refuses strangers until somebody has set a password.",
        VENDOR,
        "The operator can switch a login on. Only the vendor can make it what comes by itself.",
    ),
    Statement(
        "Pass a warning on to a customer whose name nobody else knows.",
        PROVIDER,
        "It may not look inside. It need not: the warning says what is open, and where.",
    ),
    Statement(
        "Stop reading as soon as it is clear what is open, and whose it is.",
        FINDER,
        "Every further record is a further person read without need.",
    ),
    Statement(
        "Decide that the label of an ethnic group is not recorded.",
        OPERATOR,
        "Nobody else decides what is collected. What is not there cannot be read by anyone.",
    ),
    Statement(
        "Leave out what helps to find the server, as long as it still stands open.",
        NEWSPAPER,
        "The finder must do so too; but it is the report that thousands read.",
    ),
    Statement(
        "Tell the people whose records stood open.",
        OPERATOR,
        "It has their addresses. A finder who wrote to them would have to use the records.",
    ),
    Statement(
        "Correct in public what was printed and was wrong.",
        NEWSPAPER,
        "A finder should say so too; but readers look where they read the first version.",
    ),
)
