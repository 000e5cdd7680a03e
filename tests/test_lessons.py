"""Every lesson against the style guide and the ledger, and the rules against planted faults."""

import copy
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import prose_rules
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from leftopen import course, ledger, plots

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LEDGER = {
    row.id: " ".join([row.statement, row.value, row.date, row.disputed])
    for row in ledger.claims().itertuples()
}


def read(path):
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_a_lesson_has_its_shape(path):
    minutes = next(
        lesson.minutes for lesson in course.load().lessons if lesson.number == int(path.stem[:2])
    )
    assert prose_rules.shape(read(path), minutes) == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_a_lesson_is_committed_with_sound_outputs(path):
    assert prose_rules.outputs(read(path)) == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_every_figure_stands_in_the_ledger(path):
    assert prose_rules.figures(read(path), LEDGER) == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_the_sources_at_the_end_are_those_that_are_cited(path):
    nb = read(path)
    listed = prose_rules.sourced(nb)
    assert prose_rules.cited(nb) <= listed
    assert listed <= set(LEDGER)


def test_at_least_four_fifths_of_the_code_cells_are_compared():
    assert prose_rules.strict_share([read(path) for path in LESSONS]) >= 0.8


# -- the rules themselves ---------------------------------------------------------------------


def good():
    """A lesson in good shape, which every planted fault below spoils in one way."""
    cells = [
        new_markdown_cell("# A lesson\n\nWhat stood open."),
        new_markdown_cell("**You will** look.\n\n**You need** time.\n\n**Time** 45 minutes."),
    ]
    for _ in range(16):
        cells += [new_markdown_cell("Predict:"), new_code_cell("1 + 1", execution_count=1)]
    cells += [
        new_markdown_cell("It held 2,565,724 people [SN7]."),
        new_markdown_cell("**What you did.** This.\n\n**What is still open.** That."),
        new_markdown_cell("## Sources"),
        new_code_cell('ledger.sources("SN7")', execution_count=1),
    ]
    nb = new_notebook(cells=cells)
    for number, cell in enumerate((c for c in nb.cells if c.cell_type == "code"), 1):
        cell.execution_count = number
    return nb


def spoil(change):
    nb = copy.deepcopy(good())
    change(nb.cells)
    return nb


def test_the_good_lesson_is_good():
    assert prose_rules.shape(good(), 45) == []
    assert prose_rules.outputs(good()) == []
    assert prose_rules.figures(good(), LEDGER) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda c: c.__delitem__(slice(2, 20)), "cells, not 35 to 65"),
        (lambda c: c[3].update(source="x = 1\n" * 21), "a code cell of over 20 lines"),
        (lambda c: c[4].update(source="word " * 121), "a prose cell of 121 words"),
        (lambda c: c.insert(4, c[3]) or c.insert(4, c[3]), "three code cells in a row"),
        (lambda c: c[4].update(source="# Another title"), "not one H1"),
        (lambda c: c[1].update(source="**You need** x **You will** y **Time** z"), "the opening"),
        (lambda c: c[-3].update(source="**What you did.**"), "the closing lacks"),
        (lambda c: [x.update(source="1\n" * 5) for x in c[3::2]], "median of code lines over 4"),
        (lambda c: [c.insert(5, new_markdown_cell("more")) for _ in range(20)], "prose cells, not"),
    ],
)
def test_a_planted_fault_in_the_shape_is_found(change, fault):
    assert any(fault in found for found in prose_rules.shape(spoil(change), 45))


def picture(alt):
    img = f'<img alt="{alt}" src="data:image/png;base64,AA">'
    return new_output("display_data", {"text/html": img})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda c: c.update(execution_count=None), "not run in order"),
        (lambda c: c.metadata.update(tags=["nbval-ignore-output"]), "gives no reason"),
        (lambda c: c.update(outputs=[new_output("error", ename="E")]), "ends in an error"),
        (lambda c: c.update(outputs=[picture("")]), "without alt text"),
        (lambda c: c.update(outputs=[picture("a plot")]), "without alt text"),
        (
            lambda c: c.update(outputs=[new_output("display_data", {"image/png": "AA"})]),
            "without alt text",
        ),
    ],
)
def test_a_planted_fault_in_the_outputs_is_found(change, fault):
    nb = spoil(lambda cells: change(cells[3]))
    assert any(fault in found for found in prose_rules.outputs(nb))


def test_a_picture_with_alt_text_and_a_reason_for_a_tag_are_accepted():
    def change(cells):
        cells[3].outputs = [picture("A map of the town with every camera in grey.")]
        cells[3].metadata = {"tags": ["nbval-ignore-output"], "reason": "it varies"}

    nb = spoil(change)
    assert prose_rules.outputs(nb) == []
    assert 0.9 < prose_rules.strict_share([nb]) < 1


@pytest.mark.parametrize(
    "sentence",
    [
        "It held 2,565,724 people.",
        "It held 2,565,725 people [SN7].",
        "It held 2,565,724 people [SN999].",
        "In 2019 it was found.",
        "Of them 54.9 % were labelled.",
        "It held 2,565,724 people [SN8].",
    ],
)
def test_a_figure_without_its_source_is_found(sentence):
    nb = spoil(lambda cells: cells[4].update(source=sentence))
    assert prose_rules.figures(nb, LEDGER)


@pytest.mark.parametrize(
    "sentence",
    [
        "About 6,680,348 positions [SN8], and 1,039 trackers [SN9].",
        "Three lines, and 2 of them say `port: 27017`.",
        "It took 13 February 2019 to find it [SN3].",
        "In the first ten days of January 2017 more than 27,000 servers were hit [RW2].",
    ],
)
def test_a_figure_with_its_source_is_accepted(sentence):
    nb = spoil(lambda cells: cells[4].update(source=sentence))
    assert prose_rules.figures(nb, LEDGER) == []


# -- the figures ------------------------------------------------------------------------------


def test_a_day_is_drawn_in_order_of_time_at_the_places_of_its_cameras():
    trackers = pd.DataFrame({"x": [0, 1000, 2000], "y": [0, 0, 3000]})
    day = pd.DataFrame(
        {
            "at": pd.to_datetime(["2019-02-12 12:00", "2019-02-12 08:00", "2019-02-12 18:00"]),
            "place": ["workplace", "home street", "home street"],
            "x": [2000, 0, 0],
            "y": [3000, 0, 0],
        }
    )
    picture = plots.day_on_map(trackers, day, "A day")
    (ax,) = picture.fig.axes
    assert [tuple(p) for p in ax.lines[0].get_xydata()] == [(0, 0), (2, 3), (0, 0)]
    assert {t.get_text() for t in ax.texts} == {"home street\n08:00, 18:00", "workplace\n12:00"}
    assert ax.get_xlabel() == "east (km)"
    assert "3 trackers" in picture.alt
    assert "08:00 home street, 12:00 workplace, 18:00 home street." in picture.alt


def test_hours_are_counted_and_empty_ones_shown():
    times = pd.Series(pd.to_datetime(["2019-02-12 07:10", "2019-02-12 07:50", "2019-02-12 23:00"]))
    picture = plots.by_hour(times, "Hours")
    heights = [bar.get_height() for bar in picture.fig.axes[0].patches]
    assert len(heights) == 24
    assert (heights[7], heights[23], heights[0]) == (2, 1, 0)
    assert "0 h: 0, " in picture.alt
    assert "7 h: 2, " in picture.alt


def test_a_day_at_home_begins_before_the_first_leaving_and_ends_at_midnight():
    day = pd.DataFrame(
        {
            "who": ["a", "b", "a", "a", "a"],
            "at": pd.to_datetime(
                ["2020-08-14 18:00", "2020-08-14 06:30", "2020-08-14 08:15", "2020-08-14 12:00",
                 "2020-08-14 13:00"]
            ),
            "direction": ["in", "in", "out", "in", "out"],
        }
    )  # fmt: skip
    picture = plots.at_home(day, "At home")
    (ax,) = picture.fig.axes
    spans = [
        [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in bar.get_paths()]
        for bar in ax.collections
    ]
    assert spans == [[(0, 8.25), (12, 13), (18, 24)], [(6.5, 24)]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert "a 00:00 to 08:15, 12:00 to 13:00, 18:00 to 24:00; b 06:30 to 24:00." in picture.alt


def test_the_timeline_draws_its_events_and_its_span():
    events = pd.DataFrame({"date": pd.to_datetime(["2014-04", "2017-11"]), "label": ["a", "b\nc"]})
    span = (pd.Timestamp("2018-07-01"), pd.Timestamp("2019-02-13"))
    picture = plots.timeline(events, span, "open", "When")
    (ax,) = picture.fig.axes
    assert [t.get_text() for t in ax.texts] == ["a", "b\nc", "open"]
    assert span in [tuple(line.get_xdata()) for line in ax.lines]
    assert picture.alt == (
        "Timeline. April 2014: a; November 2017: b c. Marked on it, open: July 2018 to "
        "February 2019."
    )


def test_a_picture_goes_out_with_its_text():
    times = pd.Series(pd.to_datetime(["2019-02-12 07:10"]))
    picture = plots.by_hour(times, "Hours")
    assert 'alt="Bar chart of positions' in picture._repr_html_()
    assert repr(picture).startswith("Figure: Bar chart")
    assert not plt.get_fignums()


def test_the_palette_is_okabe_and_itos():
    """The colours of Okabe and Ito, Color Universal Design (2008), as their page gives them."""
    published = {(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0),
                 (86, 180, 233), (0, 0, 0), (240, 228, 66)}  # fmt: skip
    style = mpl.rc_params_from_file(
        ROOT / "leftopen" / "leftopen.mplstyle", use_default_template=False
    )
    colours = style["axes.prop_cycle"].by_key()["color"]
    found = {tuple(round(255 * part) for part in mpl.colors.to_rgb(c)) for c in colours}
    assert found <= published
    assert len(found) >= 6
