"""What a certificate says: names, validity, keys, fingerprints (RFC 5280)."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from jitsilab.errors import ParseError
from jitsilab.protocols.dtls import fingerprint

_UNREAD = (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError)
__all__ = ["Certificate", "covers", "decode", "decode_pem", "fingerprint"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate; where the encoding does not allow a field to be read, it is empty or None."""

    der: bytes = field(repr=False)
    subject: str  # RFC 4514, such as CN=example.org
    issuer: str
    serial: int
    not_before: datetime  # UTC
    not_after: datetime  # UTC
    names: tuple[str, ...]  # DNS names and addresses of subjectAltName, in order
    key: str  # such as rsa, ec secp256r1, ed25519
    key_bits: int | None
    signature_hash: str | None  # such as sha256
    authority: bool | None  # basicConstraints; None: not said
    remarks: tuple[str, ...] = ()  # what is wrong with the encoding, though it can be read

    @property
    def self_signed(self) -> bool:
        """Whether subject and issuer are the same; the signature is not verified."""
        return self.subject == self.issuer

    def fingerprint(self, algorithm: str = "sha-256") -> str:
        """Hash as SDP prints it (RFC 8122)."""
        return fingerprint(self.der, algorithm)

    def covers(self, name: str) -> bool:
        """Whether the names cover a host."""
        return covers(self.names, name)


def covers(names: Iterable[str], host: str) -> bool:
    """Whether names cover a host: the same, or a wildcard for its first label (RFC 9525 section 6.3)."""
    wanted = host.lower().rstrip(".")
    parent = wanted.partition(".")[2]
    return any(known.lower() == wanted or (parent and known.lower() == f"*.{parent}") for known in names)


def decode(der: bytes) -> Certificate:
    """Read a certificate. Raises ParseError where the bytes are none."""
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        certificate = _decoded(der)
    return replace(
        certificate, remarks=tuple(dict.fromkeys(" ".join(str(remark.message).split())[:200] for remark in remarks))
    )


def _decoded(der: bytes) -> Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        key, bits = _key(certificate)
        return Certificate(
            der=der,
            subject=certificate.subject.rfc4514_string(),
            issuer=certificate.issuer.rfc4514_string(),
            serial=certificate.serial_number,
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            names=_names(certificate),
            key=key,
            key_bits=bits,
            signature_hash=_hash(certificate),
            authority=_authority(certificate),
        )
    except (ValueError, TypeError, OverflowError, x509.InvalidVersion) as error:
        raise ParseError(f"these {len(der)} bytes are no certificate: {str(error)[:120]}") from None


def decode_pem(text: bytes) -> list[Certificate]:
    """Read the certificates of a PEM file. Raises ParseError where there is none or one is broken."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `decode` keeps them
            loaded = x509.load_pem_x509_certificates(text)
    except (ValueError, x509.InvalidVersion) as error:
        raise ParseError(f"no certificate in PEM form: {str(error)[:120]}") from None
    from cryptography.hazmat.primitives.serialization import Encoding

    return [decode(certificate.public_bytes(Encoding.DER)) for certificate in loaded]


def _key(certificate: x509.Certificate) -> tuple[str, int | None]:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return certificate.public_key_algorithm_oid.dotted_string, None
    match key:
        case rsa.RSAPublicKey():
            return "rsa", key.key_size
        case ec.EllipticCurvePublicKey():
            return f"ec {key.curve.name}", key.key_size
        case dsa.DSAPublicKey():
            return "dsa", key.key_size
        case ed25519.Ed25519PublicKey():
            return "ed25519", 256
        case ed448.Ed448PublicKey():
            return "ed448", 456
    return certificate.public_key_algorithm_oid.dotted_string, None


def _hash(certificate: x509.Certificate) -> str | None:
    try:
        algorithm = certificate.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return None
    return algorithm.name if algorithm is not None else None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except _UNREAD:
        return ()
    return tuple(str(name.value) for name in extension if isinstance(name, x509.DNSName | x509.IPAddress))


def _authority(certificate: x509.Certificate) -> bool | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except _UNREAD:
        return None
