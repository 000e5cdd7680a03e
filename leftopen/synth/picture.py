"""The picture in the datasheet: at which hours people pass the cameras.

Run as a module, it draws it again: ``python -m leftopen.synth.picture datasets``.
"""

import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import matplotlib.pyplot as plt

from leftopen.synth.smart_city import kind_of, sample

FILE = "smart_city_hours.svg"


def scans_by_hour() -> dict[str, list[float]]:
    """Return the mean number of face scans in each hour, on a working day and at a weekend."""
    days: dict[str, set] = {"working day": set(), "weekend": set()}
    counts = {name: Counter() for name in days}
    for index, documents in sample().items():
        if kind_of(index) == "faces":
            for at in (datetime.fromisoformat(document["at"]) for document in documents):
                name = "weekend" if at.weekday() >= 5 else "working day"
                days[name].add(at.date())
                counts[name][at.hour] += 1
    return {name: [counts[name][hour] / len(days[name]) for hour in range(24)] for name in days}


def draw(folder: str | Path) -> Path:
    """Draw the picture into a folder, and return its path."""
    words = {"svg.fonttype": "none", "svg.hashsalt": "leftopen"}  # text stays text, and no chance
    with plt.style.context(["leftopen.leftopen", words]):
        fig, ax = plt.subplots()
        for name, means in scans_by_hour().items():
            (line,) = ax.step(range(24), means, where="mid")
            peak = max(range(24), key=means.__getitem__)
            ax.annotate(
                name,
                (peak, means[peak]),
                (0, 5),
                textcoords="offset points",
                ha="center",
                color=line.get_color(),
            )
        ax.set_title("On working days people leave early, and come home in the evening")
        ax.set(xlabel="hour of the day", ylabel="face scans an hour, mean", xticks=range(0, 24, 3))
        ax.margins(0.02, 0.1)
        path = Path(folder) / FILE
        fig.savefig(path, metadata={"Date": None, "Creator": None})
        plt.close(fig)
    return path


if __name__ == "__main__":
    print(draw(sys.argv[1]))
