"""Whom to believe at the other end of a TLS connection: the system's CAs, a CA file, or a key."""

import ssl
from dataclasses import dataclass

from pathfinder.client.errors import CertificateRefused, Unreachable
from pathfinder.wire.certificate import CertificateWrong, public_key_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What makes a server the right one; without either field, the system's CAs do.

    `pin`: hex SHA-256 of the server's SubjectPublicKeyInfo, which alone is then believed.
    `ca_file`: a PEM file with the only CAs to believe.
    """

    ca_file: str = ""
    pin: str = ""

    def context(self) -> ssl.SSLContext:
        """The TLS settings; Unreachable when the CA file cannot be read."""
        if self.pin:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            # The key itself is compared after the handshake: names and dates add nothing to that.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        try:
            return ssl.create_default_context(cafile=self.ca_file or None)
        except ssl.SSLError as error:
            raise Unreachable(
                f"{self.ca_file} holds no certificate in PEM form", hint=error.reason or ""
            ) from None
        except OSError as error:
            raise Unreachable(f"cannot read the CA file {self.ca_file}: {error.strerror}") from None

    def check(self, connection: ssl.SSLSocket) -> None:
        """Whether the peer has the pinned key, when one is; CertificateRefused otherwise."""
        if not self.pin:
            return
        certificate = connection.getpeercert(binary_form=True) or b""
        try:
            found = public_key_digest(certificate)
        except CertificateWrong as error:
            raise CertificateRefused(f"the server's certificate: {error}") from None
        if found != self.pin.lower():
            raise CertificateRefused(
                f"the server's key is {found[:16]}…, and {self.pin[:16]}… is the one to trust",
                hint="if the server was set up anew, take its new pin; else somebody is in between",
            )
