"""A real server that is right, and what makes it wrong, for the tests and benchmark of the auditor.

The right server of a :class:`Stage` has a private authority with the right names, TLS
required, SCRAM-SHA-256 alone, loopback, an administrator with root that no application uses, and
an application with a role of its own.
"""

import contextlib
import datetime
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from leftopen import loopback
from leftopen.audit import Report, run
from leftopen.engines import mongodb
from leftopen.engines.config import delete, dump, merge, parse
from leftopen.engines.pki import make_pki
from leftopen.lab_mongodb import MongoLab

OPS = "a password of ops that nobody guesses"
APP = "a password of the shop that nobody guesses"
SHA256 = ["SCRAM-SHA-256"]
PART = [{"resource": {"db": "shop", "collection": "orders"}, "actions": ["find", "insert"]}]
PEOPLE = [
    {"name": f"Person-{n}", "idNumber": f"00010119{n + 40:02}0101{n + 100:03}4", "mail": None}
    for n in range(40)
]


def load(client: MongoClient) -> None:
    """Records that are nobody's."""
    client.shop.orders.insert_many([{"item": n, "amount": n * 3} for n in range(50)])


class Stage:
    """A right server, and what is needed to make it wrong and right again."""

    def __init__(self) -> None:
        self.lab = MongoLab("stage", "security:\n  authorization: disabled\n", load)
        try:
            self.spare = self.lab.certificates.ca.parent / "spare"
            with MongoClient(self.lab.inside.uri) as client:
                client.admin.command(
                    "createUser", "ops", pwd=OPS, roles=["root"], mechanisms=SHA256
                )
            self._text = ""
            self.reset()
        except BaseException:
            self.lab.close()
            raise

    @property
    def right(self) -> str:
        """The configuration of the right server."""
        pki = self.lab.certificates
        return (
            "net:\n  bindIp: 127.0.0.1\n  tls:\n    mode: requireTLS\n"
            f"    certificateKeyFile: {pki.server}\n    CAFile: {pki.ca}\n"
            "    allowConnectionsWithoutCertificates: true\n"
            "security:\n  authorization: enabled\n  javascriptEnabled: false\n"
        )

    def configure(self, text: str, without: tuple[str, ...] = ()) -> None:
        """The right configuration, with these settings in it and without those."""
        settings = merge(parse(self.right)[0], parse(text)[0])
        for dotted in without:
            delete(settings, tuple(dotted.split(".")))
        self._text = dump(settings)
        self.lab.configure(self._text, replace=True)

    def admin(self) -> MongoClient:
        """An administrator's client; on a server without TLS too."""
        tls = {"tls": True, "tlsInsecure": True} if "tls=true" in self.lab.inside.uri else {}
        uri = f"mongodb://127.0.0.1:{self.lab.inside.port}/?directConnection=true"
        return MongoClient(uri, username="ops", password=OPS, **tls)

    def reset(self) -> None:
        """Make the server right again, its log empty."""
        self.lab.certificates.server.chmod(0o600)
        if self._text != dump(parse(self.right)[0]):
            self.configure("")
        with self.admin() as client:
            for name in client.list_database_names():
                if name not in ("admin", "config", "local", "shop"):
                    client.drop_database(name)
            for name in client.shop.list_collection_names():
                if name not in ("orders", "system.profile"):
                    client.shop.drop_collection(name)
            client.shop.command("profile", 0, slowms=100)
            client.shop.drop_collection("system.profile")
            self._reset_accounts(client)
        os.truncate(self.lab.log, 0)

    def _reset_accounts(self, client: MongoClient) -> None:
        for user in client.admin.command("usersInfo", {"forAllDBs": True})["users"]:
            if user["user"] != "ops":
                client[user["db"]].command("dropUser", user["user"])
        client.shop.command("dropAllRolesFromDatabase")
        client.admin.command("dropAllRolesFromDatabase")
        client.shop.command("createRole", "shop_part", privileges=PART, roles=[])
        self.give(client, ["shop_part"])

    @staticmethod
    def give(client: MongoClient, roles: list, pwd: str = APP, mechanisms=SHA256) -> None:
        """Make the application's account again, with these roles."""
        with contextlib.suppress(OperationFailure):
            client.shop.command("dropUser", "shop_app")
        client.shop.command("createUser", "shop_app", pwd=pwd, roles=roles, mechanisms=mechanisms)

    def audit(self, **more: object) -> Report:
        """Audit the server as its administrator."""
        return run(self.lab, user="ops", password=OPS, **more)


# -- planting ---------------------------------------------------------------------------------


def settings(text: str, without: tuple[str, ...] = ()) -> Callable[[Stage], None]:
    """A fault that is a matter of configuration."""
    return lambda stage: stage.configure(text, without)


def roles(*names: object, pwd: str = APP, mechanisms=SHA256) -> Callable[[Stage], None]:
    """A fault in the application's account."""

    def plant(stage: Stage) -> None:
        with stage.admin() as client:
            stage.give(client, list(names), pwd, mechanisms)

    return plant


def custom_role(privileges: list, inherits: list) -> Callable[[Stage], None]:
    """The application holds a role of the learner's own, which allows too much."""

    def plant(stage: Stage) -> None:
        with stage.admin() as client:
            client.admin.command("createRole", "odd_role", privileges=privileges, roles=inherits)
            stage.give(client, [{"role": "odd_role", "db": "admin"}])

    return plant


def written(database: str, collection: str, documents: list[dict]) -> Callable[[Stage], None]:
    """A fault that lies in the data."""

    def plant(stage: Stage) -> None:
        with stage.admin() as client:
            client[database][collection].insert_many([dict(d) for d in documents])

    return plant


def no_users(stage: Stage) -> None:
    """Authorization on, and nobody there. The administrator is made again by hand."""
    stage.configure("security:\n  authorization: disabled\n")
    with stage.admin() as client:
        client.shop.command("dropAllRolesFromDatabase")  # a role closes the exception too
        client.shop.command("dropAllUsersFromDatabase")
        client.admin.command("dropAllUsersFromDatabase")
    stage.configure("")


def make_ops_again(stage: Stage) -> None:
    """What ``no_users`` took away, through the same exception."""
    uri = f"mongodb://127.0.0.1:{stage.lab.inside.port}/?directConnection=true"
    with MongoClient(uri, tls=True, tlsInsecure=True) as client:
        client.admin.command("createUser", "ops", pwd=OPS, roles=["root"], mechanisms=SHA256)


def reader_that_writes(stage: Stage) -> None:
    """An account for reports that may write."""
    with stage.admin() as client:
        client.shop.command("createUser", "report", pwd=APP, roles=["readWrite"], mechanisms=SHA256)


def guesses(stage: Stage) -> None:
    """Somebody tries a dozen passwords."""
    uri = f"mongodb://127.0.0.1:{stage.lab.inside.port}/?directConnection=true"
    for n in range(12):
        with (
            contextlib.suppress(OperationFailure),
            MongoClient(
                uri, username="ops", password=f"guess {n}", tls=True, tlsInsecure=True
            ) as client,
        ):
            client.admin.command("ping")


def _ask_for_a_person(client: MongoClient) -> None:
    client.shop.orders.find_one({"idNumber": PEOPLE[3]["idNumber"]})


def logged(stage: Stage) -> None:
    """Every command is logged, and one asks for a person."""
    with stage.admin() as client:
        client.shop.command("profile", 0, slowms=0)
        _ask_for_a_person(client)
        client.shop.command("profile", 0, slowms=100)


def profiled(stage: Stage) -> None:
    """Every command is kept, and one asks for a person."""
    with stage.admin() as client:
        client.shop.command("profile", 2)
        _ask_for_a_person(client)
        client.shop.command("profile", 0)


def certificate(make: Callable[[Path], tuple[Path, Path]]) -> Callable[[Stage], None]:
    """The server shows another certificate; clients go on to trust the right authority."""

    def plant(stage: Stage) -> None:
        server, ca = make(stage.spare)
        text = f"net:\n  tls:\n    certificateKeyFile: {server}\n"
        stage.configure(f"{text}    CAFile: {ca}\n" if ca else text)

    return plant


def of_another_authority(folder: Path) -> tuple[Path, Path | None]:
    """A certificate with the right names, of an authority that nobody trusts."""
    return make_pki(folder).server, None


def for_another_host(folder: Path) -> tuple[Path, Path | None]:
    """A certificate of a trusted authority, made out to 127.0.0.9."""
    pki = make_pki(folder, names=(), addresses=("127.0.0.9",))
    return pki.server, pki.ca


def short(seconds: float, age_days: float = 300) -> Callable[[Path], tuple[Path, Path]]:
    """A certificate that was made long ago and ends in so many seconds; it is its own authority."""

    def make(folder: Path) -> tuple[Path, Path]:
        folder.mkdir(exist_ok=True)
        now = datetime.datetime.now(datetime.UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=age_days))
            .not_valid_after(now + datetime.timedelta(seconds=seconds))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        server, ca = folder / "short.pem", folder / "short_ca.pem"
        server.touch(0o600)
        server.write_bytes(private + pem)
        ca.write_bytes(pem)
        return server, ca

    return make


@contextlib.contextmanager
def bare_mongod(text: str, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A mongod that is no lab, with these settings and the lab's other ones; yields its port."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        (folder / "data").mkdir()
        if not port:
            port = stack.enter_context(contextlib.closing(loopback.KeptPort())).number
        whole = merge(mongodb.lab_settings(folder, port), parse(text)[0])
        (folder / "mongod.conf").write_text(dump(whole))
        process = subprocess.Popen(
            [mongodb.find(), "--config", folder / "mongod.conf"], stdout=subprocess.DEVNULL
        )
        try:
            _wait_for(host, port, process)
            yield port
        finally:
            process.terminate()
            process.wait(60)


def _wait_for(host: str, port: int, process: subprocess.Popen) -> None:
    while process.poll() is None:
        try:
            loopback.connect(host, port, timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError("mongod ended before it accepted a connection")
