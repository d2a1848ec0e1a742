"""Read what is in a cluster from its API server: lists only, page by page, and nothing secret."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

import msgspec

from tocsin.inventory.kinds import KINDS, Kind
from tocsin.inventory.rights import Rights
from tocsin.model.errors import TocsinError
from tocsin.model.manifest import Manifest, items_at, text_at
from tocsin.model.rbac import RBAC
from tocsin.runtime.apiserver import Answer, ApiServer, UnreachableError

PAGE = 500
_OK, _UNAUTHORIZED, _EXPIRED = 200, 401, 410
_REASONS = {
    403: "the credential may not list them (403): `tocsin setup rbac --scan` prints the rights",
    404: "this cluster does not have them (404)",
}

Progress = Callable[[Kind, int], None]


class _ListExpiredError(Exception):
    """The API server does not know any more where it was in a list."""


@dataclass(slots=True)
class Inventory:
    """The objects of one cluster by kind; `unknown` says of other kinds why they are not there."""

    objects: dict[Kind, list[Manifest]] = field(default_factory=dict)
    unknown: dict[Kind, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many objects were read."""
        return sum(len(found) for found in self.objects.values())

    def of(self, group: str, resource: str) -> list[Manifest]:
        """Return the objects of a resource."""
        for kind, found in self.objects.items():
            if (kind.group, kind.resource) == (group, resource):
                return found
        return []

    def rights(self) -> Rights:
        """Return the roles and bindings."""
        return Rights(
            self.of(RBAC, "roles"),
            self.of(RBAC, "clusterroles"),
            self.of(RBAC, "rolebindings"),
            self.of(RBAC, "clusterrolebindings"),
        )


def read_inventory(server: ApiServer, tell: Progress, kinds: tuple[Kind, ...] = KINDS) -> Inventory:
    """List all objects of the kinds; `tell` hears of each kind before it is read.

    Raises:
        TocsinError: the API server cannot be asked, or does not know the credential.
    """
    inventory = Inventory()
    for number, kind in enumerate(kinds):
        tell(kind, number)
        try:
            inventory.objects[kind] = _list(server, kind)
        except _ListExpiredError:
            # The list was read too slowly for it; from the start it is fresh again.
            inventory.objects[kind] = _list(server, kind)
        except UnreachableError:
            raise
        except TocsinError as error:
            inventory.unknown[kind] = str(error)
    return inventory


def _list(server: ApiServer, kind: Kind) -> list[Manifest]:
    found: list[Manifest] = []
    for page in _pages(server, kind):
        found += items_at(page, "items")
    return found


def _pages(server: ApiServer, kind: Kind) -> Iterator[Manifest]:
    query = {"limit": str(PAGE)}
    while True:
        answer = server.get(f"{kind.path}?{urlencode(query)}")
        if answer.status == _EXPIRED and "continue" in query:
            raise _ListExpiredError
        page = _page(server, kind, answer)
        yield page
        following = text_at(page, "metadata", "continue")
        if not following:
            return
        query["continue"] = following


def _page(server: ApiServer, kind: Kind, answer: Answer) -> Manifest:
    """Return what the API server answered.

    Raises:
        UnreachableError: it does not know who asks.
        TocsinError: it does not list this kind, or not for us.
    """
    if answer.status == _UNAUTHORIZED:
        message = f"{server.url} does not accept the credential in the kubeconfig"
        raise UnreachableError(message)
    if answer.status == _OK:
        try:
            return msgspec.json.decode(answer.body, type=dict[str, object])
        except msgspec.DecodeError as error:
            message = f"the list is no JSON: {error}"
            raise TocsinError(message) from error
    raise TocsinError(_REASONS.get(answer.status, f"the API server answered {answer.status}"))
