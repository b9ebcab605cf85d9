"""Which options of a URI contradict each other, by the driver's rules, and which mean TLS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class _Facts:
    """What the rules on contradictions look at."""

    options: Mapping[str, str]
    srv: bool
    hosts: int
    user: bool
    password: bool

    def has(self, name: str) -> bool:
        return name in self.options

    def on(self, name: str) -> bool:
        return self.options.get(name) == "true"


_INSECURE = ("tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames")
_IMPLIED_BY_INSECURE = (
    "tlsAllowInvalidCertificates",
    "tlsAllowInvalidHostnames",
    "tlsDisableOCSPEndpointCheck",
)
PASSWORD_MECHANISMS = ("DEFAULT", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256")
"""How users log in that a database knows by name and password, the one of ``authSource``."""
_EXTERNAL = ("GSSAPI", "MONGODB-AWS", "MONGODB-OIDC", "MONGODB-X509")


def check_together(
    options: tuple[tuple[str, str], ...], *, srv: bool, hosts: int, user: bool, password: bool
) -> Iterator[str]:
    """What is wrong with options of correct values in their combination."""
    facts = _Facts(dict(options), srv, hosts, user, password)
    yield from _topology_problems(facts)
    yield from _concern_problems(facts)
    yield from _tls_problems(facts)
    yield from _credential_problems(facts)


def _topology_problems(facts: _Facts) -> Iterator[str]:
    direct, balanced = facts.on("directConnection"), facts.on("loadBalanced")
    if direct and (facts.hosts > 1 or facts.srv):
        yield "combines directConnection=true with several hosts or mongodb+srv; keep one of them"
    if balanced and (facts.hosts > 1 or direct or facts.has("replicaSet")):
        yield (
            "combines loadBalanced=true with several hosts, directConnection or replicaSet; "
            "a load balancer is one host without either"
        )
    limited = facts.options.get("srvMaxHosts", "0") != "0"
    if limited and (balanced or facts.has("replicaSet")):
        yield "combines srvMaxHosts with loadBalanced or replicaSet; remove srvMaxHosts"
    if not facts.srv:
        for name in ("srvMaxHosts", "srvServiceName", "srvAllowedHostsSuffix"):
            if facts.has(name):
                yield f"has {name}, which belongs to mongodb+srv:// only; remove it"


def _concern_problems(facts: _Facts) -> Iterator[str]:
    if facts.options.get("readPreference", "primary") == "primary":
        for name in ("readPreferenceTags", "maxStalenessSeconds"):
            if facts.options.get(name, "-1") not in ("-1", ""):
                yield f"has {name}, which needs a readPreference other than primary; add one"
    if facts.on("journal") and facts.on("fsync"):
        yield "sets both journal and fsync to true; keep journal"
    if facts.options.get("w", "1").strip("0") == "" and facts.on("journal"):
        yield "combines w=0 with journal=true; use w=majority"


def _tls_problems(facts: _Facts) -> Iterator[str]:
    if facts.has("tls") and facts.has("ssl") and facts.on("tls") != facts.on("ssl"):
        yield "sets tls and ssl differently; keep tls"
    if facts.has("tlsInsecure") and any(facts.has(name) for name in _IMPLIED_BY_INSECURE):
        yield f"combines tlsInsecure with one of {', '.join(_IMPLIED_BY_INSECURE)}; keep one"
    elif facts.has("tlsAllowInvalidCertificates") and facts.has("tlsDisableOCSPEndpointCheck"):
        yield "combines tlsAllowInvalidCertificates with tlsDisableOCSPEndpointCheck; keep one"
    if facts.has("tlsCRLFile") and any(
        facts.on(name)
        for name in ("tlsInsecure", "tlsAllowInvalidCertificates", "tlsDisableOCSPEndpointCheck")
    ):
        yield "combines tlsCRLFile with an option that turns such checks off; keep one"
    switched_off = facts.options.get("tls", facts.options.get("ssl")) == "false"
    if switched_off and _implies_tls(facts.options):
        yield "sets tls=false together with other tls options; set tls=true or remove them"


def _credential_problems(facts: _Facts) -> Iterator[str]:
    mechanism = facts.options.get("authMechanism", "DEFAULT" if facts.user else None)
    if mechanism is None:
        return
    if not facts.user and mechanism not in ("MONGODB-AWS", "MONGODB-OIDC", "MONGODB-X509"):
        yield f"asks for authMechanism={mechanism}, which needs a user name: user:password@host"
    needs_password = mechanism in (*PASSWORD_MECHANISMS, "MONGODB-AWS")
    if facts.user and not facts.password and needs_password:
        yield "has a user name without a password; write user:password@host"
    if facts.password and mechanism in ("MONGODB-X509", "MONGODB-OIDC"):
        yield f"has a password, which authMechanism={mechanism} does not use; remove it"
    if mechanism in _EXTERNAL and facts.options.get("authSource", "$external") != "$external":
        yield f"needs authSource=$external (or none) for authMechanism={mechanism}"
    if mechanism == "MONGODB-OIDC":
        yield from _oidc_problems(facts)


def _oidc_problems(facts: _Facts) -> Iterator[str]:
    text = facts.options.get("authMechanismProperties", "")
    properties = dict(part.split(":", 1) for part in text.split(",") if ":" in part)
    environment = properties.get("ENVIRONMENT")
    if environment is None:
        yield "needs authMechanismProperties=ENVIRONMENT:… for authMechanism=MONGODB-OIDC"
    if environment in ("azure", "gcp") and not properties.get("TOKEN_RESOURCE"):
        yield "needs TOKEN_RESOURCE in authMechanismProperties for that ENVIRONMENT"
    if environment == "test" and facts.user:
        yield "has a user name, which the OIDC environment 'test' does not use; remove it"


def _implies_tls(options: Mapping[str, str]) -> bool:
    # As the driver does: any of these files, and any of these switches set to false.
    files = ("tlsCAFile", "tlsCRLFile", "tlsCertificateKeyFile", "tlsCertificateKeyFilePassword")
    if any(options.get(name) for name in files):
        return True
    return any(options.get(name) == "false" for name in (*_INSECURE, *_IMPLIED_BY_INSECURE))


def uses_tls(options: Mapping[str, str], *, srv: bool) -> bool:
    """Whether the driver will use TLS."""
    switch = options.get("tls", options.get("ssl"))
    if switch is None:
        return srv or _implies_tls(options)
    return switch == "true"


def turned_off_checks(options: Mapping[str, str]) -> tuple[str, ...]:
    """The options that switch off the verification of the server."""
    return tuple(name for name in _INSECURE if options.get(name) == "true")
