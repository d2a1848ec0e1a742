"""What people order of the responder: `tocsin respond approve`, `reject`, `undo` and `ask`.

A command stores the order and waits a little for what becomes of it. The responder decides: it
looks at everything again, and answers in its journal.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from tocsin.cli.alerts import safe
from tocsin.cli.incidentpick import person
from tocsin.cli.options import ConfigOption, DataOption, read_config
from tocsin.model.errors import TocsinError
from tocsin.model.response import Order, OrderKind, Response, ResponseFilter, State
from tocsin.respond.states import UNDOABLE
from tocsin.runtime.responding import responding
from tocsin.store.sqlite import SqliteStore, join_store

WAIT_SECONDS = 5.0
POLL_SECONDS = 0.1

# While it is in one of these, it is about to be in another.
_MOVING: frozenset[State] = frozenset({"planned", "approved", "started", "undoing"})
# What each order is to lead to.
_WANTED: dict[OrderKind, frozenset[State]] = {
    "approve": frozenset({"approved", "started", "done", "verified"}),
    "reject": frozenset({"rejected"}),
    "undo": frozenset({"undoing", "undone"}),
}

ResponseArgument = Annotated[str, typer.Argument(metavar="ID", help="Id, or its beginning.")]
NoteOption = Annotated[str, typer.Option(help="Something to say about it, for the journal.")]
DigestOption = Annotated[
    str,
    typer.Option(
        metavar="DIGEST",
        help="The digest that you agreed to, as `show` tells it; another one is refused.",
    ),
]


def approve(
    response_id: ResponseArgument,
    *,
    digest: DigestOption = "",
    note: NoteOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Agree that a response is made. Everything is looked at again before it is.

    Exit code 1 says that it was not made.

    Example: tocsin respond approve 5a0b85 --note "the pod is not ours"
    """
    _decide("approve", response_id, digest, note, (config, data))


def reject(
    response_id: ResponseArgument,
    *,
    note: NoteOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Say no to a response that waits for approval.

    Example: tocsin respond reject 5a0b85 --note "a drill"
    """
    _decide("reject", response_id, "", note, (config, data))


def undo(
    response_id: ResponseArgument,
    *,
    note: NoteOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Restore what was before a response, unless somebody has changed it since.

    Example: tocsin respond undo 5a0b85
    """
    _decide("undo", response_id, "", note, (config, data))


def ask(
    alert_id: Annotated[str, typer.Argument(metavar="ALERT", help="Id of a stored alert.")],
    *,
    action: Annotated[str, typer.Option(help="What to do, such as delete_pod.")],
    note: NoteOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Ask for a response to an alert. It waits for approval before anything is changed.

    Example: tocsin respond ask 0f3a9c --action isolate_pod
    """
    settings = read_config(config, data)
    with join_store(settings.store_path) as store:
        stored = store.alert(alert_id)
        if stored is None:
            message = f"there is no alert {alert_id!r}: `tocsin alerts --json` tells the ids"
            raise TocsinError(message)
        possible = responding(settings.respond, ()).possible
        fitting = [one.action.name for one in possible(stored.alert)]
        if action not in fitting:
            message = (
                f"{action!r} does not fit this alert; what does: {', '.join(fitting) or 'nothing'}"
            )
            raise TocsinError(message)
        known = {one.plan.id for one in _of_alert(store, alert_id, action)}
        order = Order(
            kind="ask", response=alert_id, action=action, who=person(), time=time.time(), note=note
        )
        _store(store, order, f"{action} for alert {alert_id}")

        def new() -> Response | None:
            fresh = (one for one in _of_alert(store, alert_id, action) if one.plan.id not in known)
            return next(fresh, None)

        found = _settled(new)
        if found is None:
            _say_untaken(order)
        print(told(store, found))
        raise typer.Exit(1 if found.state in ("refused", "failed") else 0)


ORDERS = (approve, reject, undo, ask)


def find(store: SqliteStore, beginning: str) -> Response:
    """Return the response whose id begins with what was typed.

    Raises:
        TocsinError: none does, or several do.
    """
    found = store.responses.response(beginning)
    if found is None:
        message = (
            f"there is no response {beginning!r}, or several ids begin so: "
            "`tocsin respond list` shows them"
        )
        raise TocsinError(message)
    return found


def told(store: SqliteStore, response: Response) -> str:
    """Return where a response stands, in a line, with the last that the journal says of it."""
    plan = response.plan
    entries = store.responses.entries(plan.id)
    text = entries[-1].text if entries else response.text
    what = f"{plan.id[:12]} {response.state}: {plan.action} {plan.target.words}"
    return safe(f"{what}: {text}" if text else what)


def _decide(
    kind: OrderKind,
    beginning: str,
    digest: str,
    note: str,
    place: tuple[Path | None, Path | None],
) -> None:
    with join_store(read_config(*place).store_path) as store:
        response = find(store, beginning)
        _check(kind, response)
        if digest and digest != response.digest:
            message = f"the digest is {response.digest} now: look at the response again"
            raise TocsinError(message)
        identifier = response.plan.id
        order = Order(
            kind=kind,
            response=identifier,
            digest=response.digest,
            who=person(),
            time=time.time(),
            note=note,
        )
        number = _store(store, order, identifier)
        found = _settled(
            lambda: store.responses.response(identifier) if _taken(store, number) else None
        )
        if found is None:
            _say_untaken(order)
        print(told(store, found))
        raise typer.Exit(0 if found.state in _WANTED[kind] else 1)


def _check(kind: OrderKind, response: Response) -> None:
    """Refuse what cannot be, so that nobody waits for it.

    Raises:
        TocsinError: the response is in another state, or there is no way back.
    """
    fitting: frozenset[State] = UNDOABLE if kind == "undo" else frozenset({"awaiting-approval"})
    if response.state not in fitting:
        message = f"response {response.plan.id[:12]} is {response.state}: {kind} is for others"
        raise TocsinError(message)
    if kind == "undo" and not response.plan.reversible:
        message = f"{response.plan.action} cannot be undone"
        raise TocsinError(message)


def _store(store: SqliteStore, order: Order, about: str) -> int:
    number = store.responses.order(order)
    what = "response asked for" if order.kind == "ask" else f"response {order.kind}"
    store.people.note(order.who, what, about, order.time)
    return number


def _taken(store: SqliteStore, number: int) -> bool:
    return store.responses.position().get("orders", 0) >= number


def _of_alert(store: SqliteStore, alert_id: str, action: str) -> list[Response]:
    return store.responses.responses(ResponseFilter(action=action, alerts=(alert_id,)), 20)


def _settled(look: Callable[[], Response | None]) -> Response | None:
    """Return what a look finds once it rests, or after five seconds whatever it finds."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        found = look()
        over = time.monotonic() >= deadline
        if over or (found is not None and found.state not in _MOVING):
            return found
        time.sleep(POLL_SECONDS)


def _say_untaken(order: Order) -> NoReturn:
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(
        f"The order to {order.kind} is stored, and the responder has not answered in "
        f"{WAIT_SECONDS:.0f} s. It does when it runs: `tocsin serve`."
    )
    raise typer.Exit(1)
