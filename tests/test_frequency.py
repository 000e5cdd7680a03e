"""Frequency analysis: what is named, how much is right, and the figure of lesson 13."""

import itertools
import math
import random

import pandas as pd
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from leftopen import frequency, ledger, plots
from leftopen.errors import DataError

EVEN = {"red": 1, "blue": 1}
UNEVEN = {"often": 5, "now and then": 3, "seldom": 1}


def column(counts):
    return [value for value, count in counts.items() for _ in range(count)]


def sealed(values, key=b"k" * 32):
    """The values under AES-SIV without a nonce: equal values give equal ciphertexts."""
    siv = AESSIV(key)
    return [siv.encrypt(value.encode(), None) for value in values]


def test_the_commonest_ciphertext_is_named_by_the_commonest_value():
    rows = column(UNEVEN)
    random.Random(13).shuffle(rows)
    names = frequency.match(sealed(rows), {"seldom": 0.1, "often": 0.7, "now and then": 0.2})
    assert [names[one] for one in sealed(rows)] == rows


def test_more_ciphertexts_than_values_leaves_the_rarest_without_a_name():
    rows = column(UNEVEN)
    names = frequency.match(sealed(rows), {"often": 2, "now and then": 1})
    assert sealed(["seldom"])[0] not in names
    assert frequency.recovered(sealed(rows), rows, {"often": 2, "now and then": 1}) == 8 / 9


def test_the_rate_is_that_of_the_match_where_no_two_are_alike():
    rows = column({"a": 6, "b": 5, "c": 3, "d": 2})
    public = {"a": 5, "b": 6, "c": 2, "d": 3, "e": 1}
    names = frequency.match(sealed(rows), public)
    right = sum(names[one] == value for one, value in zip(sealed(rows), rows, strict=True))
    assert frequency.recovered(sealed(rows), rows, public) == right / len(rows) == 0
    assert frequency.recovered(sealed(rows), rows, {**public, "b": 4}) == 11 / 16


@pytest.mark.parametrize(
    ("counts", "public"),
    [
        ({"a": 2, "b": 2, "c": 1}, {"a": 3, "b": 1, "c": 1}),
        ({"a": 2, "b": 2, "c": 2}, {"a": 4, "b": 4, "c": 1}),
        ({"a": 3, "b": 1, "c": 1, "d": 1}, {"b": 7, "a": 1, "c": 1}),
    ],
)
def test_among_equals_the_rate_is_the_mean_over_all_orders(counts, public):
    """Counted out: every order of the ciphertexts against every order of the public values."""

    def orders(items):
        groups = [
            [name for name, count in items.items() if count == size]
            for size in sorted(set(items.values()), reverse=True)
        ]
        return itertools.product(*map(itertools.permutations, groups))

    def flat(order):
        return list(itertools.chain(*order))

    rows = column(counts)
    rates = [
        sum(counts[a] for a, b in zip(flat(here), flat(there), strict=False) if a == b) / len(rows)
        for here in orders(counts)
        for there in orders(public)
    ]
    expected = sum(rates) / len(rates)
    assert math.isclose(frequency.recovered(sealed(rows), rows, public), expected)


def test_neither_the_key_nor_the_order_of_the_rows_changes_the_rate():
    rows = column({"a": 4, "b": 4, "c": 2, "d": 1})
    public = {"a": 9, "b": 5, "c": 5, "d": 1}
    rates = {frequency.recovered(sealed(rows, bytes([k]) * 32), rows, public) for k in range(4)}
    rates.add(frequency.recovered(sealed(rows[::-1]), rows[::-1], public))
    assert len(rates) == 1


def test_random_encryption_and_a_column_of_unique_values_give_one_row_in_all():
    rows = column(UNEVEN) * 10
    gcm, nonces = AESGCM(b"k" * 32), (number.to_bytes(12) for number in itertools.count())
    scattered = [gcm.encrypt(next(nonces), value.encode(), None) for value in rows]
    assert math.isclose(frequency.recovered(scattered, rows, UNEVEN), 1 / len(rows))
    numbers = [f"{number:018}" for number in range(50)]
    everyone = dict.fromkeys(numbers, 1)
    assert math.isclose(frequency.recovered(sealed(numbers), numbers, everyone), 1 / 50)


def test_two_equal_values_are_a_toss():
    rows = column({"red": 5, "blue": 5})
    assert frequency.recovered(sealed(rows), rows, EVEN) == 0.5


def test_the_guess_names_the_commonest_value_for_everybody():
    rows = column({"a": 1, "b": 3})
    assert frequency.guessed(rows, {"a": 2, "b": 9}) == 0.75
    assert frequency.guessed(rows, {"a": 9, "b": 2}) == 0.25


def test_what_is_no_column_is_said():
    with pytest.raises(DataError, match="one ciphertext can stand for one value alone"):
        frequency.recovered([b"1", b"1"], ["a", "b"], EVEN)
    with pytest.raises(DataError, match="each row needs both"):
        frequency.recovered([b"1"], ["a", "b"], EVEN)


def test_a_district_is_the_same_again_and_its_statistics_are_of_others():
    people, public = frequency.district(7, 300)
    again = frequency.district(7, 300)
    pd.testing.assert_frame_equal(people, again.people)
    assert public == again.public
    assert list(people) == list(public)
    assert people["identity number"].is_unique
    counted = people["year of birth"].value_counts().to_dict()
    assert counted != public["year of birth"]
    assert set(people["house"]) <= set(public["house"])
    assert not set(frequency.district(8, 300).people["identity number"]) & set(
        people["identity number"]
    )


@pytest.fixture(scope="module")
def trial():
    return frequency.trial(range(40))


def test_few_and_unequal_values_are_recovered_and_many_or_equal_ones_are_not(trial):
    """The direction of the paper (CCS 2015): columns of few and unequal values were recovered."""
    rate, values = trial["recovered"], trial["values"]
    for name in ("car", "age band", "decade of birth"):
        assert values[name] < 10
        assert rate[name] > max(0.8, trial["guessed"][name] + 0.1)
    assert trial["whole"]["car"] > 0.95
    for name in ("month of birth", "day of birth", "year of birth"):
        assert values[name] > 10
        assert rate[name] < 0.15
    assert 0.35 < rate["sex"] < 0.65  # two values, as common as each other: a toss
    assert math.isclose(rate["identity number"], 1 / frequency.RESIDENTS)


def test_the_ciphertexts_of_a_district_give_what_its_plain_values_give():
    people, public = frequency.district(3)
    for name in ("age band", "house", "year of birth"):
        plain = people[name].tolist()
        rate = frequency.recovered(sealed(plain), plain, public[name])
        assert rate == frequency.recovered(plain, plain, public[name])


# -- the published figures and the plot -------------------------------------------------------


def test_the_bounds_follow_from_what_the_paper_says():
    table = ledger.claims().set_index("id")
    least, share = table.loc["DT2", "value"].split(", ")
    assert ledger.number("DT10") == int(least) * int(share) / 100
    assert ledger.number("DT8") == ledger.number("DT4") == ledger.number("DT5")
    assert ledger.number("DT9") == ledger.number("DT6")


def test_the_plot_shows_ours_beside_the_papers(trial):
    published = pd.DataFrame(
        {"values": [2, 4], "at_least": [0.99, 0.51]}, index=["death", "disease severity"]
    )
    picture = plots.recovery(trial, published, "Few and unequal")
    (ax,) = picture.fig.axes
    drawn = {c.get_label(): c.get_offsets().tolist() for c in ax.collections}

    def points(table, name):
        return [list(p) for p in zip(table["values"], 100 * table[name], strict=True)]

    assert drawn == {
        "recovered, our districts": points(trial, "recovered"),
        "guessed without any ciphertext": points(trial, "guessed"),
        "the paper: at least": points(published, "at_least"),
    }
    assert {t.get_text() for t in ax.texts} == {*trial.index, *published.index}
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "different values in the column"
    assert ax.get_ylabel() == "rows recovered (%)"
    assert "car, 2 values: 100 % recovered, 8" in picture.alt
    assert picture.alt.endswith("The paper, at least: death 99 %; disease severity 51 %.")


def test_names_stand_beside_the_truth_and_the_counts():
    rows = column(UNEVEN)
    table = frequency.beside(sealed(rows), rows, {"often": 9, "seldom": 5})
    assert table.iloc[0].tolist() == ["often", "often", 5, 9]
    assert table.iloc[1].tolist() == ["now and then", "seldom", 3, 5]
    assert table.iloc[2]["in truth"] == "seldom"
    assert table.iloc[2].isna().tolist() == [False, True, False, True]


def test_percent_leaves_the_number_of_values():
    table = pd.DataFrame({"values": [2], "recovered": [0.12345]})
    assert frequency.percent(table).iloc[0].tolist() == [2, 12.34]


def test_lengths_alone_name_the_commonest_value_of_each_length():
    sizes = {"home": 82, "shop": 82, "office": 98}
    truth = ["home", "home", "shop", "office", "office"]
    sealed = [bytes([number]) * sizes[value] for number, value in enumerate(truth)]
    assert frequency.by_length(sealed, truth, {"home": 5, "shop": 1, "office": 9}, sizes) == 0.8
    assert frequency.by_length(sealed, truth, {"home": 1, "shop": 5, "office": 9}, sizes) == 0.6
    # Filled up, all have one length, and only the guess is left that needs no ciphertext.
    public, filled = {"home": 5, "shop": 1, "office": 3}, dict.fromkeys(sizes, 98)
    sealed = [bytes([number]) * 98 for number in range(5)]
    share = frequency.by_length(sealed, truth, public, filled)
    assert share == frequency.guessed(truth, public) == 0.4


def test_confused_values_are_those_that_another_name_was_given():
    truth = ["a"] * 5 + ["b"] * 3 + ["c"] * 2
    sealed = [value.encode() for value in truth]
    assert frequency.confused(sealed, truth, {"a": 9, "b": 4, "c": 2}) == []
    assert frequency.confused(sealed, truth, {"a": 9, "b": 2, "c": 4}) == ["b", "c"]
