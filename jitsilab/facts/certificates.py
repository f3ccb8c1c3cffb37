"""Certificates beside the configuration: names, times, issuer. Private keys are never opened."""

import re
import warnings
from datetime import datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.utils import CryptographyDeprecationWarning

from jitsilab.errors import Problem

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
MOST = 20  # certificates read of one file


class Certificate(NamedTuple):
    """What a check asks of a certificate."""

    names: tuple[str, ...]  # DNS names of the subject alternative name, else the common name
    issuer: str
    not_before: datetime
    not_after: datetime
    self_signed: bool
    authority: bool  # basicConstraints CA
    sha256: str  # AA:BB as SDP writes fingerprints
    place: str


def read(text: str, name: str, problems: list[Problem]) -> list[Certificate]:
    """The certificates of a PEM file, in order."""
    found = []
    for match in list(_PEM.finditer(text))[:MOST]:
        place = f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
        try:
            found.append(describe(match[0].encode(), place))
        except ValueError:
            problems.append(Problem(0, "certificate", 0, f"{place}: not readable as a certificate"))
    return found


def describe(pem: bytes, place: str) -> Certificate:
    """One certificate. Raises ValueError where it cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        one = x509.load_pem_x509_certificate(pem)
    try:
        names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns = tuple(names.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        dns = tuple(str(a.value) for a in one.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME))
    try:
        authority = bool(one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (x509.ExtensionNotFound, ValueError):
        authority = False
    digest = one.fingerprint(SHA256()).hex().upper()
    return Certificate(
        dns, one.issuer.rfc4514_string(), one.not_valid_before_utc, one.not_valid_after_utc,
        one.issuer == one.subject, authority, ":".join(re.findall("..", digest)), place,
    )  # fmt: skip
