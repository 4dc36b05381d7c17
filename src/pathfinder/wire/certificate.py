"""The digest by which a server's certificate is pinned: SHA-256 of its public key's DER.

A tiny walk through the certificate's ASN.1 finds the SubjectPublicKeyInfo (RFC 5280, 4.1), because
the standard library does not take certificates apart. The key and not the certificate is pinned, so
that a server may renew its certificate.
"""

import hashlib
from typing import Final

SEQUENCE: Final = 0x30
EXPLICIT_VERSION: Final = 0xA0
FIELDS_BEFORE_KEY: Final = 5  # serial number, signature, issuer, validity, subject


class CertificateWrong(Exception):
    """The bytes are no certificate."""


def public_key_digest(certificate: bytes) -> str:
    """64 hex digits for a DER certificate; CertificateWrong when it is none."""
    return hashlib.sha256(public_key(certificate)).hexdigest()


def public_key(certificate: bytes) -> bytes:
    """The DER of a DER certificate's SubjectPublicKeyInfo."""
    start, end = _content(certificate, 0, SEQUENCE)
    start, end = _content(certificate, start, SEQUENCE)
    if start < end and certificate[start] == EXPLICIT_VERSION:
        start = _after(certificate, start)
    for _ in range(FIELDS_BEFORE_KEY):
        start = _after(certificate, start)
    after = _after(certificate, start)
    if after > end or certificate[start] != SEQUENCE:
        raise CertificateWrong("no public key where one must be")
    return certificate[start:after]


def _content(data: bytes, at: int, tag: int) -> tuple[int, int]:
    """Where the value that begins at `at` has its content."""
    if at + 2 > len(data) or data[at] != tag:
        raise CertificateWrong(f"no value of kind {tag:#x} at byte {at}")
    length, start = data[at + 1], at + 2
    if length >= 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise CertificateWrong(f"a length of {count} bytes at byte {at}")
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    if start + length > len(data):
        raise CertificateWrong(f"the value at byte {at} ends after the certificate")
    return start, start + length


def _after(data: bytes, at: int) -> int:
    if at >= len(data):
        raise CertificateWrong(f"nothing at byte {at}")
    return _content(data, at, data[at])[1]
