"""What a page is: a path, the right it needs, and a handler that gets a `Context`.

There is no other way to serve something, so nothing is served that does not say who may
see it. A page with a table has twins of the same path with `.json` and `.csv`.
"""

import asyncio
import functools
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from typing_extensions import override

from tocsin.web.filters import Parameter, link, number
from tocsin.web.person import Permission, Person
from tocsin.web.pulse import Pulse
from tocsin.web.rendering import Templates
from tocsin.web.site import Site
from tocsin.web.tables import Column, Table
from tocsin.web.turns import Turns

# With the wait for a turn, an answer or a refusal comes within two seconds.
READ_SECONDS = 1.4
READERS = 4
MAX_FORM_BYTES = 1024 * 1024
MAX_FIELDS = 100
PAGE_ROWS = 50
MAX_PAGE_ROWS = 200
MAX_TWIN_ROWS = 2000

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Room:
    """What all requests share: templates, threads for reading, turns, the pulse of the store."""

    templates: Templates
    pulse: Pulse
    readers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(READERS, "web-read")
    )
    turns: Turns = field(default_factory=Turns)


class Rendered(Response):
    """A rendered page, still with the marks for nonce and name in it."""

    def __init__(self, text: str, status: int = 200) -> None:
        super().__init__(b"", status, media_type="text/html")
        self.text = text
        self.digest = hashlib.sha256(text.encode()).hexdigest()

    @override
    def render(self, content: object) -> bytes:
        """Leave the body to the end: see `rendering.complete`."""
        return b""


class Context:
    """One request: who asks for what, and how to answer."""

    def __init__(self, site: Site, room: Room, request: Request, *, twin: bool = False) -> None:
        self.site = site
        self.room = room
        self.request = request
        self.twin = twin
        self.now = site.clock()

    @property
    def person(self) -> Person:
        """Who asks.

        Raises:
            HTTPException: nobody is logged in.
        """
        person = self.visitor
        if person is None:
            raise HTTPException(401, "Log in, or send an API token.")
        return person

    @property
    def visitor(self) -> Person | None:
        """Who asks, or None for somebody who is not logged in."""
        person: Person | None = self.request.state.person
        return person

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters."""
        return self.request.query_params

    @property
    def limit(self) -> int:
        """How many rows to show; more of them in a twin than on a page."""
        most = MAX_TWIN_ROWS if self.twin else MAX_PAGE_ROWS
        return max(1, min(number(self.query, "limit") or PAGE_ROWS, most))

    def part(self, name: str) -> str:
        """Return a part of the path, such as the id."""
        return str(self.request.path_params[name])

    async def read(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call what blocks in a thread, such as a question to the store.

        Raises:
            TimeoutError: it took longer than two seconds; people are told to ask for less.
        """
        call = functools.partial(function, *args, **kwargs)
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.run_in_executor(self.room.readers, call), READ_SECONDS)

    async def form(self) -> dict[str, str]:
        """Return the fields of a posted form; of one that comes twice, the last.

        Raises:
            HTTPException: it is larger than a megabyte, or no form.
        """
        body = bytearray()
        async for chunk in self.request.stream():
            body += chunk
            if len(body) > MAX_FORM_BYTES:
                raise HTTPException(413, "The form is larger than a megabyte.")
        try:
            return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
        except ValueError as error:
            raise HTTPException(400, "This is no form.") from error

    def link(self, **changes: object) -> str:
        """Return the link to this page with other parameters; None takes one away.

        Where one ended (`before`) is forgotten unless it is among the changes.
        """
        query: dict[str, object] = {**self.query, "before": None, **changes}
        return link(self.page_path, query)

    @property
    def page_path(self) -> str:
        """The path, of a twin that of its page."""
        path = self.request.url.path
        return path.rpartition(".")[0] if self.twin else path

    def page(self, template: str, /, *, status: int = 200, **values: object) -> Response:
        """Return a rendered template; `context`, `person` and `pulse` are there in any case."""
        everything = {
            "context": self,
            "person": self.visitor,
            "pulse": self.room.pulse.beat,
            "theme": self.request.state.theme,
            **values,
        }
        return Rendered(self.room.templates.render(template, everything), status)

    def json(self, value: object, status: int = 200) -> Response:
        """Return data as JSON."""
        return Response(msgspec.json.encode(value), status, media_type="application/json")

    def redirect(self, path: str) -> Response:
        """Send the browser to another page after a change."""
        return RedirectResponse(path, 303)

    async def note(self, action: str, detail: str = "") -> None:
        """Log what the person did, where the audit page shows it."""
        who = self.visitor.name if self.visitor else "-"
        await self.read(self.site.people.note, who, action, detail, self.now)
        self.room.pulse.changed()


Handler = Callable[[Context], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes:
        path: such as `/alerts` or `/alerts/{id}`.
        handler: answers; with several methods it looks at `context.request.method`.
        permission: the right it needs.
        methods: the HTTP methods; whatever changes something is a POST.
        name: unique, for people and the OpenAPI document.
        table: returns the rows that the page shows, for its `.json` and `.csv` twins.
        columns: the table's columns, for the OpenAPI document.
        record: returns the one thing that the page shows, for its `.json` twin.
        record_type: the type of that, for the OpenAPI document.
        parameters: the query parameters, for the OpenAPI document.
        shared: whether it is the same for all who may see it, and changes only with the store.
    """

    path: str
    handler: Handler
    permission: Permission
    methods: tuple[str, ...] = ("GET",)
    name: str = ""
    table: Callable[[Context], Awaitable[Table]] | None = None
    columns: Sequence[Column] = ()
    record: Callable[[Context], Awaitable[object]] | None = None
    record_type: type | None = None
    parameters: Sequence[Parameter] = ()
    shared: bool = True
