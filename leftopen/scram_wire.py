"""A SCRAM-SHA-256 login as a listener finds it in the bytes, and what a guess of it costs.

MongoDB and PostgreSQL put the texts of the exchange into their messages as they are, so a search
finds them. What
follows from them is RFC 5802's: the client's proof is a key, combined bit by bit (XOR) with a
signature of all that was said. Who knows what was said can test whether a password fits, and needs
the server for nothing.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

# Base64 of 32 bytes, which is 43 signs and an equals sign (RFC 5802, section 7; RFC 7677).
_LAST = re.compile(rb"c=[A-Za-z0-9+/=]+,r=([!-+\--~]+),p=([A-Za-z0-9+/]{43}=)")
# PostgreSQL's clients leave the name empty (they said it before), and their next message begins
# with a letter, which then stands behind the nonce.
_FIRST = re.compile(rb"n=([!-+\--~]*),r=([!-+\--~]+)")


@dataclass(frozen=True)
class Exchange:
    """One login, as it passed.

    Attributes:
        account: the name that logged in; PostgreSQL's clients say it before, and leave it empty.
        rounds: how often the server wants the password hashed.
        salt: what it wants hashed along with it.
        said: what both sides said before the proof: RFC 5802's AuthMessage.
        proof: the client's proof, 32 bytes.
    """

    account: str
    rounds: int
    salt: bytes
    said: bytes
    proof: bytes

    def fits(self, password: str) -> bool:
        """Whether this password makes this proof. It asks no server.

        Args:
            password: a guess, in ASCII, so that SASLprep (RFC 4013) leaves it as it is.
        """
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), self.salt, self.rounds)
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), self.said, "sha256")
        made = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        return hmac.compare_digest(made, self.proof)


def account(name: bytes) -> str:
    """A name as SCRAM writes it, read: a comma and an equals sign are escaped (RFC 5802, 5.1)."""
    return name.decode(errors="replace").replace("=2C", ",").replace("=3D", "=")


def exchanges(sent: bytes, received: bytes) -> list[Exchange]:
    """The SCRAM-SHA-256 logins in what passed between a server and its clients, in their order.

    Args:
        sent: what clients sent, as ``tape.sent``.
        received: what the server answered, as ``tape.received``.

    Returns:
        Those of which all three texts are there: the name, the server's salt, and the proof.
    """
    begun = {}
    for name, nonce in _FIRST.findall(sent):
        begun[nonce if name else nonce[:-1]] = name  # see _FIRST
    found = []
    for last in _LAST.finditer(sent):
        asked = re.search(rb"r=" + re.escape(last[1]) + rb",s=([A-Za-z0-9+/=]+),i=(\d+)", received)
        nonce = next((n for n in begun if last[1].startswith(n)), None)
        if asked is None or nonce is None:
            continue
        first = b"n=" + begun[nonce] + b",r=" + nonce
        said = b",".join([first, asked[0], last[0].rpartition(b",p=")[0]])
        name = account(begun[nonce])
        salt, proof = base64.b64decode(asked[1]), base64.b64decode(last[2])
        found.append(Exchange(name, int(asked[2]), salt, said, proof))
    return found
