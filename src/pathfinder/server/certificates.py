"""The server's own certificate: made at `init`, and its key's digest, which nodes pin."""

import datetime as dt
import hashlib
import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pathfinder.server.files import DataDirectory, write_private
from pathfinder.server.trouble import Trouble

# Browsers and Apple's libraries refuse certificates that are valid for longer.
VALID_DAYS: Final = 825


def make_certificate(directory: DataDirectory, hosts: Sequence[str] = ()) -> bool:
    """Make a self-signed certificate for this machine unless there is one; whether it was made.

    ECDSA P-256, for localhost, this host's name, the loopback addresses, and the names and
    addresses in `hosts`; valid for 825 days.
    """
    if directory.certificate.exists() and directory.key.exists():
        return False
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Pathfinder")])
    now = dt.datetime.now(dt.UTC)
    numbers = [each for each in hosts if _is_address(each)]
    words = {"localhost", socket.gethostname(), *hosts} - {*numbers}
    names = [x509.DNSName(each) for each in sorted(words)]
    addresses = [
        x509.IPAddress(ipaddress.ip_address(each)) for each in ("127.0.0.1", "::1", *numbers)
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(directory.key, secret.decode())
    write_private(
        directory.certificate, certificate.public_bytes(serialization.Encoding.PEM).decode()
    )
    directory.certificate.chmod(0o644)
    return True


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def spki_digest(certificate: Path) -> str:
    """Hex SHA-256 of the public key of a PEM certificate, as nodes pin it; Trouble."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
    except OSError as error:
        raise Trouble(f"cannot read the certificate {certificate}: {error.strerror}") from None
    except ValueError:
        raise Trouble(f"{certificate} is not a certificate in PEM") from None
    spki = parsed.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).hexdigest()
