"""Tocsin's own certificates, those of the clusters, and who is let in without any."""

from collections.abc import Sequence
from datetime import datetime

from tocsin.connect.expiry import Expiring
from tocsin.ingest.networks import banner
from tocsin.runtime.config import Config
from tocsin.runtime.doctor.finding import Finding, fault, ok, warning
from tocsin.runtime.expiry import expiring_certificates

EXPIRY, SENDERS = "certificates", "senders"


def examine(config: Config, now: datetime) -> list[Finding]:
    """Look at what expires, and at who needs no credential."""
    near = expiring_certificates(config, now)
    return [*judge_expiry(near), *judge_networks(config.webhook.allow_unauthenticated_from)]


def judge_expiry(near: Sequence[Expiring]) -> list[Finding]:
    """Return what expires soon or has expired."""
    return [
        (warning if each.state == "warning" else fault)(
            EXPIRY,
            f"{each.what} {'has expired' if each.state == 'expired' else 'expires'} on "
            f"{each.expires:%Y-%m-%d %H:%M} UTC",
            "API servers with it are refused from then on, and drop their events after minutes",
            each.mend,
        )
        for each in near
    ] or [ok(EXPIRY, "no certificate expires within 30 days")]


def judge_networks(networks: Sequence[str]) -> list[Finding]:
    """Return whether anybody is let in without a credential."""
    if not networks:
        return [ok(SENDERS, "only senders with a credential are let in")]
    said, _, mend = banner(networks).partition(". Responses are off for this cluster. ")
    why = "forged events raise false alerts, so responses are off for this cluster"
    return [warning(SENDERS, said, why, mend)]
