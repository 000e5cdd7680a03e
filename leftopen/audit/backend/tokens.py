"""Checks of the tokens: which of them the service accepts besides the good one.

Each is made from the token that was given (RFC 8725 lists what goes wrong with such tokens), and
sent to one route that refuses strangers. Where the key that signs them is known, the forged one
has a good signature, so that what is looked at is the service's other rules.
"""

import time
from collections.abc import Iterator
from typing import Any

from leftopen.audit.backend import forge
from leftopen.audit.backend.forge import Jwt
from leftopen.audit.backend.look import AS_CALLER, BackendLook, Visit
from leftopen.audit.checks import check
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt

SHORTEST = 32
"""Bytes of a key for HS256: as many as its hash has (RFC 7518, section 3.2)."""
_DECODE = (
    'jwt.decode(token, KEY, algorithms=["HS256"], audience="doors", issuer="https://…",\n'
    '           options={"require": ["exp", "iss", "aud", "sub"]})'
)
_HOUR = 3600


def _given(look: BackendLook) -> tuple[Visit, Jwt]:
    """A route to try at, and the token in its parts.

    Raises:
        CouldNotLook, NothingToLookAt: there is no such route, or the token is no JWT.
    """
    gate = look.gate
    try:
        token = Jwt.read(look.target.token)
    except ValueError:
        raise NothingToLookAt(
            "the token is no JSON Web Token: there is nothing to change in it"
        ) from None
    return gate, token


def _accepted(look: BackendLook, gate: Visit, token: str) -> bool:
    answer = look.ask(gate.path, token=token)
    return answer is not None and answer.ok


def _retest(look: BackendLook, gate: Visit) -> str:
    return f"{look.curl(gate.path, AS_CALLER)}  # wanted: 401"


@check("token-alg-none")
def token_alg_none(look: BackendLook) -> Iterator[Finding]:
    """Is a token accepted that says itself that it is not signed?"""
    gate, token = _given(look)
    for name in ("none", "None", "NONE"):
        if _accepted(look, gate, token.text({**token.header, "alg": name}, signature="")):
            yield Finding(
                "token-alg-none",
                Severity.FIX,
                "A token that says of itself that it is not signed is accepted.",
                f'GET {gate.path} with {{"alg": "{name}"}} and no signature → answered',
                "Anyone writes such a token, with any name and any role in it. The service must "
                "say which algorithm it takes, and not ask the token.",
                "CWE-347",
                _DECODE,
                _retest(look, gate),
            )
            return


@check("token-signature")
def token_signature(look: BackendLook) -> Iterator[Finding]:
    """Is the signature looked at?"""
    gate, token = _given(look)
    good = look.target.token
    flipped = "A" if token.signature[:1] != "A" else "B"
    forged = {
        "no signature": token.text(signature=""),
        "another signature": good.rpartition(".")[0] + "." + flipped + token.signature[1:],
        "a claim changed after it was signed": token.text(claims=_changed(token.claims)),
        "a word that is no token at all": "not-a-token",
    }
    hits = [what for what, word in forged.items() if _accepted(look, gate, word)]
    if hits:
        yield Finding(
            "token-signature",
            Severity.FIX,
            "Tokens are accepted whose signature does not fit.",
            f"GET {gate.path} with a token that has {'; or '.join(hits)} → answered",
            "The signature is all that tells a token of yours from one that somebody wrote. "
            "Without it, a token is a wish.",
            "CWE-347",
            _DECODE + "\n# and never verify_signature: False",
            _retest(look, gate),
        )


def _changed(claims: dict[str, Any]) -> dict[str, Any]:
    """The claims with something in them that does not change whose they are."""
    return {**claims, "leftopen": "audit"}


def _keys(look: BackendLook) -> Iterator[str]:
    """Keys that may have signed the token: the one given, a lab's own, and the usual words."""
    if look.target.key:
        yield look.target.key
    yield from look.secrets
    yield from forge.COMMON


def _key(look: BackendLook, token: Jwt) -> str:
    """The key that signed the token.

    Raises:
        CouldNotLook: it is not known here.
    """
    if "key" not in look.kept:
        look.kept["key"] = forge.key_of(look.target.token, _keys(look))
    if look.kept["key"] is None:
        raise CouldNotLook(
            "a token with other claims needs the key that signs it: give key, a file that holds it"
        )
    return look.kept["key"]


def _with(look: BackendLook, **claims: object) -> tuple[Visit, Jwt, bool]:
    """Whether a token is accepted that is good in all but these claims; ``None`` leaves one out.

    Raises:
        CouldNotLook: it cannot be made, or the service would refuse its like anyhow.
    """
    gate, token = _given(look)
    key = _key(look, token)
    if not _accepted(look, gate, forge.signed(token, token.claims, key)):
        raise CouldNotLook(
            "a token that this audit signed is refused, so that another is says nothing"
        )
    made = {k: v for k, v in {**token.claims, **claims}.items() if v is not None}
    return gate, token, _accepted(look, gate, forge.signed(token, made, key))


@check("token-algorithm")
def token_algorithm(look: BackendLook) -> Iterator[Finding]:
    """May the token choose the algorithm by which its signature is looked at?"""
    gate, token = _given(look)
    key = _key(look, token)
    shared = token.algorithm in forge.HMAC
    other = next(a for a in forge.HMAC if a != token.algorithm)
    public = "" if shared else forge.public_of(key)
    secrets = [key] if shared else [public, public.strip()]  # a file's last line may end, or not
    if any(_accepted(look, gate, forge.signed(token, token.claims, s, other)) for s in secrets):
        yield Finding(
            "token-algorithm",
            Severity.WARN if shared else Severity.FIX,
            "The service takes the algorithm that the token names."
            if shared
            else "A token is accepted that is signed with the public key, as if it were a secret.",
            f"GET {gate.path} with a token signed by {other}, where the service signs by "
            f"{token.algorithm} → answered",
            "Which algorithm counts is for the service to say (RFC 8725, section 3.1). Where the "
            "token says it, the weakest one that the library knows is enough."
            if shared
            else "The public key is there for everyone. So everyone can sign.",
            "CWE-347",
            _DECODE,
            _retest(look, gate),
        )


@check("token-expired")
def token_expired(look: BackendLook) -> Iterator[Finding]:
    """Is a token accepted after its time?"""
    _, token = _given(look)
    now = int(time.time())
    end = token.claims.get("exp")
    own = isinstance(end, int | float) and end < now - _HOUR
    gate, _, accepted = (look.gate, token, True) if own else _with(
        look, exp=now - _HOUR, iat=now - 2 * _HOUR if "iat" in token.claims else None
    )  # fmt: skip
    if accepted:
        yield Finding(
            "token-expired",
            Severity.FIX,
            "A token is accepted after its time.",
            f"GET {gate.path} with a token that expired an hour ago or more → answered",
            "A token that was once copied, from a log or a lost telephone, opens the door for "
            "ever.",
            "CWE-613",
            _DECODE + '\n# and no options={"verify_exp": False}',
            _retest(look, gate),
        )


@check("token-without-expiry")
def token_without_expiry(look: BackendLook) -> Iterator[Finding]:
    """Is there an end to a token at all?"""
    gate, token = _given(look)
    evidence = ""
    if "exp" not in token.claims:
        evidence = "the token that was given has no exp, and is accepted"
    elif _with(look, exp=None)[2]:
        evidence = f"GET {gate.path} with a token without exp → answered"
    if evidence:
        yield Finding(
            "token-without-expiry",
            Severity.WARN,
            "A token without an end is accepted.",
            evidence,
            "Such a token is a password that cannot be changed. With an end of minutes, a copy is "
            "worth little, and who leaves is out.",
            "CWE-613",
            'jwt.encode({**claims, "exp": int(time.time()) + 900}, KEY, "HS256")\n' + _DECODE,
            _retest(look, gate),
        )


@check("token-audience")
def token_audience(look: BackendLook) -> Iterator[Finding]:
    """Is a token accepted that was made out to another service?"""
    return _other(
        look, "aud", "another-service", "that was made out to another service", "audience"
    )


@check("token-issuer")
def token_issuer(look: BackendLook) -> Iterator[Finding]:
    """Is a token accepted that another party issued?"""
    other = "https://elsewhere.example"
    return _other(look, "iss", other, "that says another party issued it", "issuer")


def _other(look: BackendLook, claim: str, value: str, what: str, name: str) -> Iterator[Finding]:
    gate, token = _given(look)
    if claim not in token.claims:
        evidence = f"the token that was given has no {claim}, and is accepted"
    elif _with(look, **{claim: value})[2]:
        evidence = f"GET {gate.path} with a good token and {claim}: {value} → answered"
    else:
        return
    yield Finding(
        f"token-{name}",
        Severity.WARN,
        f"A token is accepted {what}."
        if claim in token.claims
        else f"Tokens do not say {'for whom they are' if claim == 'aud' else 'who issued them'}.",
        evidence,
        "Who signs for several services with one key then hands the key of each to all: a token "
        "for the cafeteria's list opens the doors' log.",
        "CWE-345",
        _DECODE,
        _retest(look, gate),
    )


@check("token-weak-key")
def token_weak_key(look: BackendLook) -> Iterator[Finding]:
    """Can the key that signs tokens be guessed? No request is needed for that."""
    _, token = _given(look)
    if token.algorithm not in forge.HMAC:
        raise NothingToLookAt(f"tokens are signed with {token.algorithm}, which has no word as key")
    word = forge.key_of(look.target.token, forge.COMMON)
    known = word or forge.key_of(look.target.token, _keys(look))
    if known is None or (word is None and len(known.encode()) >= SHORTEST):
        return
    size = len(known.encode())
    yield Finding(
        "token-weak-key",
        Severity.FIX if word else Severity.WARN,
        "The key that signs tokens is a word that everyone tries."
        if word
        else f"The key that signs tokens has {size} bytes, and should have {SHORTEST} or more.",
        f"a guess against the signature of the given token, on this machine → {word!r} fits"
        if word
        else f"the key of this lab's service → {size} bytes",
        "Each token shows the text and its signature, so a key can be guessed at home, millions of "
        "times a second. Who has it makes tokens for everyone.",
        "CWE-326" if not word else "CWE-521",
        "TOKEN_KEY=$(python -c 'import secrets; print(secrets.token_hex(32))')",
        'jwt.decode(token, key, algorithms=["HS256"])  # wanted: only with a key of your own',
    )


@check("secret-in-source")
def secret_in_source(look: BackendLook) -> Iterator[Finding]:
    """Does a secret stand in the code of the service? Of a lab's own, which can be read."""
    if look.backend is None:
        raise NothingToLookAt("the code of the service cannot be seen from here")
    if found := look.written_secrets:
        yield Finding(
            "secret-in-source",
            Severity.WARN,
            "A secret stands in the code of the service.",
            "; ".join(f"{file}, line {line}: {name} = …" for file, line, name in found),
            "Code is copied, shown, and kept in all its versions. Everyone who ever had it then "
            "has the secret, and it cannot be changed without a new version.",
            "CWE-798",
            'KEY = os.environ["TOKEN_KEY"]\n# and a new key, since the old one was written down',
            "lab.backend.read('main.py')  # wanted: no secret in it",
        )
