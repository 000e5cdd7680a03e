"""What the checks of cryptography look at: a bounded sample of every table, whatever holds it.

Half of a sample is from the beginning of a table and half from its end, so that what was written
before encryption began and what was written since are both seen.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from pymongo.errors import OperationFailure, PyMongoError

from leftopen.audit.look import SYSTEM, Look
from leftopen.audit.opensearch.look import SearchLook, is_system
from leftopen.audit.postgres.look import PostgresLook
from leftopen.audit.postgres.rows import OWN
from leftopen.audit.shared import CouldNotLook

END = 150
"""Rows that are read from each end of a table."""
_MOST_TABLES = 60
_MOST_IN_LIST = 5
_LONGEST = 65_536  # bytes of a value that are looked at
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
Row = dict[str, Any]
"""One row: dotted path of a field -> its value; of a list the first few values as a list."""


@dataclass(frozen=True)
class Table:
    """A sample of one collection, table, index or file of a dump.

    Attributes:
        place: how it is named, as ``shop.people``.
        rows: the sampled rows, each once.
        read: a line that reads one column by hand, with FIELD in the column's place.
        engine: "MongoDB", "PostgreSQL", "OpenSearch" or "dump".
    """

    place: str
    rows: tuple[Row, ...] = field(repr=False)
    read: str
    engine: str

    def reading(self, name: str) -> str:
        """The line that reads this column."""
        if self.engine == "PostgreSQL":
            name = f'"{name.partition(".")[0]}"'
        return self.read.replace("FIELD", name)

    @functools.cached_property
    def columns(self) -> dict[str, list[Any]]:
        """The values of each column that are there, in the order of the rows."""
        found: dict[str, list[Any]] = {}
        for row in self.rows:
            for path, value in row.items():
                found.setdefault(path, []).extend(value if isinstance(value, list) else [value])
        return found


@functools.lru_cache(maxsize=4096)
def words(path: str) -> tuple[str, ...]:
    """The words of a field's name, in small letters: ``people.idNumber`` -> id, number."""
    return tuple(word.lower() for word in _WORDS.findall(path.rpartition(".")[2]))


def row_of(document: Mapping[str, Any]) -> Row:
    """A document as a row: inner documents by dotted paths, nothing that is empty."""
    row: Row = {}
    for path, value in _flat(document, ""):
        if value is None or value == "":
            continue
        if isinstance(value, str):
            value = str(value)  # BSON has kinds of text that cannot be compared
        if isinstance(value, bytes | str) and len(value) > _LONGEST:
            value = value[:_LONGEST]
        if path in row:
            before = row[path] if isinstance(row[path], list) else [row[path]]
            row[path] = [*before, value]
        else:
            row[path] = value
    return row


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for inner in value[:_MOST_IN_LIST]:
            yield from _flat(inner, path)
    else:
        yield path, bytes(value) if isinstance(value, memoryview | bytearray) else value


def tables(look: Any) -> list[Table]:
    """The samples of a server, read once for all checks.

    Raises:
        CouldNotLook: this login may not read, or there is no answer.
    """
    if "samples" not in look.kept:
        read = next(read for kind, read in _READERS.items() if isinstance(look, kind))
        look.kept["samples"] = [table for table in read(look) if table.rows]
    return look.kept["samples"]


def both_ends(documents: Iterable[Any]) -> list[Any]:
    """The first and the last of a stream, each once."""
    first, last = [], []
    for document in documents:
        if len(first) < END:
            first.append(document)
            continue
        last.append(document)
        if len(last) > 2 * END:
            del last[:END]
    return [*first, *last[-END:]]


# -- MongoDB ----------------------------------------------------------------------------------


def _of_mongodb(look: Look) -> Iterator[Table]:
    count = 0
    try:
        for database in sorted(look.eye.list_database_names()):
            if database in SYSTEM:
                continue
            for told in sorted(look.eye[database].list_collections(), key=lambda c: c["name"]):
                name = told["name"]
                if told["type"] != "collection" or name.startswith("system."):
                    continue
                count += 1
                if count > _MOST_TABLES:
                    return
                yield Table(
                    f"{database}.{name}",
                    tuple(map(row_of, _documents(look.eye[database][name]))),
                    f'list(client["{database}"]["{name}"].find({{}}, {{"FIELD": 1}}).limit(20))',
                    "MongoDB",
                )
    except OperationFailure as error:
        name = (error.details or {}).get("codeName", error.code)
        raise CouldNotLook(f"this login may not read every collection: {name}") from None
    except PyMongoError as error:
        raise CouldNotLook(f"the server stopped answering: {error}") from None


def _documents(collection: Any) -> list[dict]:
    first = list(collection.find().limit(END))
    if len(first) < END:
        return first
    seen = {repr(document.get("_id")) for document in first}
    last = list(collection.find().sort("$natural", -1).limit(END))
    return first + [d for d in reversed(last) if repr(d.get("_id")) not in seen]


# -- PostgreSQL -------------------------------------------------------------------------------

_TABLES = f"""
SELECT n.nspname, c.relname, CASE c.relkind WHEN 'r' THEN
    pg_relation_size(c.oid) / current_setting('block_size')::int ELSE 0 END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND {OWN} ORDER BY 1, 2
"""
_LAST_PAGES = 8


def _of_postgres(look: PostgresLook) -> Iterator[Table]:
    count = 0
    for database in look.databases:
        for schema, name, pages in look.rows(_TABLES, database):
            count += 1
            if count > _MOST_TABLES:
                return
            yield Table(
                f"{database}.{schema}.{name}",
                tuple(map(row_of, _rows(look, database, schema, name, pages))),
                f"SELECT FIELD FROM {_quoted(schema)}.{_quoted(name)} LIMIT 20",
                "PostgreSQL",
            )


def _quoted(name: str) -> str:
    return name if re.fullmatch("[a-z_][a-z0-9_]*", name) else f'"{name}"'


def _rows(look: PostgresLook, database: str, schema: str, name: str, pages: int) -> list[dict]:
    table = sql.Identifier(schema, name)
    first = sql.SQL("SELECT ctid::text, tableoid::int8, * FROM {} LIMIT {}").format(table, END)
    last = sql.SQL("{} WHERE ctid >= {}::tid ORDER BY ctid DESC LIMIT {}").format(
        sql.SQL("SELECT ctid::text, tableoid::int8, * FROM {}").format(table),
        f"({max(0, pages - _LAST_PAGES)},0)",
        END,
    )
    found: dict[tuple, dict] = {}
    for query in (first, last) if pages > 0 else (first,):
        try:
            cursor = look.connection(database).execute(query)
        except psycopg.Error as error:
            told = str(error).splitlines()[0]
            raise CouldNotLook(f"{schema}.{name} in {database} cannot be read: {told}") from None
        names = [column.name for column in cursor.description or ()][2:]
        for where, part, *values in cursor.fetchall():
            found.setdefault((part, where), dict(zip(names, values, strict=True)))
    return list(found.values())


# -- OpenSearch -------------------------------------------------------------------------------


def _of_search(look: SearchLook) -> Iterator[Table]:
    for name in [name for name in look.indices if not is_system(name)][:_MOST_TABLES]:
        hits: dict[str, dict] = {}
        for order in ("asc", "desc"):
            if order == "asc" or len(hits) == END:
                found = look.ask(f"/{name}/_search?size={END}&sort=_doc:{order}")["hits"]["hits"]
                each = enumerate(found, len(hits))
                hits |= {hit.get("_id", n): hit.get("_source", {}) for n, hit in each}
        yield Table(
            name,
            tuple(map(row_of, hits.values())),
            f"GET {name}/_search?size=20&_source=FIELD",
            "OpenSearch",
        )


_READERS: dict[type, Any] = {Look: _of_mongodb, PostgresLook: _of_postgres, SearchLook: _of_search}
