"""What a trace gives away: the analyses of positions and of people.

Positions are rows with the columns ``person``, ``tracker``, ``at`` (a time, UTC) and ``place``, as
`leftopen/synth/sensenets.py` makes them; people are rows with whatever columns. Each function takes
a polars or a pandas frame, and gives back frames of the same kind. All of them are deterministic:
whatever two trackers have in common is decided by the lower number.
"""

from leftopen.trace.groups import Linkage, distinct, linkage
from leftopen.trace.points import coarse, matches, unicity, unicity_table
from leftopen.trace.stays import dwell, top_places

__all__ = [
    "Linkage",
    "coarse",
    "distinct",
    "dwell",
    "linkage",
    "matches",
    "top_places",
    "unicity",
    "unicity_table",
]
