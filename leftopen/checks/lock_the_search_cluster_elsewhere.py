"""Exercise 09: what an account may do in the indices that the first tries leave out.

A role may name any one index, so each index that is there is tried. This comes last, when
everything else is as it should be.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from opensearchpy import OpenSearch
from opensearchpy.exceptions import TransportError

from leftopen.checks.search_probe import CHANGING, IN_AN_INDEX, Tried, Who, words

_BLOCK = "index.blocks.read_only"
_NO_TYPE = {"properties": {"estate": {"type": "no_such_type"}}}

CHANGES: dict[str, Tried] = {
    **CHANGING,
    "mapping": lambda index: lambda it: it.indices.put_mapping(index=index, body=_NO_TYPE),
}
"""Changes of an index as a whole; a type that does not exist ends with 400."""


def every_index(admin: OpenSearch) -> list[str]:
    """The names of all indices that are there, in order, without those that begin with a dot."""
    return sorted(name for name in admin.indices.get_alias(index="*") if not name.startswith("."))


def rights_in(
    who: Who,
    where: str,
    indices: Iterable[str],
    ways: Mapping[str, Tried] = MappingProxyType(IN_AN_INDEX),
    wanted: Iterable[str] = (),
) -> set[str]:
    """What an account may do in some indices, beyond what is wanted, noted in one line.

    Args:
        who: the account.
        where: words for the indices, as ``"in each other index"``.
        indices: existing ones.
        ways: what is tried in each of them.
        wanted: the words of ``ways`` that are to be allowed, and are not tried.

    Returns:
        What is allowed, as ``{"search watchlist"}``.
    """
    tried = {word: way for word, way in ways.items() if word not in set(wanted)}
    can = {
        f"{w} {index}" for index in indices for w, way in tried.items() if who.allows(way(index))
    }
    _note(who, where, tried, can)
    return can


def drops(who: Who, admin: OpenSearch, where: str, indices: Iterable[str]) -> set[str]:
    """Which existing indices an account may delete, as ``{"drop faces-2019.03"}``; none is.

    The indices are locked meanwhile: the plugin looks at privileges first, so one that is allowed
    fails at the lock.
    """
    names = list(indices)
    with _locked(admin, names):
        can = {f"drop {index}" for index in names if who.allows(_drop(index))}
    _note(who, where, ["drop"], can)
    return can


def create(index: str) -> Callable[[OpenSearch], object]:
    """Try to begin an index; one without shards is never made."""
    body = {"settings": {"number_of_shards": 0}}
    return lambda client: client.indices.create(index=index, body=body)


def _note(who: Who, where: str, tried: Iterable[str], can: set[str]) -> None:
    if can:
        who.at.note(who.label, words(can), "accepted")
    else:
        who.at.note(who.label, f"{where}: {', '.join(tried)}", "refused")


@contextmanager
def _locked(admin: OpenSearch, indices: list[str]) -> Iterator[None]:
    names = ",".join(indices)
    admin.indices.put_settings(index=names, body={_BLOCK: True})
    try:
        yield
    finally:
        admin.indices.put_settings(index=names, body={_BLOCK: None})


def _drop(index: str) -> Callable[[OpenSearch], object]:
    def drop(client: OpenSearch) -> None:
        try:
            client.indices.delete(index=index)
        except TransportError as error:
            if error.error != "cluster_block_exception":  # the lock's, behind the plugin
                raise

    return drop
