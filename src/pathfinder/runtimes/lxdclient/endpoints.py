"""LXD over the network: TLS with a client certificate, the server pinned by its fingerprint.

LXD's certificate names no address that could be checked (`localhost` only), so what is pinned is
the certificate itself, as `lxc remote add` does.
"""

import hashlib
import hmac
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

PORT: Final = 8443


class HttpsEndpoint:
    """LXD at `https://HOST:PORT`, as the client whose certificate and key are in two PEM files.

    `fingerprint` is the SHA-256 of the server's certificate in hex, as `lxc info` shows it.
    Without certificate files LXD shows only what is public: that is enough to read images.
    """

    def __init__(
        self, url: str, *, fingerprint: str, certificate_file: str = "", key_file: str = ""
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise ValueError(f"{url!r} is not an https address")
        self._address = (parts.hostname, parts.port or PORT)
        self._fingerprint = fingerprint.lower().replace(":", "")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE  # no authority signs it; `connect` compares
        if certificate_file:
            self._context.load_cert_chain(certificate_file, key_file or None)

    @property
    def host(self) -> str:
        """HOST:PORT."""
        name, port = self._address
        return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"

    def connect(self, timeout_s: float) -> socket.socket:
        """A new connection to the pinned server; OSError when there is none, or it is another."""
        plain = socket.create_connection(self._address, timeout_s)
        try:
            connection = self._context.wrap_socket(plain)
        except BaseException:
            plain.close()
            raise
        certificate = connection.getpeercert(binary_form=True) or b""
        found = hashlib.sha256(certificate).hexdigest()
        if not hmac.compare_digest(found, self._fingerprint):
            connection.close()
            raise ssl.SSLCertVerificationError(
                f"the server's certificate has fingerprint {found}, not {self._fingerprint}"
            )
        return connection

    def __str__(self) -> str:
        return f"https://{self.host}"


def fingerprint_of(pem: str) -> str:
    """The SHA-256 in hex of a certificate in PEM, which is how LXD names certificates."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
