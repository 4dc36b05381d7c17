"""Whom to believe at the other end of a TLS connection: the system's CAs, a CA file, or a key."""

import hashlib
import ssl
from dataclasses import dataclass

from pathfinder.client.errors import CertificateRefused, Unreachable
from pathfinder.model.errors import Malformed

SEQUENCE = 0x30
VERSION = 0xA0  # [0] EXPLICIT, absent from version 1 certificates
BEFORE_PUBLIC_KEY = 5  # serial number, algorithm, issuer, validity, subject


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
        found = public_key_digest(certificate)
        if found != self.pin.lower():
            raise CertificateRefused(
                f"the server's key is {found[:16]}…, and {self.pin[:16]}… is the one to trust",
                hint="if the server was set up anew, take its new pin; else somebody is in between",
            )


def public_key_digest(certificate: bytes) -> str:
    """Hex SHA-256 of the SubjectPublicKeyInfo of a DER certificate; Malformed when it is none."""
    try:
        _, start, end = _element(certificate, 0)
        _, position, _ = _element(certificate, start)  # TBSCertificate
        tag, _, after = _element(certificate, position)
        if tag == VERSION:
            position = after
        for _ in range(BEFORE_PUBLIC_KEY):
            _, _, position = _element(certificate, position)
        tag, _, after = _element(certificate, position)
    except IndexError:
        raise Malformed("not a certificate in DER form") from None
    if tag != SEQUENCE or after > end:
        raise Malformed("not a certificate in DER form")
    return hashlib.sha256(certificate[position:after]).hexdigest()


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """(tag, where its content begins, where it ends) of the element at `at`."""
    tag, length, start = der[at], der[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(der[start : start + size], "big")
        start += size
    if start + length > len(der):
        raise IndexError
    return tag, start, start + length
