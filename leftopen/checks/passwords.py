"""Whether a password would stand against the first guesses."""

import re
import string

from leftopen.checks.question import Attempt

SHORTEST = 15  # characters of a password that is used alone: NIST SP 800-63B-4, 3.1.1.2
_WORDS = """
admin administrator root password passwort letmein welcome qwerty secret changeme mongodb mongo
database sensenets workshop login test 123456
"""
KNOWN = frozenset(_WORDS.split())
# Digits alone, as secrets.token_hex writes them too, and as uuid.uuid4 does.
_NUMBER = re.compile(r"[\da-fA-F]+|[\da-fA-F]{8}(-[\da-fA-F]{4}){3}-[\da-fA-F]{12}", re.ASCII)
_FEWEST_LETTERS = 3  # that must be left when name and known words are taken out
_FEWEST_KINDS = 5  # different characters


def weakness(name: str, password: str) -> str:
    """What is wrong with a password: ``known_password``, ``short_password``, or nothing.

    Known is what the lists of guesses begin with: the account's name or a common word, with digits
    and signs around it, and one character over and over. NIST SP 800-63B-4, 3.1.1.2, asks for a
    comparison with a list of common, expected and compromised passwords; this one is short.

    Args:
        name: the account's name.
        password: the password, in clear.
    """
    rest = _without_known(name, password)
    is_number = _NUMBER.fullmatch(password) and rest == password.lower()  # may have few letters too
    few = _letters(rest) < _FEWEST_LETTERS and not is_number
    if few or len(set(password)) < _FEWEST_KINDS or password in string.digits * 3:
        return "known_password"
    return "short_password" if len(password) < SHORTEST else ""


def judge(at: Attempt, whose: str, name: str, password: str) -> str:
    """As :func:`weakness`, with what was counted as evidence.

    Args:
        at: where the evidence goes.
        whose: as ``"the administrator's password"``.
        name: the account's name.
        password: the password, in clear.
    """
    found = weakness(name, password)
    if found == "known_password":
        at.note(whose, "count its different characters", str(len(set(password))))
        left = _letters(_without_known(name, password))
        at.note(whose, "take out known names and common words", f"{left} letters are left")
    at.note(whose, "length", f"{len(password)} characters")
    return found


def _without_known(name: str, password: str) -> str:
    rest = password.lower()
    for word in sorted({name.lower(), *KNOWN}, key=len, reverse=True):
        rest = rest.replace(word, "")
    return rest


def _letters(text: str) -> int:
    return sum(sign.isalpha() for sign in text)
