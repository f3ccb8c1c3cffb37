"""Certificates beside the configuration, with the place of each. Private keys are never opened."""

import re
from typing import NamedTuple

from jitsilab.errors import ParseError, Problem
from jitsilab.wire import x509

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
MOST = 20  # certificates read of one file


class Placed(NamedTuple):
    """A certificate and where it stands; ``leaf`` for the first of its file, the one a server shows as its own."""

    certificate: x509.Certificate
    place: str
    leaf: bool


def parse(text: str, name: str, problems: list[Problem]) -> list[Placed]:
    """The certificates of a PEM file, in order."""
    certificates = []
    for number, match in enumerate(list(_PEM.finditer(text))[:MOST]):
        place = f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
        try:
            certificate = x509.decode_pem(match[0].encode())[0]
            problems += [Problem(0, "certificate", 0, f"{place}: {remark}") for remark in certificate.remarks]
            certificates.append(Placed(certificate, place, number == 0))
        except ParseError:
            problems.append(Problem(0, "certificate", 0, f"{place}: not readable as a certificate"))
    return certificates
