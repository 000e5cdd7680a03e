"""What the suite demands of a lesson: its shape (style guide) and its figures (claims ledger)."""

import re
import statistics

TAG_IGNORE = "nbval-ignore-output"
CITATION = re.compile(r"\[((?:[A-Z]{2}\d+)(?:, ?[A-Z]{2}\d+)*)\]")
NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*(?! ?(?:minutes|min)\b)")
SENTENCE = re.compile(r"(?<=[.!?:])\s+|\n+|\|")


def lines_of_code(cell):
    return [ln for ln in cell.source.splitlines() if ln.strip() and not ln.strip().startswith("#")]


def words(text):
    return len(re.findall(r"\w[\w'’-]*", text))


def shape(nb, minutes):
    """The faults in a notebook's shape, as sentences; an empty list is a notebook in good shape."""
    faults = []
    cells = nb.cells
    code = [c for c in cells if c.cell_type == "code"]
    prose = [c for c in cells if c.cell_type == "markdown"]
    least = 35 if minutes >= 30 else 20
    if not least <= len(cells) <= 65:
        faults.append(f"{len(cells)} cells, not {least} to 65")
    sizes = sorted(len(lines_of_code(c)) for c in code)
    if statistics.median(sizes) > 4:
        faults.append("median of code lines over 4")
    if sizes[int(0.9 * (len(sizes) - 1))] > 10:
        faults.append("a tenth of the code cells has over 10 lines")
    if sizes[-1] > 20:
        faults.append("a code cell of over 20 lines")
    for c in prose:
        if words(c.source) > 120:
            faults.append(f"a prose cell of {words(c.source)} words: {c.source[:40]!r}")
    kinds = "".join("c" if c.cell_type == "code" else "p" for c in cells)
    if "ccc" in kinds:
        faults.append("three code cells in a row")
    if not 0.5 <= len(prose) / len(cells) <= 0.7:
        faults.append(f"{len(prose) / len(cells):.0%} prose cells, not 50 to 70 %")
    headings = [ln for c in prose for ln in c.source.splitlines() if re.match(r"# ", ln)]
    if len(headings) != 1 or not cells[0].source.startswith("# "):
        faults.append("not one H1, at the top")
    opening = "\n".join(c.source for c in cells[:4])
    closing = "\n".join(c.source for c in cells[-6:])
    places = [opening.find(f"**{part}**") for part in ("You will", "You need", "Time")]
    if -1 in places or places != sorted(places):
        faults.append("the opening lacks You will, You need, Time, in this order")
    places = [closing.find(f"**{part}") for part in ("What you did", "What is still open")]
    if -1 in places or places != sorted(places):
        faults.append("the closing lacks What you did, What is still open, in this order")
    return faults


def outputs(nb):
    """The faults in a notebook's outputs and tags."""
    faults = []
    for count, cell in enumerate((c for c in nb.cells if c.cell_type == "code"), 1):
        tags = cell.metadata.get("tags", [])
        if cell.execution_count != count:
            faults.append(f"cell {count} was not run in order")
        if TAG_IGNORE in tags and not cell.metadata.get("reason", "").strip():
            faults.append(f"cell {count} is not compared, and gives no reason")
        for out in cell.outputs:
            if out.output_type == "error":
                faults.append(f"cell {count} ends in an error")
            data = out.get("data", {})
            if "image/png" in data or "image/svg+xml" in data:
                faults.append(f"cell {count} has a picture without alt text")
            for img in re.findall(r"<img\b[^>]*>", "".join(data.get("text/html", ""))):
                alt = re.search(r'\balt="([^"]*)"', img)
                if not alt or words(alt[1]) < 6:
                    faults.append(f"cell {count} has a picture without alt text")
    return faults


def strict_share(notebooks):
    """The share of code cells whose outputs nbval compares."""
    code = [c for nb in notebooks for c in nb.cells if c.cell_type == "code"]
    ignored = [c for c in code if TAG_IGNORE in c.metadata.get("tags", [])]
    return 1 - len(ignored) / len(code)


def numbers(text):
    """The numbers in a text, without the commas between thousands."""
    found = (m.group() for m in NUMBER.finditer(text))
    return {re.sub(r",(?=\d{3}\b)", "", n) for n in found}


def is_figure(number):
    """Whether a number in prose needs a source: not the small counts of everyday speech."""
    return "." in number or len(number) > 2


def cited(nb):
    """The ids that a notebook's prose cites."""
    text = "\n".join(c.source for c in nb.cells if c.cell_type == "markdown")
    return {i for group in CITATION.findall(text) for i in re.split(r", ?", group)}


def sourced(nb):
    """The ids that the last code cell of a notebook lists, and those shown in its other cells."""
    code = [c.source for c in nb.cells if c.cell_type == "code"]
    last = [source for source in code if source.startswith("ledger.sources(")]
    return {i for source in last for i in re.findall(r"\b[A-Z]{2}\d+\b", source)}


def figures(nb, ledger):
    """The figures that do not stand in the ledger as they are stated.

    ``ledger`` maps an id to the text of its claim. In a sentence with citations every number must
    stand in one of the claims that it cites; in one without, there may be no figure at all.
    Numbers in code spans do not count: they are settings, not findings.
    """
    faults = []
    for cell in (c for c in nb.cells if c.cell_type == "markdown"):
        text = re.sub(r"```.*?```", " ", cell.source, flags=re.DOTALL)
        text = re.sub(r"`[^`]*`|https?://\S+|\]\([^)]*\)|\bRFC \d+", " ", text)
        for sentence in SENTENCE.split(text):
            ids = [i for group in CITATION.findall(sentence) for i in re.split(r", ?", group)]
            if unknown := [i for i in ids if i not in ledger]:
                faults.append(f"{unknown} not in the ledger: {sentence!r}")
                continue
            known = set().union(*(numbers(ledger[i]) for i in ids)) if ids else set()
            stated = numbers(CITATION.sub(" ", sentence))
            for number in sorted(stated - known):
                if ids or is_figure(number):
                    faults.append(f"{number} has no source: {sentence.strip()!r}")
    return faults
