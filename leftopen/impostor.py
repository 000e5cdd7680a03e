"""A false server, for a lesson: it takes the place of the right one, and hears who logs in.

It has a certificate with the right names in it, of an authority that nobody knows. It listens on
loopback alone.
"""

import base64
import binascii
import contextlib
import http.server
import ssl
import tempfile
import threading
from pathlib import Path

from leftopen import loopback
from leftopen.engines.pki import make_pki

_SECONDS = 5.0


class Impostor:
    """An HTTPS server that answers every request with "wrong password", and keeps the logins.

    Use it under ``with``, or call :meth:`close`.

    Attributes:
        uri: its address.
        heard: the logins of HTTP Basic authentication (RFC 7617) that it was sent, each as
            ``"name:password"``.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            context.load_cert_chain(make_pki(Path(folder)).server)
        self._server = http.server.ThreadingHTTPServer(
            (loopback.HERE, 0), self._handler(), bind_and_activate=False
        )
        self._server.socket.close()
        # The handshake is left to the thread of the request, so that no client holds up another.
        self._server.socket = context.wrap_socket(
            loopback.listen(), server_side=True, do_handshake_on_connect=False
        )
        self.uri = f"https://{loopback.HERE}:{self._server.socket.getsockname()[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> "Impostor":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        heard = self.heard

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = _SECONDS

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # a client that refuses the certificate hangs up
                    super().handle()

            def finish(self) -> None:
                with contextlib.suppress(OSError):
                    super().finish()

            def answer(self) -> None:
                kind, _, login = self.headers.get("Authorization", "").partition(" ")
                if kind == "Basic":
                    with contextlib.suppress(binascii.Error):
                        heard.append(base64.b64decode(login).decode(errors="replace"))
                self.send_response(401)
                self.send_header("Content-Length", "0")
                self.send_header("Connection", "close")
                self.end_headers()

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Write nothing to the notebook."""

        return Handler
