"""What the operators mean: does a value of an event satisfy an operator?

Values are compared as text. The canonical text of a JSON value is the string itself, `true`
or `false`, or the number as it was written; objects and lists have none. Both evaluators
(`interpret` and `compile`) take the meaning from here.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from tocsin.rules import ir
from tocsin.rules.regex import searcher

TextTest = Callable[[str], bool]


def text_of(value: object) -> str | None:
    """Return the canonical text of a JSON value, None for objects and lists."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[return-value]
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is float:
        return str(value)
    return None


def texts_of(values: Iterable[object]) -> list[str]:
    """Return the canonical texts of those values that have one."""
    # Nearly all are texts; asking here saves a call for each.
    return [
        text
        for value in values
        if (text := value if type(value) is str else text_of(value)) is not None
    ]


def relation(how: ir.How) -> Callable[[str, str], bool]:
    """Return the two-place test behind `how`: `(text, wanted) -> bool`."""
    return _RELATIONS[how]


_RELATIONS: dict[ir.How, Callable[[str, str], bool]] = {
    "equals": str.__eq__,
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": str.__contains__,
}


@lru_cache(maxsize=16384)
def text_test(op: ir.Operator) -> TextTest:
    """Return the test of one text against `op`; total, never raises on any text.

    `Present` holds for every text when wanted; `SameAs` needs a second field and is
    evaluated by its caller.
    """
    match op:
        case ir.TextIs():
            return _text_is(op)
        case ir.Pattern(regex):
            search = searcher(regex)
            return lambda text: search(text) is not None
        case ir.InNetwork(networks):
            return _in_network(tuple(ip_network(network, strict=False) for network in networks))
        case ir.Compare(order, number):
            return _compare(order, number)
        case ir.InTime(unit, number):
            return lambda text: _time_unit(text, unit) == number
        case ir.Present(wanted):
            return lambda _: wanted
        case ir.SameAs():
            message = "SameAs relates two fields and has no test of one text"
            raise TypeError(message)


def _text_is(op: ir.TextIs) -> TextTest:
    related = _RELATIONS[op.how]
    wanted = op.texts
    if op.how == "equals":
        allowed = frozenset(wanted)
        if op.fold:
            return lambda text: text.lower() in allowed
        return lambda text: text in allowed
    if op.fold:
        return lambda text: any(related(text.lower(), one) for one in wanted)
    return lambda text: any(related(text, one) for one in wanted)


def _in_network(networks: tuple[IPv4Network | IPv6Network, ...]) -> TextTest:
    # The same few addresses come again and again, and parsing one costs more than an event.
    @lru_cache(maxsize=1024)
    def inside(text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in networks)

    return inside


def _compare(order: ir.Order, number: float) -> TextTest:
    def compared(text: str) -> bool:
        try:
            value = int(text) if text.lstrip("-").isdecimal() else float(text)
        except ValueError:
            return False
        return {
            "lt": value < number,
            "lte": value <= number,
            "gt": value > number,
            "gte": value >= number,
        }[order]

    return compared


def _time_unit(text: str, unit: ir.TimeUnit) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    if unit == "week":
        return moment.isocalendar().week
    value: int = getattr(moment, unit)
    return value
