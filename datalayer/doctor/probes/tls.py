"""The TLS options of a URI, as the driver applies them, for a handshake of our own."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import time

from datalayer.settings.uri.rules import turned_off_checks

_SECONDS_A_DAY = 86_400
_WRONG_NAME = "its certificate is for another host name"

# Codes of OpenSSL's X509_verify_cert, in words.
_PROBLEMS = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: "its certificate is self-signed",
    19: "its certificate comes from an authority that is not trusted here",
    20: "its certificate comes from an authority that is not known here",
    21: "its certificate comes from an authority that is not known here",
    23: "its certificate was revoked",
    62: _WRONG_NAME,
    64: _WRONG_NAME,
}


@dataclass(frozen=True)
class TlsOptions:
    """The files of a handshake, and the options that turn off checks of the certificate."""

    ca_file: str | None = None
    certificate_file: str | None = None
    certificate_password: str = field(default="", repr=False)
    turned_off: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: Mapping[str, str]) -> TlsOptions:
        """From the options of a URI."""
        return cls(
            ca_file=options.get("tlsCAFile"),
            certificate_file=options.get("tlsCertificateKeyFile"),
            certificate_password=options.get("tlsCertificateKeyFilePassword", ""),
            turned_off=turned_off_checks(options),
        )

    def lets_pass(self, problem: str) -> bool:
        """Whether the options make the driver accept a certificate with this problem."""
        if self.turned_off == ("tlsAllowInvalidHostnames",):
            return problem == _WRONG_NAME
        return bool(self.turned_off)

    def context(self, *, verify: bool) -> ssl.SSLContext:
        """What a handshake needs.

        Raises:
            OSError: when one of the files does not hold what it should.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(self.ca_file)
        if self.certificate_file is not None:
            # A password is always given, or OpenSSL would ask for one at the terminal.
            context.load_cert_chain(self.certificate_file, password=self.certificate_password)
        return context


def explain(error: ssl.SSLCertVerificationError) -> str:
    """Why a certificate was not accepted."""
    return _PROBLEMS.get(error.verify_code, "its certificate can't be verified")


def days_left(connection: socket.socket) -> int | None:
    """Days until the server's certificate expires; ``None`` without a verified one."""
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    if not certificate:
        return None
    expires = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return int((expires - time()) // _SECONDS_A_DAY)
