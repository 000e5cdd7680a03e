"""MongoDB's wire protocol, as far as millions of documents need it: OP_MSG and no more.

A driver looks at each document that it sends or receives; here a group of them passes as it is. For
all else the driver is right: this knows no login, no TLS, no session and no second try. The format
is that of https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/, section "OP_MSG".
"""

import contextlib
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import bson
from bson.raw_bson import DEFAULT_RAW_BSON_OPTIONS, RawBSONDocument
from pymongo.errors import AutoReconnect, OperationFailure

from leftopen import loopback

_OP_MSG = 2013
_HEADER = struct.Struct("<iiii")  # length of the message, its number, whose answer it is, its kind
_ARRAY = 4
_SECONDS = 120.0


class Wire:
    """One connection to a mongod of this machine.

    Args:
        port: its port on 127.0.0.1.

    Raises:
        AutoReconnect: nothing answers there.
    """

    def __init__(self, port: int) -> None:
        with _told():
            self._socket = loopback.connect(loopback.HERE, port, _SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def call(self, command: Mapping[str, Any], documents: bytes = b"") -> RawBSONDocument:
        """Send a command and wait for its answer.

        Args:
            command: with the database as `$db`.
            documents: for an `insert`: documents of BSON, one after the other, 48 MB at most.

        Raises:
            OperationFailure: the server refuses the command.
            AutoReconnect: the connection is lost.
        """
        parts = b"\x00" * 4 + b"\x00" + bson.encode(command)  # no flags; the body is of kind 0
        if documents:
            name = b"documents\x00"
            parts += b"\x01" + struct.pack("<i", 4 + len(name) + len(documents)) + name
        size = _HEADER.size + len(parts) + len(documents)
        with _told():
            self._socket.sendall(_HEADER.pack(size, 1, 0, _OP_MSG) + parts)
            self._socket.sendall(documents)
            size = _HEADER.unpack(self._received(_HEADER.size))[0] - _HEADER.size
            answer = RawBSONDocument(self._received(size)[5:])
        if answer["ok"] != 1:
            raise OperationFailure(answer.get("errmsg", ""), answer.get("code"))
        return answer

    def _received(self, size: int) -> bytes:
        received = bytearray(size)
        left = memoryview(received)
        while left:
            if not (count := self._socket.recv_into(left)):
                raise ConnectionResetError("the server closed the connection")
            left = left[count:]
        return bytes(received)


class Cursor:
    """All documents of a collection in the order of `_id`, in batches that are left as they come.

    Args:
        wire: the connection.
        database: its name.
        collection: its name.
        after: the `_id` behind which to begin; None for all.
    """

    def __init__(self, wire: Wire, database: str, collection: str, after: Any = None) -> None:
        self._wire, self._database, self._collection = wire, database, collection
        self._where = {} if after is None else {"_id": {"$gt": after}}
        self._id: int | None = None
        self.is_over = False
        """Whether the server has said that no more documents follow."""

    def read(self, size: int) -> bytes:
        """The next `size` documents, or as many as there are, as an array of BSON."""
        if self.is_over:
            return bson.encode({})
        if self._id is None:
            command = {"find": self._collection, "filter": self._where, "sort": {"_id": 1}}
        else:
            command = {"getMore": bson.Int64(self._id), "collection": self._collection}
        answer = self._wire.call(command | {"batchSize": size, "$db": self._database})
        batch, self._id = _parts(bytes(answer["cursor"].raw))
        self.is_over = not self._id
        return batch


def documents_in(array: bytes) -> list[bytes]:
    """The documents of an array of BSON, one by one."""
    return [
        bytes(document.raw) for document in bson.decode(array, DEFAULT_RAW_BSON_OPTIONS).values()
    ]


def _parts(cursor: bytes) -> tuple[bytes, int]:
    """The batch of an answer, and the number of its cursor.

    A batch that is the answer's first field is taken as it is: to decode it takes as long as all
    the rest. Elsewhere, as where there is no such collection, the documents are put together again.
    """
    end = cursor.index(b"\x00", 5)
    if cursor[4] != _ARRAY or cursor[5:end] not in (b"firstBatch", b"nextBatch"):
        whole = bson.decode(cursor, DEFAULT_RAW_BSON_OPTIONS)
        batch = whole.get("firstBatch") or whole.get("nextBatch") or []
        return bson.encode({str(n): document for n, document in enumerate(batch)}), whole["id"]
    begin = end + 1
    end = begin + int.from_bytes(cursor[begin : begin + 4], "little")
    rest = struct.pack("<i", 4 + len(cursor) - end) + cursor[end:]
    return cursor[begin:end], bson.decode(rest)["id"]


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AutoReconnect(str(error)) from error
