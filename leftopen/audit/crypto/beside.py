"""Checks of keys: those that lie beside what they open, and the vault of a driver's data keys.

A master key of MongoDB's drivers that is kept locally has 96 bytes, and wraps a data key with
AEAD_AES_256_CBC_HMAC_SHA_512 (draft-mcgrew-aead-aes-cbc-hmac-sha2-05, section 2.1; the first third
is the key of the HMAC): whether it is the right one shows without opening anything.
"""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bson import Binary

from leftopen.audit.checks import check
from leftopen.audit.crypto.kinds import (
    CSFLE_HEAD,
    bytes_in,
    columns,
    is_driver,
    is_random,
    private_keys_in,
)
from leftopen.audit.crypto.sample import Table, tables, words
from leftopen.audit.look import Look
from leftopen.audit.report import Finding, Severity
from leftopen.audit.roles import Account, accounts
from leftopen.audit.shared import NothingToLookAt

MASTER = 96
_SIZES = {16, 24, 32, 64, MASTER}
_KEYS = {"key", "pepper", "dek", "kek", "masterkey", "datakey", "hmackey", "aeskey"}
_NOT_KEYS = {"id", "ids", "alt", "name", "names", "public", "foreign", "primary", "material"}
_NOT_KEYS |= {"session", "cache", "idempotency", "sort", "partition", "encrypted", "sealed", "enc"}
_NOT_KEYS |= {"wrapped", "fingerprint", "hash", "checksum", "version", "stored", "server", "uuid"}


@check("X10")
def key_beside(look: Any) -> Iterator[Finding]:
    """Does a key lie beside the data?"""
    columns(look)
    vaults = vaults_of(tables(look))
    for table in tables(look):
        told: dict[str, str] = {}
        for row in table.rows:
            for name, value in row.items():
                for one in value if isinstance(value, list) else [value]:
                    if (kind := _key(name, one, row, table, vaults)) and name not in told:
                        told[name] = kind
        if told:
            name = next(iter(told))
            yield beside(
                f"{table.place}.{name}",
                "; ".join(f"{field} holds {kind}" for field, kind in told.items()),
                table.reading(name),
            )


def beside(where: str, told: str, retest: str, severity: Severity = Severity.FIX) -> Finding:
    """A key lies where the data are."""
    return Finding(
        "X10",
        severity,
        f"A key lies beside the data: {where}.",
        told,
        "Whoever takes the data takes the key with them, and the encryption is worth nothing. It "
        "helps only against those who get one without the other.",
        "CWE-312",
        "# keep the key in a key service, or in a file that only the application's account reads, "
        "on another machine and in no backup of this one\n# then make a new one: this one has "
        "been seen, also in the backups",
        retest,
    )


@dataclass(frozen=True)
class Vault:
    """A collection of a driver's data keys.

    Attributes:
        table: its sample.
        local: the wrapped data keys whose master key is kept locally.
        ids: the data keys' UUIDs, as ciphertexts name them.
    """

    table: Table
    local: tuple[bytes, ...]
    ids: frozenset[bytes]


def vaults_of(sampled: list[Table]) -> list[Vault]:
    """The key vaults among these tables."""
    found = []
    for table in sampled:
        keys = [row for row in table.rows if isinstance(row.get("keyMaterial"), bytes)]
        keys = [row for row in keys if isinstance(row.get("masterKey.provider"), str)]
        if keys:
            local = tuple(
                bytes(row["keyMaterial"])
                for row in keys
                if row["masterKey.provider"].partition(":")[0] == "local"  # or "local:name"
            )
            found.append(Vault(table, local, frozenset(map(_id, keys))))
    return found


def _id(row: dict) -> bytes:
    name = row.get("_id")
    return name.bytes if isinstance(name, UUID) else bytes(name) if isinstance(name, bytes) else b""


def opens(master: bytes, wrapped: bytes) -> bool:
    """Whether a local master key of 96 bytes wrapped this data key."""
    body, tag = wrapped[:-32], wrapped[-32:]
    made = hmac.digest(master[:32], body + bytes(8), "sha512")[:32]
    return hmac.compare_digest(made, tag)


def _key(name: str, value: Any, row: dict, table: Table, vaults: list[Vault]) -> str:
    """What kind of key a value is; empty for none."""
    if not isinstance(value, str | bytes) or len(value) < 16 or is_driver(value):
        return ""
    if kinds := private_keys_in(value):
        return kinds[0]
    raw = value.encode(errors="replace") if isinstance(value, str) else bytes(value)
    if isinstance(value, Binary) and value.subtype in (3, 4):
        return ""
    held = (bytes_in(value) if isinstance(value, str) else bytes(value)) or b""
    wrapped = [one for vault in vaults for one in vault.local]
    for master in (raw, held):  # 96 letters are a master key, too
        fits = sum(opens(master, one) for one in wrapped) if len(master) == MASTER else 0
        if fits:
            return f"the master key, which opens {fits} of the {len(wrapped)} local data keys"
    least = 32 if isinstance(value, str) else 16  # a text of 16 bytes in hex may be any name
    if len(held) in _SIZES and len(held) >= least and is_random(held) and _is_named_key(name, row):
        return f"{len(held)} drawn bytes by the name of a key"
    return ""


def _is_named_key(name: str, row: dict) -> bool:
    """Whether a field is called a key, or stands beside the word, as a setting does."""
    own = words(name)
    if set(own) & _NOT_KEYS:
        return False
    if set(own) & _KEYS or "".join(own) in _KEYS or own == ("secret",):
        return True
    if set(own) & {"value", "data", "content", "bytes", "v"}:
        labels = [v for field, v in row.items() if field != name and isinstance(v, str)]
        said = [set(words(v.replace(".", "_"))) for v in labels if len(v) <= 40]
        return any(label & _KEYS and not label & _NOT_KEYS for label in said)
    return False


@check("X11")
def vault_without_need(look: Any) -> Iterator[Finding]:
    """Does somebody read the key vault who reads nothing that its keys open?"""
    columns(look)
    vaults = vaults_of(tables(look))
    if not vaults or not isinstance(look, Look):
        raise NothingToLookAt("there is no vault of data keys")
    for vault in vaults:
        database, _, name = vault.table.place.partition(".")
        if look.inside.find == 0:
            yield _vault(
                vault, "anyone, without a login", f"find in {vault.table.place} → answered"
            )
            continue
        opened = [t.place for t in tables(look) if _opened_by(t, vault)]
        needed = [tuple(place.split(".", 1)) for place in opened]
        idle = [
            account.name
            for account in accounts(look)
            if not account.rules
            and account.name not in {look.target.user, *look.target.administrators}
            and _may(account, "find", database, name)
            and not _may(account, "insert", database, name)  # who makes keys needs no data
            and not any(_may(account, "find", *place) for place in needed)
        ]
        if idle:
            told = ", ".join(opened) or "no collection"
            yield _vault(
                vault,
                " and ".join(map(repr, idle)),
                f"usersInfo → find on {vault.table.place}; its keys open values in {told}",
            )


_READ = {"read", "readWrite", "dbOwner"}


def _may(account: Account, action: str, database: str, name: str) -> bool:
    """Whether an account may do this in a collection."""
    wide = _READ if action == "find" else _READ - {"read"}
    for grant in account.grants:
        roles = {grant.role, *grant.inherited}
        here = roles & wide and grant.database == database
        if here or roles & {f"{role}AnyDatabase" for role in wide}:
            return True
        for privilege in grant.privileges:
            place = privilege["resource"]
            fits = place.get("db") in ("", database) and place.get("collection") in ("", name)
            if action in privilege["actions"] and (fits or place.get("anyResource")):
                return True
    return False


def _opened_by(table: Table, vault: Vault) -> bool:
    return any(
        is_driver(value) and bytes(value)[1 : CSFLE_HEAD - 1] in vault.ids
        for row in table.rows
        for value in row.values()
    )


def _vault(vault: Vault, who: str, told: str) -> Finding:
    database, _, name = vault.table.place.partition(".")
    return Finding(
        "X11",
        Severity.WARN,
        f"The key vault {vault.table.place} is read by {who}, without a need.",
        told,
        "Its data keys are wrapped, so that this opens nothing by itself. Together with the master "
        "key it opens all; and what nobody needs to read nobody should.",
        "CWE-732",
        f'# a role with find on {{"db": "{database}", "collection": "{name}"}} for the accounts '
        "that decrypt, and for no other",
        f'as that account: client["{database}"]["{name}"].find_one()  # wanted: Unauthorized',
    )
