"""The invented data of the smart-city case: residents, face scans, phones, a watchlist, alarms.

`sample` makes three months of them in memory, `later_events` what comes after, without an end,
`write` the committed sample, and `read` brings it back as `sample` gives it. Run as a module, it
writes the committed sample again: ``python -m leftopen.synth.smart_city datasets/smart_city``.
"""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from leftopen.errors import DataError
from leftopen.synth.asked import whole
from leftopen.synth.parquet import File, write_set
from leftopen.synth.register import MAX_PEOPLE, instant, make_register
from leftopen.synth.smart_days import day_events

DEFAULT_SEED = 2019
SAMPLE_PEOPLE, SAMPLE_DAYS = 400, 89
"""Size of the committed sample: 1 February to 30 April 2019."""

_FORMAT = 1  # to be raised whenever the same parameters come to give other documents
_ARROW = {
    "date": pa.timestamp("ms", tz="UTC"),
    "integer": pa.int32(),
    "boolean": pa.bool_(),
    "keyword": pa.string(),
    "text": pa.string(),
}

_DATE = {"type": "date"}
_WORD = {"type": "keyword"}
_NUMBER = {"type": "integer"}
_BOOLEAN = {"type": "boolean"}
_TEXT = {"type": "text", "fields": {"keyword": {"type": "keyword"}}}

MAPPINGS: dict[str, dict] = {
    "residents": {
        "name": _WORD,
        "idNumber": _WORD,
        "estate": _WORD,
        "flat": _WORD,
        "phoneImsi": _WORD,
        "phoneImei": _WORD,
    },
    "watchlist": {
        "name": _WORD,
        "idNumber": _WORD,
        "reason": _WORD,
        "addedOn": _DATE,
        "addedBy": _WORD,
    },
    "faces": {
        "at": _DATE,
        "camera": _WORD,
        "estate": _WORD,
        "place": _WORD,
        "note": _TEXT,
        "resident": _NUMBER,
        "name": _WORD,
        "idNumber": _WORD,
        "group": _WORD,
        "ageEstimate": _NUMBER,
        "eyesOpen": _BOOLEAN,
        "mouthOpen": _BOOLEAN,
        "mask": _BOOLEAN,
        "sunglasses": _BOOLEAN,
        "smile": _BOOLEAN,
        "beard": _BOOLEAN,
        "attractive": _NUMBER,
        "watchlistHit": _BOOLEAN,
        "reason": _WORD,
    },
    "devices": {
        "at": _DATE,
        "sensor": _WORD,
        "estate": _WORD,
        "place": _WORD,
        "mac": _WORD,
        "imsi": _WORD,
        "imei": _WORD,
    },
    "alarms": {
        "at": _DATE,
        "sensor": _WORD,
        "estate": _WORD,
        "place": _WORD,
        "kind": _WORD,
        "note": _TEXT,
    },
}
"""Kind of index -> the properties of its mapping; the kind of faces-2019.02 is faces."""


def sample(
    seed: int = DEFAULT_SEED, people: int = SAMPLE_PEOPLE, days: int = SAMPLE_DAYS
) -> dict[str, list[dict]]:
    """Return index name -> documents in order of time: the same arguments give the same ones.

    The last day is always 30 April 2019. Fewer people or fewer days give a part of what more give,
    but for the ``_id`` that each document carries. Raises DataError for impossible numbers.
    """
    days = whole("days", days, 1, SAMPLE_DAYS)
    register = make_register(_seed(seed), whole("people", people, 1, MAX_PEOPLE))
    made = [("residents", document) for document in register.residents]
    made += [("watchlist", document) for document in register.watchlist]
    for day in range(SAMPLE_DAYS - days, SAMPLE_DAYS):
        made += day_events(register, day)
    return _by_index(made)


def later_events(
    seed: int = DEFAULT_SEED, people: int = SAMPLE_PEOPLE
) -> Iterator[tuple[str, dict]]:
    """Yield (index name, document) in order of time from 1 May 2019 on, without an end.

    Raises DataError for impossible numbers.
    """
    register = make_register(_seed(seed), whole("people", people, 1, MAX_PEOPLE))
    return (
        (index_name(kind, document), document)
        for day in count(SAMPLE_DAYS)
        for kind, document in day_events(register, day)
    )


def index_name(kind: str, document: dict) -> str:
    """Return the index of a document: events stand in one for each month, as faces-2019.02."""
    return f"{kind}-{document['at'][:7].replace('-', '.')}" if "at" in document else kind


def kind_of(index: str) -> str:
    """Return the kind of an index, which has the mapping: faces for faces-2019.02."""
    return index.split("-")[0]


def write(
    folder: str | Path,
    people: int = SAMPLE_PEOPLE,
    days: int = SAMPLE_DAYS,
    seed: int = DEFAULT_SEED,
    *,
    progress: bool = True,
) -> tuple[Path, ...]:
    """Write the documents of `sample` as one Parquet file for each kind of index.

    What is there already is treated as by `leftopen.synth.parquet.write_set`. Returns the paths.

    Raises DataError for impossible numbers, a folder that cannot be written or holds files of
    these names that are not ours, and a full disk.
    """
    documents: dict[str, list[dict]] = {kind: [] for kind in MAPPINGS}
    for index, found in sample(seed, people, days).items():
        documents[kind_of(index)] += found
    tables = {kind: _table(kind, rows) for kind, rows in documents.items()}
    files = [File(f"{kind}.parquet", len(table), [table]) for kind, table in tables.items()]
    stamp = {
        "command": "leftopen data smart_city",
        "format": _FORMAT,
        "seed": seed,
        "people": people,
        "days": days,
    }
    return write_set(Path(folder), files, json.dumps(stamp), progress=progress)


def read(folder: str | Path) -> dict[str, list[dict]]:
    """Return the documents of a folder that `write` filled, as `sample` gives them.

    Raises DataError when a file is missing or cannot be read.
    """
    made = []
    for kind in MAPPINGS:
        path = Path(folder) / f"{kind}.parquet"
        try:
            rows = pq.read_table(path).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"{path} cannot be read. Run the course from a whole copy of its repository, "
                "or make the files again with `leftopen data smart_city`."
            ) from error
        made += [(kind, _told(document)) for document in rows]
    return _by_index(made)


def _table(kind: str, documents: list[dict]) -> pa.Table:
    types = {"_id": pa.int32() if kind == "residents" else pa.string()}
    types |= {name: _ARROW[told["type"]] for name, told in MAPPINGS[kind].items()}
    instants = {name for name, told in MAPPINGS[kind].items() if told is _DATE}
    columns = [
        pa.array(
            [
                datetime.fromisoformat(document[name]) if name in instants else document[name]
                for document in documents
            ],
            type=told,
        )
        for name, told in types.items()
    ]
    return pa.table(columns, schema=pa.schema(types.items()))


def _told(document: dict) -> dict:
    return {
        name: instant(value) if isinstance(value, datetime) else value
        for name, value in document.items()
    }


def _by_index(made: list[tuple[str, dict]]) -> dict[str, list[dict]]:
    """Share out (kind, document) to the indices, in the order of `MAPPINGS`, then of the months.

    Each kind of event has an index for each month, if only an empty one: alarms come every day.
    """
    events = [kind for kind, properties in MAPPINGS.items() if "at" in properties]
    months = sorted({document["at"][:7] for _, document in made if "at" in document})
    names = [kind for kind in MAPPINGS if kind not in events]
    names += [index_name(kind, {"at": month}) for kind in events for month in months]
    indices: dict[str, list[dict]] = {name: [] for name in names}
    for kind, document in made:
        indices[index_name(kind, document)].append(document)
    return indices


def _seed(seed: int) -> int:
    return whole("as a seed", seed, 0, 2**64 - 1)


if __name__ == "__main__":
    for path in write(sys.argv[1]):
        print(path)
