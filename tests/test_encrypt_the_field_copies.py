"""Exercise 13: where copies of values and of keys are found, without a server."""

import random
import secrets
from base64 import b32encode, b64encode
from hashlib import sha256

from leftopen.checks import encrypt_the_field_copies as copies


def test_what_is_told_of_a_copy_does_not_depend_on_the_order_of_the_values():
    values = [f"person {n:02}" for n in range(50)]
    texts = [value[::-1].encode() for value in values]
    texts += [sha256(values[7].encode()).digest(), values[30].encode()]
    server = copies.Server({copies.Copy("a.b"): b" ".join(texts)})
    assert copies.told(copies.of_unique(server, values)) == "a.b"  # plain text is told first
    for order in range(5):
        mixed = random.Random(order).sample(values[:30], 30)
        assert copies.told(copies.of_unique(server, mixed)) == "a.b (reversed)"
        assert copies.told(copies.of_unique(server, set(mixed))) == "a.b (reversed)"


class Unordered:
    """A client of a server that names its collections in whatever order."""

    def __getitem__(self, _):
        return self

    def list_database_names(self):
        return ["town"]

    def list_collections(self):
        return ({"name": name, "type": "view"} for name in "cab")


def test_collections_are_read_in_the_order_of_their_names():
    names = [where for where, _ in copies._settings(Unordered())]
    assert names == ["town.a", "town.b", "town.c"]


def test_a_piece_of_a_key_is_found_in_any_writing():
    for size in (32, 96):
        key = secrets.token_bytes(size)
        for begin in range(0, size - 15, 4):
            for written in (bytes, b64encode, b32encode, bytes.hex):
                piece = written(key[begin : begin + 16])
                text = b"a note: " + (piece.encode() if isinstance(piece, str) else piece)
                assert copies.of_key(copies.Server({copies.Copy("a.b"): text}), key)
        other = copies.Server({copies.Copy("a.b"): b64encode(secrets.token_bytes(100_000))})
        assert not copies.of_key(other, key)
