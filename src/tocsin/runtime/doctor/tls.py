"""TLS to the webhook: whether the server is who the kubeconfig says it is."""

import ssl
from datetime import datetime

from cryptography import x509

from tocsin.connect.keypair import names_in
from tocsin.runtime.doctor.finding import Finding, fault, ok
from tocsin.runtime.doctor.kubeconfig import Opened

CHECK = "tls"

_WHY = "the API server refuses to send, and drops its events after some minutes"
# X509_V_ERR_* of OpenSSL.
_NOT_YET_VALID, _EXPIRED = 9, 10
_WRONG_NAME = (62, 64)
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF_WHILE_READING")


def judge_success(opened: Opened, version: str | None) -> Finding:
    """Return that the handshake worked, and what it proves."""
    if opened.target.insecure:
        return ok(CHECK, f"{version}, with a server that need not prove who it is")
    return ok(CHECK, f"{version}, and the server is the one that the kubeconfig means")


def judge(opened: Opened, error: OSError, shown: bytes | None, now: datetime) -> Finding:
    """Say why the handshake failed; `shown` is the server's certificate in DER, if there is one."""
    if isinstance(error, ssl.SSLCertVerificationError) and shown is not None:
        return _judge_certificate(opened, error, x509.load_der_x509_certificate(shown), now)
    where = opened.site.endpoint.host_port
    if isinstance(error, TimeoutError):
        what = f"{where} takes connections and says nothing: it may speak no TLS, or hang"
    elif isinstance(error, ssl.SSLError) and (error.reason or "") in _NO_TLS:
        what = f"what listens on {where} does not speak TLS"
    else:
        what = f"the TLS handshake with {where} fails: {in_words(error)}"
    mend = (
        f"see what listens there, on Tocsin's machine: ss -ltnp sport = :"
        f"{opened.site.endpoint.port}; a proxy before Tocsin has to pass TLS through"
    )
    return fault(CHECK, what, _WHY, mend)


def _judge_certificate(
    opened: Opened,
    error: ssl.SSLCertVerificationError,
    certificate: x509.Certificate,
    now: datetime,
) -> Finding:
    site, code = opened.site, error.verify_code
    if code in _WRONG_NAME:
        wanted = opened.target.tls_server_name or site.endpoint.host
        names = ", ".join(sorted(str(name.value) for name in names_in(certificate))) or "no name"
        what = f"the server's certificate is not for {wanted}; it is for {names}"
        return fault(CHECK, what, _WHY, f"on Tocsin's machine: {site.setup}")
    if code == _EXPIRED:
        ended = certificate.not_valid_after_utc
        what = f"the server's certificate has expired on {_day(ended)}; here it is {_day(now)}"
        mend = (
            f"restart `tocsin serve`, which renews its certificate, or on its machine: "
            f"{site.setup}; if the date here is wrong: timedatectl set-ntp true"
        )
        return fault(CHECK, what, _WHY, mend)
    if code == _NOT_YET_VALID:
        begins = certificate.not_valid_before_utc
        what = f"the server's certificate is valid from {_day(begins)} on; here it is {_day(now)}"
        mend = "timedatectl set-ntp true, on the machine whose `date -u` is wrong"
        return fault(CHECK, what, f"{_WHY}; one of the two clocks is wrong", mend)
    issuer = certificate.issuer.rfc4514_string()
    pinned = "the CA in the kubeconfig" if opened.ca else "a CA of the system"
    what = f"the server's certificate is not from {pinned}, but from {issuer}"
    why = f"{_WHY}: the files are from another Tocsin, or something else answers in its place"
    return fault(CHECK, what, why, f"copy pki/ca.crt of Tocsin's data folder here, or {site.anew}")


def in_words(error: Exception) -> str:
    """Return what a person can make of a failed connection."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
