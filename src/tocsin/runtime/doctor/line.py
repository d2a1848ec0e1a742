"""The line from here to Tocsin's webhook, step by step as an API server takes it.

Name, port, TLS, and a post of an empty list of events, which Tocsin answers as it answers a
batch. The first step that fails ends the walk: nothing behind it can work.
"""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tocsin import __version__
from tocsin.connect.clienttls import client_context
from tocsin.connect.names import Endpoint
from tocsin.runtime.doctor import answer, clock, tls
from tocsin.runtime.doctor.answer import Answer
from tocsin.runtime.doctor.finding import Finding, fault, ok, skipped, warning
from tocsin.runtime.doctor.kubeconfig import Opened
from tocsin.runtime.doctor.limits import call_within
from tocsin.runtime.doctor.site import Site

DNS, PORT = "dns", "port"
STEPS = (DNS, PORT, tls.CHECK, answer.CHECK, clock.CHECK)

EMPTY_LIST = json.dumps(
    {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": []}
).encode()

_DNS_SECONDS = 4.0
_CONNECT_SECONDS = 4.0
_ANSWER_SECONDS = 5.0
_HEADER_SECONDS = 2.0
_NOTHING_ARRIVES = "no event can arrive"


def walk(site: Site, opened: Opened | None, now: Callable[[], float] = time.time) -> list[Finding]:
    """Return what each step found; `opened` is None where the kubeconfig's files are no good."""
    found = list(_walk(site, opened, now))
    reached = {finding.check for finding in found}
    missing = [step for step in STEPS if step not in reached]
    return found + [skipped(step, "the line is broken before it") for step in missing]


def _walk(site: Site, opened: Opened | None, now: Callable[[], float]) -> Iterator[Finding]:
    name = _resolve(site)
    yield name
    if name.state == "fault":
        return
    try:
        connection = _connect(site.endpoint)
    except OSError as error:
        yield judge_port(site, error)
        return
    with closing(connection):
        yield ok(PORT, f"{site.endpoint.host_port} is open")
        if opened is None:
            return
        try:
            secured = _handshake(connection, opened, verify=not opened.target.insecure)
        except OSError as error:
            yield tls.judge(opened, error, _shown(opened), datetime.fromtimestamp(now(), UTC))
            return
    with closing(secured):
        yield tls.judge_success(opened, secured.version())
        sent = _post(secured, opened, now)
    yield answer.judge(opened, sent)
    if isinstance(sent, Answer) and sent.skew is not None:
        yield clock.judge_answer(sent.skew)


def _resolve(site: Site) -> Finding:
    host = site.endpoint.host
    try:
        found = call_within(_DNS_SECONDS, lambda: _addresses(site.endpoint))
    except (OSError, UnicodeError) as error:
        return judge_name(site, error)
    if site.endpoint.is_cluster_service:
        return warning(
            DNS,
            f"{host} is a service of the cluster",
            "API servers use the node's DNS, which usually does not know it",
            "give an IP address, a load balancer or a node port: "
            "tocsin setup --advertise HOST:PORT",
        )
    if host in found:
        return ok(DNS, f"{host} is an address, there is no name to look up")
    return ok(DNS, f"{host} is {', '.join(found)}")


def judge_name(site: Site, error: Exception) -> Finding:
    """Say why a name was not found."""
    host = site.endpoint.host
    reason = (
        f"no answer within {_DNS_SECONDS:g} s"
        if isinstance(error, TimeoutError)
        else getattr(error, "strerror", None) or str(error)
    )
    why = _NOTHING_ARRIVES
    if site.endpoint.is_cluster_service:
        why += ": API servers use the node's DNS, which does not know services of the cluster"
    mend = f"getent hosts {host}; or give an address: tocsin setup --advertise ADDRESS:PORT"
    return fault(DNS, f"the name {host} is not found: {reason}", why, mend)


def _addresses(endpoint: Endpoint) -> list[str]:
    found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    return sorted({str(address[0]) for *_, address in found})


def _connect(endpoint: Endpoint) -> socket.socket:
    return socket.create_connection((endpoint.host, endpoint.port), _CONNECT_SECONDS)


def judge_port(site: Site, error: OSError) -> Finding:
    """Say why there was no connection."""
    where, port = site.endpoint.host_port, site.endpoint.port
    if isinstance(error, ConnectionRefusedError):
        return fault(
            PORT,
            f"{where} refuses connections",
            f"{_NOTHING_ARRIVES}: Tocsin is not running there, or listens on another address "
            "(by default on 127.0.0.1 only) or port",
            f"on Tocsin's machine: tocsin serve --host 0.0.0.0 --port {port}",
        )
    if isinstance(error, TimeoutError):
        return fault(
            PORT,
            f"{where} does not answer within {_CONNECT_SECONDS:g} s",
            f"{_NOTHING_ARRIVES}: a firewall drops the connection, or nobody has this address",
            f"let TCP port {port} through from the control-plane nodes to Tocsin's machine",
        )
    reason = error.strerror or str(error)
    mend = "check the routes of this node, and the address in `server:`"
    return fault(PORT, f"{where} cannot be reached: {reason}", _NOTHING_ARRIVES, mend)


def _handshake(connection: socket.socket, opened: Opened, *, verify: bool) -> ssl.SSLSocket:
    context = client_context(opened.target, verify=verify)
    name = opened.target.tls_server_name or opened.site.endpoint.host
    return context.wrap_socket(connection, server_hostname=name)


def _shown(opened: Opened) -> bytes | None:
    """Return the certificate that the server shows to whoever does not verify it, in DER."""
    try:
        with (
            _connect(opened.site.endpoint) as connection,
            _handshake(connection, opened, verify=False) as secured,
        ):
            return secured.getpeercert(binary_form=True)
    except OSError:
        return None


def _post(secured: ssl.SSLSocket, opened: Opened, now: Callable[[], float]) -> Answer | Exception:
    """Post an empty list; return the answer, or what came instead of one."""
    secured.settimeout(_ANSWER_SECONDS)
    endpoint = opened.site.endpoint
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port)
    connection.sock = secured
    headers = {"Content-Type": "application/json", "User-Agent": f"tocsin-doctor/{__version__}"}
    if opened.token:
        headers["Authorization"] = f"Bearer {opened.token}"
    began, started = now(), time.perf_counter()
    try:
        connection.request("POST", _marked(opened.site.path), EMPTY_LIST, headers)
        response = connection.getresponse()
        body = response.read(answer.MAX_BODY)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return error
    seconds = time.perf_counter() - started
    return Answer(
        status=response.status,
        body=body,
        location=response.getheader("Location"),
        seconds=seconds,
        skew=_skew(response.getheader("Date"), began, began + seconds),
    )


def _marked(path: str) -> str:
    """Return the path with the mark of what is sent afterwards.

    A post of ours must not count as a sign of life of the API server, which may be silent.
    """
    return f"{path}{'&' if '?' in path else '?'}source=backfill"


def _skew(date: str | None, began: float, ended: float) -> float | None:
    """Return by how many seconds the clock of this machine is ahead of the server's.

    The header is up to two seconds old: it has whole ones, and servers make it once a second.
    Anything that both clocks may mean counts as none.
    """
    try:
        stamp = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    theirs = (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()
    return max(0.0, began - theirs - _HEADER_SECONDS) + min(0.0, ended - theirs)
