"""Widgets of the lessons, each with a text twin that shows the same on paper."""

import contextlib
import html
import itertools
import secrets
from dataclasses import dataclass

import ipywidgets
import pandas as pd
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from leftopen import stranger
from leftopen.lab import Lab

_ACCOUNT = "explorer_app"


@dataclass(frozen=True)
class State:
    """Where the three switches of the explorer stand.

    Args:
        login: whether mongod asks for a login (``security.authorization``).
        network: whether it is reachable from everywhere (``net.bindIp``).
        encryption: whether it takes TLS connections alone (``net.tls.mode``).
    """

    login: bool = False
    network: bool = True
    encryption: bool = False

    def config(self, lab: Lab) -> str:
        """The state as the text of a mongod.conf."""
        lines = [
            "net:",
            f"  bindIp: {'0.0.0.0' if self.network else '127.0.0.1'}",
        ]
        if self.encryption:
            lines += [
                "  tls:",
                "    mode: requireTLS",
                f"    certificateKeyFile: {lab.certificates.server}",
                f"    CAFile: {lab.certificates.ca}",
                "    allowConnectionsWithoutCertificates: true",
            ]
        if self.login:
            lines += ["security:", "  authorization: enabled"]
        return "\n".join(lines)


class Explorer:
    """Three switches on a real server, and what a stranger and a listener see in each state.

    Every change restarts mongod with another configuration. In a notebook it shows itself as a
    widget; :meth:`every_state` is its text twin.

    Args:
        lab: a SenseNets lab; it is put back as it was found, and gets an account for an
            application. Other accounts stay.

    Raises:
        EngineFailed: the lab was closed.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.state = State()
        self._password = secrets.token_urlsafe(16)
        lab.configure(self.state.config(lab), replace=True)
        with MongoClient(lab.inside.uri) as client:
            with contextlib.suppress(OperationFailure):  # there is none, the first time
                client.admin.command("dropUser", _ACCOUNT)
            roles = [{"role": "read", "db": "sensenets"}]
            client.admin.command("createUser", _ACCOUNT, pwd=self._password, roles=roles)

    def set(self, state: State) -> list[stranger.Attempt]:
        """Put the server into a state, and try everything as a stranger and as a listener."""
        self.lab.configure(state.config(self.lab), replace=True)
        self.state = state
        return [*stranger.look(self.lab.outside.uri), self._listen()]

    def _listen(self) -> stranger.Attempt:
        tried = "listen to the application's traffic"
        if not self.lab.outside.is_open:
            return stranger.Attempt(tried, "nothing passes outside this machine", False)
        options: dict[str, object] = {}
        if self.state.login:
            options |= {"username": _ACCOUNT, "password": self._password}
        if self.state.encryption:
            options |= {"tls": True, "tlsCAFile": str(self.lab.certificates.ca)}
        heard = stranger.overhear(self.lab.outside, self.lab.outside.uri, options)
        answer = "a name, in clear" if heard else "bytes that mean nothing without the key"
        return stranger.Attempt(tried, answer, heard)

    def every_state(self) -> pd.DataFrame:
        """Try all eight states on the real server, and go back to the one before."""
        before, rows = self.state, []
        for login, encryption, network in itertools.product(*[(False, True)] * 2, (True, False)):
            attempts = self.set(State(login, network, encryption))
            allowed = {a.tried: a.allowed for a in attempts}
            heard = _yes(allowed["listen to the application's traffic"])
            rows.append(
                {
                    "login": "on" if login else "off",
                    "encryption": "on" if encryption else "off",
                    "network": "everyone" if network else "this machine",
                    "stranger connects": _yes(allowed["connect"]),
                    "stranger reads": _yes(allowed["read one document"]),
                    "stranger writes": _yes(allowed["write"]),
                    "listener reads": heard if network else "no traffic",
                }
            )
        self.set(before)
        return pd.DataFrame(rows)

    def _repr_mimebundle_(self, **_: object) -> dict:
        bundle = self.widget()._repr_mimebundle_()
        # Where there is no kernel, this is what is seen.
        bundle["text/plain"] = self._as_text()
        return bundle

    def _as_text(self) -> str:
        attempts = self.set(self.state)
        rows = [f"  {a.tried}: {'OPEN' if a.allowed else 'closed'} ({a.answer})" for a in attempts]
        return "\n".join([self.state.config(self.lab), "When a stranger tries to …", *rows])

    def widget(self) -> ipywidgets.VBox:
        """The switches and the answer, as one widget that can be worked by keyboard."""
        login = _switch("Login", ["off", "on"])
        network = _switch("Network", ["everyone", "this machine"])
        encryption = _switch("Encryption", ["off", "on"])
        switches = (login, network, encryption)
        answer = ipywidgets.HTML()

        def show(_: object = None) -> None:
            wanted = State(
                login.value == "on", network.value == "everyone", encryption.value == "on"
            )
            answer.value = "<p>mongod restarts …</p>"
            for switch in switches:
                switch.disabled = True
            try:
                answer.value = _as_html(wanted.config(self.lab), self.set(wanted))
            except Exception as error:  # a callback's error would otherwise be shown nowhere
                answer.value = f"<p><b>That did not work.</b> {html.escape(str(error))}</p>"
            finally:
                for switch in switches:
                    switch.disabled = False

        for switch in switches:
            switch.observe(show, "value")
        show()
        return ipywidgets.VBox([*switches, answer])


def _switch(name: str, options: list[str]) -> ipywidgets.ToggleButtons:
    return ipywidgets.ToggleButtons(
        options=options, description=name, style={"button_width": "9em"}
    )


def _yes(allowed: bool) -> str:
    return "YES" if allowed else "no"


def _as_html(config: str, attempts: list[stranger.Attempt]) -> str:
    rows = "".join(
        f"<tr><td style='padding-right:1em'>{html.escape(a.tried)}</td>"
        f"<td>{'<b>✗ open</b>' if a.allowed else '✓ closed'}</td>"
        f"<td style='padding-left:1em'>{html.escape(a.answer)}</td></tr>"
        for a in attempts
    )
    return (
        f"<pre>{html.escape(config)}</pre>"
        "<table><caption style='text-align:left'>What comes back, when a stranger tries to …"
        f"</caption>{rows}</table>"
    )
