"""The public key in a certificate, beside what `cryptography` finds there."""

import datetime as dt
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pathfinder.wire.certificate import CertificateWrong, public_key_digest

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def certificate_of(key: Key) -> bytes:
    """A certificate for this key, in DER form."""
    name = x509.Name([])
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=1))
    )
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
    ],
    ids=["ec", "ed25519", "rsa"],
)
def test_the_digest_is_that_of_the_public_key(key: Key) -> None:
    public_key = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    digest = public_key_digest(certificate_of(key))

    assert digest == hashlib.sha256(public_key).hexdigest()


def test_a_certificate_that_is_cut_anywhere_is_refused() -> None:
    whole = certificate_of(ec.generate_private_key(ec.SECP256R1()))

    for length in range(len(whole)):
        with pytest.raises(CertificateWrong):
            public_key_digest(whole[:length])
