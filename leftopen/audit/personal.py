"""How data of people are recognised: by the form of a value, and by the name of its field.

Forms: resident identity numbers have 18 places with a date in places 7 to 14 (GB 11643-1999; the
check character is not asked for, since the invented ones fail it on purpose); bank accounts carry
two check digits (ISO 13616-1, which takes ISO 7064 MOD 97-10); payment cards the Luhn digit
(ISO/IEC 7812-1).
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bson import Binary

_RESIDENT = re.compile(
    r"(?<![\w.])\d{6}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?![\w.])"
)
_MAIL = re.compile(r"(?<![\w.])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}(?!\w)")
_PHONE = re.compile(r"(?<!\w)\+\d{2}[\d ]{7,14}\d(?!\d)")
_SOCIAL = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")
_BANK = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_CARD = re.compile(r"\d{13,19}")

IN_TEXT = {
    "an 18-place identity number": _RESIDENT,
    "an e-mail address": _MAIL,
    "a phone number": _PHONE,
    "a social security number": _SOCIAL,
}
"""What can be told from the text around it, as in a log."""

NAMES = {
    "idnumber": "an identity number",
    "nationalid": "an identity number",
    "idcard": "an identity number",
    "identitynumber": "an identity number",
    "passport": "a passport number",
    "passportnumber": "a passport number",
    "ssn": "a social security number",
    "socialsecurity": "a social security number",
    "email": "an e-mail address",
    "mail": "an e-mail address",
    "phone": "a phone number",
    "phonenumber": "a phone number",
    "mobile": "a phone number",
    "iban": "a bank account",
    "cardnumber": "a payment card",
    "medicalrecord": "a medical record number",
}
"""Names of fields that identify a person, in small letters alone, and what each holds."""
PERSONS = {
    "fullname": "a name",
    "surname": "a name",
    "givenname": "a name",
    "birth": "a birthday",
    "birthdate": "a birthday",
    "birthday": "a birthday",
    "dateofbirth": "a birthday",
    "address": "an address",
}
"""Further names of fields: what few people share. In a log or a server's settings they say less."""
DEVICES_AND_GROUPS = {
    "imsi": "a phone card's number",
    "phoneimsi": "a phone card's number",
    "imei": "a phone's number",
    "phoneimei": "a phone's number",
    "mac": "a device's address",
    "macaddress": "a device's address",
    "group": "the group that a person is counted to",
    "ethnicity": "the group that a person is counted to",
    "ethnicgroup": "the group that a person is counted to",
    "religion": "a religion",
}
"""Further names of fields: what follows a person about, and what sorts people."""
_PEOPLE = {"person", "personid", "patient", "patientid", "customer", "customerid", "holder"} | {
    "userid",
    "memberid",
    "employeeid",
}


@dataclass(frozen=True)
class Identifier:
    """A field that identifies a person: its path, what it holds, in how many of the sampled."""

    field: str
    kind: str
    hits: int
    sampled: int


def kind_of(value: object) -> str:
    """What a value looks like, if it looks like an identifier; else an empty text."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    for kind, pattern in IN_TEXT.items():
        if pattern.fullmatch(text):
            return kind
    if _BANK.fullmatch(text) and _mod_97(text) == 1:
        return "a bank account"
    if isinstance(value, str) and _CARD.fullmatch(text) and _luhn(text):
        return "a payment card"
    return ""


def kinds_in(text: str) -> Counter:
    """What identifies people in a text, as a log, and how often."""
    found = {kind: len(form.findall(text)) for kind, form in IN_TEXT.items()}
    return Counter({kind: hits for kind, hits in found.items() if hits})


def told(found: Counter) -> str:
    """What :func:`kinds_in` found, in words."""
    return ", ".join(f"{kind}, {hits} times" for kind, hits in found.items())


def identifiers(
    documents: list[dict], names: Mapping[str, str] = MappingProxyType({})
) -> list[Identifier]:
    """The fields that identify people in at least half of the documents that have them.

    A value that is encrypted on the client (BSON binary) is none: that is the point of it.

    Args:
        documents: a sample.
        names: names of fields to know besides the usual ones, in small letters alone, and what
            each holds.
    """
    known = {**NAMES, **names}
    values: dict[str, list[object]] = {}
    for document in documents:
        for path, value in _flat(document, ""):
            values.setdefault(path, []).append(value)
    found = []
    for path, seen in values.items():
        kinds = [kind for value in seen if (kind := kind_of(value))]
        by_name = known.get(_plain(path.rpartition(".")[2]), "")
        if by_name and 2 * len(kinds) < len(seen):  # a few values look like something by chance
            kinds = [by_name for value in seen if isinstance(value, str | int) and value != ""]
        if kinds and 2 * len(kinds) >= len(seen):
            kind = max(sorted(set(kinds)), key=kinds.count)
            found.append(Identifier(path, kind, len(kinds), len(seen)))
    return found


def points_at_people(documents: list[dict]) -> list[str]:
    """The fields that by their names say which person a document is about."""
    return sorted({key for doc in documents for key in doc if _plain(key) in _PEOPLE})


def _flat(value: object, path: str):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for inner in value[:5]:
            yield from _flat(inner, path)
    elif not isinstance(value, Binary | bytes):
        yield path, value


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _mod_97(text: str) -> int:
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97


def _luhn(digits: str) -> bool:
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0
