"""Notice when a token is used from elsewhere than where it was requested.

The API server names each token that it issues, and names it again on every request that is made
with it: who asked for a token and who uses it is no guess. Kubelets request the tokens of their
pods, and programs in pods those of others as their job: these are used elsewhere by design, so
only what people, and identities outside of a pod, request is remembered.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec

from tocsin.attack.catalog import catalog
from tocsin.detect.build import AlertBuilder, Content, Texts, reference
from tocsin.detect.times import seconds
from tocsin.model.alert import Alert
from tocsin.model.errors import Location
from tocsin.model.event import NO_OBJECT, NO_STATUS, NO_USER, AuditEvent, RawMap, User
from tocsin.rules.ir import AnyOf, Rule
from tocsin.rules.template import fill

# Tokens remembered, of all clusters; about 5 MB.
MAX_TOKENS = 10_000
# By default no token is good for longer; who asks for more is told of by a rule.
LIFE_SECONDS = 86_400.0
# Addresses of one token that are told one by one.
_MAX_ADDRESSES = 8

_ISSUED = "authentication.kubernetes.io/issued-credential-id"
_USED = "authentication.kubernetes.io/credential-id"
_POD = "authentication.kubernetes.io/pod-name"
_ACCOUNT = "system:serviceaccount:{}:{}"
_CREATED = 201
_VERSION = 1

RULE = Rule(
    id="tocsin-token-used-elsewhere",
    title="Token used from elsewhere than where it was requested",
    dialect="tocsin",
    severity="high",
    level="high",
    match=AnyOf(()),
    at=Location("tocsin/detect/minted.py"),
    message="a token of $(user.username) that $(minter) requested from $(minted_from) was used "
    "from $(used_from)",
    fields=("minter", "minted_from", "used_from"),
    attack=tuple(catalog().technique(one) for one in ("T1528", "T1550.001")),
    catalogue=("token-issued-then-used-elsewhere",),
    needs="Metadata",
)


class Minted(msgspec.Struct, array_like=True):
    """A token: who requested it, from where and when.

    `told` holds the addresses it was used from besides, and the first request from each.
    """

    minter: str
    addresses: tuple[str, ...]
    time: float
    told: dict[str, str]


class _State(msgspec.Struct, frozen=True, array_like=True):
    version: int
    tokens: list[tuple[str, str, str, Minted]]


_Key = tuple[str, str, str]
"""Cluster, account and name of a token."""

_decode = msgspec.json.Decoder(dict[str, str | list[str]]).decode


class MintedTokens:
    """The tokens that were requested lately; feed it every event, in order.

    `evictions` counts tokens that were forgotten for want of room.
    """

    name = "minted"

    def __init__(self, max_tokens: int = MAX_TOKENS) -> None:
        self._tokens: OrderedDict[_Key, Minted] = OrderedDict()
        # How many tokens of an account are remembered: most accounts have none.
        self._accounts: dict[tuple[str, str], int] = {}
        self._max_tokens = max_tokens
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._tokens)

    def used_elsewhere(
        self, events: Iterable[AuditEvent], cluster: str
    ) -> Sequence[tuple[int, Minted]]:
        """Return the indices of uses from an address that is new for the token, and the token."""
        found = []
        for index, event in enumerate(events):
            ref = event.object_ref
            if ref is not None and ref.subresource == "token" and event.verb == "create":
                self._remember(event, cluster)
            if self._accounts:
                token = self._used(event, cluster)
                if token is not None and self._is_news(token, event):
                    found.append((index, token))
        return found

    def _remember(self, event: AuditEvent, cluster: str) -> None:
        issued = _texts_at(event.annotations, _ISSUED)
        code = (event.response_status or NO_STATUS).code
        user, ref = event.user or NO_USER, event.object_ref or NO_OBJECT
        if code != _CREATED or not issued or _requests_for_others(user):
            return
        account = _ACCOUNT.format(ref.namespace, ref.name)
        key = (cluster, account, issued[0])
        if key in self._tokens:
            return
        time = seconds(event.request_received_timestamp)
        addresses = tuple(event.source_ips or ())
        self._add(key, Minted(user.username or "", addresses, time, {}))

    def _add(self, key: _Key, token: Minted) -> None:
        self._tokens[key] = token
        self._accounts[key[:2]] = self._accounts.get(key[:2], 0) + 1
        oldest = next(iter(self._tokens.values()))
        if len(self._tokens) > self._max_tokens:
            self.evictions += 1
            self._forget()
        elif token.time - oldest.time > LIFE_SECONDS:
            self._forget()

    def _forget(self) -> None:
        """Forget the token that was requested first."""
        key, _ = self._tokens.popitem(last=False)
        left = self._accounts[key[:2]] - 1
        if left:
            self._accounts[key[:2]] = left
        else:
            del self._accounts[key[:2]]

    def _used(self, event: AuditEvent, cluster: str) -> Minted | None:
        """Return the remembered token that a request was made with."""
        user = event.user
        if user is None or user.username is None or not user.extra:
            return None
        if (cluster, user.username) not in self._accounts:
            return None
        names = _texts_at(user.extra, _USED)
        return self._tokens.get((cluster, user.username, names[0])) if names else None

    def _is_news(self, token: Minted, event: AuditEvent) -> bool:
        """Return whether an address of the request is new for the token, and note them.

        A client can add addresses to its own, in a header, but take none away. The same request
        again has the same answer.
        """
        request = f"{event.audit_id} {event.request_received_timestamp}"
        unknown = [
            address
            for address in event.source_ips or ()
            if address not in token.addresses and token.told.get(address, request) == request
        ]
        if not unknown or len(token.told) >= _MAX_ADDRESSES:
            return bool(unknown) and unknown[0] in token.told
        token.told.update(dict.fromkeys(unknown[:_MAX_ADDRESSES], request))
        return True

    def save(self) -> bytes:
        """Return what is remembered, for `restore`."""
        tokens = [(*key, token) for key, token in self._tokens.items()]
        return msgspec.msgpack.encode(_State(_VERSION, tokens))

    def restore(self, saved: bytes) -> None:
        """Take over what was remembered.

        Raises:
            ValueError: it is of another version, or damaged.
        """
        state = msgspec.msgpack.decode(saved, type=_State)
        if state.version != _VERSION:
            message = f"saved by another version ({state.version})"
            raise ValueError(message)
        self._tokens.clear()
        self._accounts.clear()
        for cluster, account, name, token in state.tokens:
            self._add((cluster, account, name), token)


class MintedForm:
    """The alert on the use of one token."""

    def __init__(self, token: Minted, builder: AlertBuilder) -> None:
        self._token = token
        self._builder = builder

    def build(self, event: AuditEvent, raw: bytes, cluster: str) -> Alert:
        """Return the alert on the request that `event` is a stage of."""
        texts: Texts = {
            "minter": [self._token.minter],
            "minted_from": self._token.addresses,
            "used_from": list(event.source_ips or ()),
            "user.username": [(event.user or NO_USER).username or ""],
        }
        content = Content(texts, RULE.fields, _describe)
        return self._builder.build(_REFERENCE, content, event, raw, cluster)


_REFERENCE = reference(RULE)


def _describe(texts: Texts) -> str:
    return fill(RULE.message, texts.__getitem__)


def _requests_for_others(user: User) -> bool:
    """Return whether somebody requests tokens for others to use, as its job.

    The group and the claim cannot be chosen: certificates of nodes are approved as such, and the
    API server itself puts the claim into the tokens of pods.
    """
    is_node = (user.username or "").startswith("system:node:") and "system:nodes" in (
        user.groups or ()
    )
    return is_node or bool(_texts_at(user.extra, _POD))


def _texts_at(raw: RawMap, key: str) -> list[str]:
    """Return the text, or the texts, under a key of an object with free keys."""
    try:
        found = _decode(raw).get(key) if raw else None
    except (msgspec.DecodeError, RecursionError):
        return []
    return [found] if isinstance(found, str) else found or []
