"""The claims ledger: its form, and how it is read."""

from datetime import date

import pytest

from leftopen import ledger
from leftopen.errors import DataError

CONFIDENCE = {
    "seed",
    "confirmed",
    "confirmed once only",
    "derived",
    "inference",
    "could not confirm",
}


def test_every_claim_is_whole():
    table = ledger.claims()
    assert table["id"].is_unique
    assert table["id"].str.fullmatch(r"[A-Z]{2}\d+").all()
    assert set(table["confidence"]) <= CONFIDENCE
    for column in ("case", "statement", "source"):
        assert (table[column].str.strip() != "").all()


def arithmetic():
    """What the derived claims must be, from the claims that they rest on."""
    people, seen, cameras = (ledger.number(i) for i in ("SN7", "SN8", "SN9"))
    january = ledger.number("SN10") / 31
    days = ledger.claims().set_index("id")["date"]
    told, free, on = (date.fromisoformat(days[i]) for i in ("BJ1", "ES3", "ES4"))
    return {
        "SN30": f"{seen / people:.3f}",
        "SN31": f"{seen / 86_400:.1f}",
        "SN32": f"{86_400 * cameras / seen:.1f}",
        "SN33": f"{6_700_000 - seen:,.0f}",
        "BJ40": f"{(free - told).days:,}",
        "BJ41": f"{(on - told).days:,}",
        "SN34": f"{january:.2f}, {january * 1e6 / seen:.2f}",
        **doors(),
    }


def doors():
    """The same for the door logs of Tongren."""
    monitored, records = ledger.number("TG4"), ledger.number("TG5")
    each = records / monitored
    day = date.fromisoformat(ledger.claims().set_index("id")["date"]["TG8"])
    least, most = (day - date(2020, 5, 31)).days, (day - date(2020, 5, 1)).days
    share = {
        a_day: [100 * records / (monitored * a_day * days) for days in (most, least)]
        for a_day in (2, 4)
    }
    return {
        "TG30": f"{each:.1f}",
        "TG31": f"{records / 4:,.0f}, {monitored / 4:,.0f}",
        "TG32": f"{least} to {most}",
        "TG33": f"{each / most:.3f} to {each / least:.3f}",
        "TG34": "{:.0f} to {:.0f}".format(*share[2]),
        "TG35": "{:.0f} to {:.0f}".format(*share[4]),
        "TG36": f"{each / 2:.1f}, {each / 4:.1f}",
    }


def test_the_sizes_of_a_full_door_log_are_those_in_the_statements():
    statements = ledger.claims().set_index("id")["statement"]
    for claim, a_day in (("TG34", 2), ("TG35", 4)):
        least, most = (ledger.number("TG4") * a_day * days / 1e6 for days in (77, 107))
        assert f"{least:.1f} to {most:.1f} million" in statements[claim]


def test_the_derived_figures_follow_from_the_others():
    table = ledger.claims().set_index("id")
    assert {i: table.loc[i, "value"] for i in arithmetic()} == arithmetic()


def test_a_case_is_chosen_by_its_name():
    assert set(ledger.claims("SenseNets")["case"]) == {"SenseNets"}
    with pytest.raises(DataError, match="no case 'Nowhere'"):
        ledger.claims("Nowhere")


def test_a_number_is_a_number():
    assert ledger.number("SN9") == 1039
    with pytest.raises(DataError, match="SN3 is empty"):
        ledger.number("SN3")
    with pytest.raises(DataError, match="not one number"):
        ledger.number("SN35")
    with pytest.raises(DataError, match="no claim SN999"):
        ledger.number("SN999")


def test_a_missing_ledger_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(ledger, "DATASETS", tmp_path)
    with pytest.raises(DataError, match="cannot be read: No such file"):
        ledger.claims()


def test_texts_are_shown_whole_and_escaped():
    shown = ledger.show(["SN4", "SN1"], ["statement"])
    assert repr(shown).startswith("SN4  The engine was MongoDB\nSN1  ")
    shown.frame.loc["SN4", "statement"] = "<b>"
    assert "&lt;b&gt;" in shown._repr_html_()
