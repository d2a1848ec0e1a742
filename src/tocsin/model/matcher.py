"""Which alerts a silence is about: parts that all have to match.

Pure. Texts of an alert may be chosen by an attacker, so no part is a regular expression.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import msgspec

from tocsin.model.alert import SEVERITIES, Alert, Severity
from tocsin.model.errors import TocsinError

MAX_TEXT = 400
TEXT_PARTS = ("rule", "cluster", "user", "namespace", "name", "resource", "verb")


class Matcher(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    r"""Which alerts a silence hides: those that match every part; None does not restrict.

    In the texts `*` stands for any number of characters; `\*` and `\\` are the characters
    themselves.

    Attributes:
        rule: the rule's id.
        cluster: the cluster.
        user: the authenticated user, not the one it impersonates.
        namespace: the namespace of the object.
        name: the object's name.
        resource: the resource with its subresource, such as `pods/exec`.
        verb: the verb.
        network: a network such as `10.0.0.0/8` that all of the request's addresses lie in.
        severity: the highest severity that is hidden.
    """

    rule: str | None = None
    cluster: str | None = None
    user: str | None = None
    namespace: str | None = None
    name: str | None = None
    resource: str | None = None
    verb: str | None = None
    network: str | None = None
    severity: Severity | None = None

    def parts(self) -> dict[str, str]:
        """Return the parts that restrict, by name."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value}

    @property
    def words(self) -> str:
        """The matcher as people read it: `rule is abc, user is ci-*`."""
        parts = self.parts()
        severity = parts.pop("severity", None)
        words = [f"{name} {'in' if name == 'network' else 'is'} {parts[name]}" for name in parts]
        return ", ".join([*words, *([f"severity at most {severity}"] if severity else [])])


def matcher_of(parts: Mapping[str, str | None]) -> Matcher:
    """Return the matcher that some parts make; empty ones are left out.

    Raises:
        TocsinError: there is no such severity.
    """
    given = {name: value for name, value in parts.items() if value}
    try:
        return msgspec.convert(given, Matcher)
    except msgspec.ValidationError as error:
        message = f"severity {given.get('severity')!r} is not one of {', '.join(SEVERITIES)}"
        raise TocsinError(message) from error


def check(matcher: Matcher) -> None:
    """Refuse a matcher that would match everything, or means nothing.

    Raises:
        TocsinError: with what is wrong and what to do.
    """
    parts = matcher.parts()
    narrowing = {
        name
        for name, value in parts.items()
        if value != ("critical" if name == "severity" else "*" * len(value))
    }
    if not narrowing:
        message = "a silence needs at least one part that does not match everything"
        raise TocsinError(message)
    if any(len(value) > MAX_TEXT for value in parts.values()):
        message = f"a part of a silence has at most {MAX_TEXT} characters"
        raise TocsinError(message)
    if matcher.network is not None:
        try:
            _network(matcher.network)
        except ValueError as error:
            message = f"{matcher.network!r} is no network such as 10.0.0.0/8: {error}"
            raise TocsinError(message) from error


def hides(matcher: Matcher, alert: Alert) -> bool:
    """Return whether a silence with this matcher hides an alert.

    Critical alerts, and those about Tocsin itself, are hidden only where the rule's id is given
    in full.
    """
    protected = alert.rule.severity == "critical" or alert.rule.dialect == "tocsin"
    if protected and not (matcher.rule and literal(matcher.rule)):
        return False
    target = alert.target
    resource = "/".join(filter(None, (target.resource, target.subresource)))
    texts = (
        (matcher.rule, alert.rule.id),
        (matcher.cluster, alert.cluster),
        (matcher.user, alert.actor.user),
        (matcher.namespace, target.namespace),
        (matcher.name, target.name),
        (matcher.resource, resource),
        (matcher.verb, target.verb),
    )
    return (
        all(not wanted or (found and _fits(wanted, found)) for wanted, found in texts)
        and (not matcher.network or _within(matcher.network, alert.actor.source_ips))
        and (not matcher.severity or _rank(alert.rule.severity) <= _rank(matcher.severity))
    )


def escape(text: str) -> str:
    """Return the pattern that matches this text alone."""
    return text.replace("\\", "\\\\").replace("*", "\\*")


def literal(pattern: str) -> str | None:
    """Return the one text that a pattern without wildcards matches, else None."""
    text, *others = _pieces(pattern)
    return None if others else text


def proposal(alert: Alert) -> Matcher:
    """Return the matcher that an alert suggests: the like of it, and as little else as can be."""
    target = alert.target
    return Matcher(
        rule=escape(alert.rule.id),
        cluster=escape(alert.cluster),
        user=escape(alert.actor.user or "") or None,
        namespace=escape(target.namespace or "") or None,
        name=None if target.namespace else escape(target.name or "") or None,
    )


def _fits(pattern: str, text: str) -> bool:
    """Return whether a text matches; takes time in proportion to pattern and text."""
    first, *rest = _pieces(pattern)
    if not rest:
        return text == first
    *middle, last = rest
    if len(text) < len(first) + len(last) or not text.startswith(first):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return text.endswith(last)


@lru_cache(4096)
def _pieces(pattern: str) -> tuple[str, ...]:
    """Return what stands between the wildcards, with escapes undone."""
    pieces, piece, at = [], "", 0
    while at < len(pattern):
        if pattern[at] == "\\" and pattern[at + 1 : at + 2] in ("*", "\\"):
            at += 1
            piece += pattern[at]
        elif pattern[at] == "*":
            pieces.append(piece)
            piece = ""
        else:
            piece += pattern[at]
        at += 1
    return (*pieces, piece)


@lru_cache(1024)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text, strict=False)


def _within(network: str, addresses: Iterable[str]) -> bool:
    """Return whether there are addresses and all lie in a network.

    A client can add addresses to a request's, in a header, but take none away.
    """
    try:
        found = [ip_address(address) for address in addresses]
    except ValueError:
        return False
    return bool(found) and all(address in _network(network) for address in found)


def _rank(severity: Severity) -> int:
    return SEVERITIES.index(severity)
