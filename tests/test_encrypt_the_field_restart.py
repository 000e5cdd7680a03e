"""Exercise 13, question 4: programs that begin again, from the text of their notebook's cells."""

import pytest

from leftopen.checks.encrypt_the_field import QUESTIONS
from leftopen.checks.question import RIGHT, Attempt
from leftopen.learner import Draw

IMPORTS = """
import itertools, json, os, secrets
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

def sealer(key, nonce_for=lambda: os.urandom(12), place=lambda *place: json.dumps(place).encode()):
    box = AESGCM(key)
    def seal(text, *where):
        nonce = nonce_for()
        return nonce + box.encrypt(nonce, text.encode(), place(*where))
    return seal, lambda s, *where: box.decrypt(s[:12], s[12:], place(*where)).decode()
"""
COUNTING = """
def make(key):
    return sealer(key, lambda: {})
"""


def notebook(*cells):
    """The function that the cells of a notebook leave as ``make``."""
    names = {"__name__": "__main__", "In": ["", IMPORTS, *cells]}
    for cell in names["In"]:
        exec(compile(cell, "<cell>", "exec"), names)
    return names["make"]


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["def make(key):\n    return sealer(key)"], RIGHT),
        (["COUNT = itertools.count()", COUNTING.format("next(COUNT).to_bytes(12, 'big')")],
         "counter_restarts"),
        (["state = {'n': 0}", """
def nonce():
    state["n"] += 1
    return state["n"].to_bytes(12, "big")
make = lambda key: sealer(key, nonce)
"""], "counter_restarts"),
        (["def wrapped(nonces):\n    return lambda key: sealer(key, lambda: next(nonces))",
          "make = wrapped(n.to_bytes(12, 'big') for n in itertools.count())"], "counter_restarts"),
        (["""
def make(key, count=itertools.count(7)):
    return sealer(key, lambda: next(count).to_bytes(12, "big"))
"""], "counter_restarts"),
        (["""
class Nonces:
    used = 0
    def next(self):
        Nonces.used += 1
        return self.used.to_bytes(12, "big")
""", "nonces = Nonces()", COUNTING.format("nonces.next()")], "counter_restarts"),
        # What is drawn at each beginning keeps two runs apart.
        (["RUN, COUNT = os.urandom(8), itertools.count()",
          COUNTING.format("RUN + next(COUNT).to_bytes(4, 'big')")], RIGHT),
        # A word that was drawn once, outside: what it seals is lost with the program.
        (["PEPPER = os.urandom(8)", """
def make(key):
    return sealer(key, place=lambda *place: PEPPER + json.dumps(place).encode())
"""], "lost_at_restart"),
        (["PEPPER = b'a word'", """
def make(key):
    return sealer(key, place=lambda *place: PEPPER + json.dumps(place).encode())
"""], RIGHT),
        (["""
def make(key):
    return sealer(key, place=lambda *place: str(hash(place)).encode())
"""], "lost_at_restart"),
        # A name of the notebook that the function has for something of its own.
        (["class Server:\n    def drawn(self):\n        raise SystemError\nserver = Server()",
          "key = 'a value that a server gave'\nbox = 1\nif False:\n    key = 2",
          "def make(key):\n    return sealer(key)"], RIGHT),
        (["from collections import deque\nserver = deque([1, 2])",
          "SHIFT = server.popleft()",
          "def make(key):\n    return sealer(key, place=lambda *at: repr((SHIFT, at)).encode())"],
         RIGHT),
        (["import random\nrandom.seed(0)", COUNTING.format("random.randbytes(12)")],
         "counter_restarts"),
        (["import random\nnumbers = random.Random(42)", COUNTING.format("numbers.randbytes(12)")],
         "counter_restarts"),
        (["""
def make(key):
    version, seal, open_ = make.version, *sealer(key)
    def checked(sealed, *place):
        if sealed[:1] != version:
            raise ValueError
        return open_(sealed[1:], *place)
    return lambda *given: version + seal(*given), checked
make.version = b"1"
"""], RIGHT),
        (["import functools\ndef general(suite, key):\n    return sealer(key)",
          "make = functools.partial(general, AESGCM)"], RIGHT),
        (["class Sealer:\n    def make(self, key):\n        return sealer(key)",
          "make = Sealer().make"], RIGHT),
        (["""
class Sealer:
    count = itertools.count()
    def __call__(self, key):
        return sealer(key, lambda: next(self.count).to_bytes(12, "big"))
""", "make = Sealer()"], "counter_restarts"),
        # It begins with what others made; and a cell that is no Python is left out.
        (["rows = {}\nfor n in range(3):\n    rows[n] = n", """
def make(key):
    return sealer(key, place=lambda c, r: json.dumps([c, r, rows[1]]).encode())
"""], RIGHT),
    ],
)  # fmt: skip
def test_a_program_that_begins_again_runs_its_text_anew(cells, wanted):
    asked = QUESTIONS[4]
    make = notebook(*cells)
    for _ in range(2):  # and nothing of the first check is left for the second
        assert asked.check(Attempt(asked.task(Draw("ada", "13"))), make) == wanted


def test_a_counter_that_is_kept_in_a_file_goes_on(tmp_path):
    make = notebook(
        f"FILE = {str(tmp_path / 'count')!r}\nopen(FILE, 'w').write('0')",
        """
def nonce():
    number = int(open(FILE).read()) + 1
    open(FILE, "w").write(str(number))
    return number.to_bytes(12, "big")
""",
        "def make(key):\n    return sealer(key, nonce)",
    )
    asked = QUESTIONS[4]
    assert asked.check(Attempt(asked.task(Draw("ada", "13"))), make) == RIGHT
