"""Scores, held against the formula of the specification and against published ones."""

import itertools
from decimal import ROUND_CEILING, Decimal

import pytest

from leftopen.cvss import score
from leftopen.errors import LeftOpenError

# The weights of the specification of CVSS 3.1, section 7.4.
VECTOR = {"N": "0.85", "A": "0.62", "L": "0.55", "P": "0.2"}
COMPLEXITY = {"L": "0.77", "H": "0.44"}
PRIVILEGES = {
    "U": {"N": "0.85", "L": "0.62", "H": "0.27"},
    "C": {"N": "0.85", "L": "0.68", "H": "0.5"},
}
INTERACTION = {"N": "0.85", "R": "0.62"}
IMPACT = {"H": "0.56", "L": "0.22", "N": "0"}


def by_the_formula(av, ac, pr, ui, scope, *impacts):
    """The base score of 3.1, section 7.1, in decimal numbers."""
    left = Decimal(1)
    for impact in impacts:
        left *= 1 - Decimal(IMPACT[impact])
    lost = 1 - left
    impact = Decimal("6.42") * lost
    if scope == "C":
        impact = Decimal("7.52") * (lost - Decimal("0.029"))
        impact -= Decimal("3.25") * (lost - Decimal("0.02")) ** 15
    if impact <= 0:
        return 0.0
    ease = Decimal("8.22")
    for weight in (VECTOR[av], COMPLEXITY[ac], PRIVILEGES[scope][pr], INTERACTION[ui]):
        ease *= Decimal(weight)
    both = (impact + ease) * (Decimal("1.08") if scope == "C" else 1)
    return float(min(both, Decimal(10)).quantize(Decimal("0.1"), rounding=ROUND_CEILING))


def test_every_base_vector_has_the_score_of_the_formula():
    values = ("NALP", "LH", "NLH", "NR", "UC", "HLN", "HLN", "HLN")
    names = ("AV", "AC", "PR", "UI", "S", "C", "I", "A")
    vectors = list(itertools.product(*values))
    assert len(vectors) == 2592
    for chosen in vectors:
        metrics = "/".join(f"{n}:{v}" for n, v in zip(names, chosen, strict=True))
        assert score(f"CVSS:3.1/{metrics}") == by_the_formula(*chosen), metrics


@pytest.mark.parametrize(
    ("vector", "published"),
    [
        # The record of CVE-2025-14847 (a mongod that answers with its own memory).
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N", 8.7),
        # The record of CVE-2026-82067 (a mongod whose login stays off).
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H", 8.1),
        ("CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 9.2),
    ],
)
def test_published_scores_come_out(vector, published):
    assert score(vector) == published


def test_what_the_data_are_worth_to_the_operator_changes_the_score():
    read_only = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"
    low, base, high = (score(read_only + more) for more in ("/CR:L", "", "/CR:H"))
    assert low < base < high
    four = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
    assert score(four + "/CR:L/IR:L/AR:L") < score(four)


def test_a_temporal_metric_alone_is_taken_into_account():
    base = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    assert score(base + "/E:U") < score(base)


@pytest.mark.parametrize(
    ("vector", "said"),
    [
        ("AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "It begins with"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H", "cannot be scored"),
        ("CVSS:4.0/AV:Q", "cannot be scored"),
        (9.8, "It begins with"),
    ],
)
def test_what_is_no_vector_is_one_sentence(vector, said):
    with pytest.raises(LeftOpenError, match=said):
        score(vector)
