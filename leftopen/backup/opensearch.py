"""A backup of OpenSearch's indices with its own means: a snapshot, in a repository of files.

The node itself writes and reads the repository, so it lies in a folder that ``path.repo`` allows.
What leaves the machine is a copy of it. (OpenSearch documentation, "Take and restore
snapshots".) Accounts and roles are not in it: they are the security plugin's files.
"""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from opensearchpy import OpenSearch
from opensearchpy.exceptions import OpenSearchException

from leftopen.backup.files import inside, new_folder
from leftopen.engines import account
from leftopen.errors import DataError
from leftopen.lab_opensearch import quiet

_SNAPSHOT = "backup"
_HEAD = "index.latest"  # every repository has it


def dump_opensearch(client: OpenSearch, indices: str, folder: Path, repositories: Path) -> Path:
    """Take a snapshot of indices, and copy it out.

    Args:
        client: who may manage snapshots.
        indices: their names, with commas, as ``"faces-*,residents"``.
        folder: the folder to make.
        repositories: the folder that the node's ``path.repo`` names.

    Returns:
        The folder.

    Raises:
        DataError: no index has such a name, the node refuses, or the disk is full; nothing is left
            behind.
    """
    with _repository(client, Path(repositories)) as (name, place), new_folder(folder) as new:
        there = client.indices.get(index=indices, allow_no_indices=True, expand_wildcards="open")
        if not there:
            raise DataError(
                f"There is nothing to dump: no index is named {indices}. A backup of nothing must "
                "not take the place of the last good one."
            )
        body = {"indices": ",".join(there), "include_global_state": False}
        told = client.snapshot.create(
            repository=name, snapshot=_SNAPSHOT, body=body, wait_for_completion=True
        )
        if told["snapshot"]["state"] != "SUCCESS":
            raise DataError(f"The snapshot is {told['snapshot']['state']}, not whole. Try again.")
        shutil.copytree(place, new, dirs_exist_ok=True)
        new.chmod(0o700)  # copytree gave it the mode of the original
    return Path(folder)


def restore_opensearch(folder: Path, client: OpenSearch, repositories: Path) -> dict[str, int]:
    """Restore all indices of :func:`dump_opensearch`. None of them may be there.

    Args:
        folder: what it made.
        client: who may manage snapshots.
        repositories: the folder that the node's ``path.repo`` names.

    Returns:
        Index -> how many documents it has now.

    Raises:
        DataError: the folder is not whole, an index is there, or the node refuses: then nothing
            of it stays.
    """
    folder = Path(folder)
    if _HEAD not in {path.name for path in inside(folder)}:
        raise DataError(f"{folder} is not the copy of a snapshot: it has no {_HEAD}.")
    with _repository(client, Path(repositories), folder) as (name, _):
        known = client.snapshot.get(repository=name, snapshot=_SNAPSHOT)["snapshots"][0]["indices"]
        there = [index for index in known if client.indices.exists(index=index)]
        if there:
            raise DataError(
                f"{', '.join(sorted(there))} is there already. Keep what is evidence, and delete "
                "it first."
            )
        try:
            told = client.snapshot.restore(
                repository=name, snapshot=_SNAPSHOT, wait_for_completion=True
            )
            if told["snapshot"]["shards"]["failed"]:
                raise DataError(f"{folder} is cut or changed. Take another copy of this dump.")
            client.indices.refresh(index=",".join(known))
            return {index: client.count(index=index)["count"] for index in sorted(known)}
        except BaseException:
            client.indices.delete(index=",".join(known), ignore_unavailable=True)
            raise


@contextlib.contextmanager
def _repository(
    client: OpenSearch, repositories: Path, content: Path | None = None
) -> Iterator[tuple[str, Path]]:
    """A repository for one backup alone, gone at the end: what stays there would be a plain copy.

    Args:
        client: who may manage snapshots.
        repositories: where it may lie.
        content: what it begins with.
    """
    name = f"leftopen-{secrets.token_hex(4)}"
    place = repositories / name
    registered = False
    try:
        if content is not None:
            shutil.copytree(content, place)
            if owner := account.for_servers():
                owner.give(place)
        with quiet():
            body = {"type": "fs", "settings": {"location": name}}
            client.snapshot.create_repository(repository=name, body=body)
            registered = True
            yield name, place
    except OpenSearchException as error:
        raise DataError(f"OpenSearch refuses: {_words(error)}.") from error
    except OSError as error:
        raise DataError(
            f"{place} could not be written: {error}. Free some space; nothing was left behind."
        ) from error
    finally:
        if registered:
            with contextlib.suppress(OpenSearchException), quiet():
                client.snapshot.delete_repository(repository=name)
        shutil.rmtree(place, ignore_errors=True)


def _words(error: OpenSearchException) -> str:
    words = str(error.args[-1] if error.args else error)
    with contextlib.suppress(AttributeError, KeyError, TypeError, IndexError):
        cause = error.info["error"]
        cause = cause.get("root_cause", [cause])[0]
        words = f"{cause['type']}: {cause['reason']}"
    return words.splitlines()[0].rstrip(".")
