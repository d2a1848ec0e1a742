"""What a rule is: what it asks of an event, and where in the tree it wants to stand."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tocsin.dialects.wazuh.conditions import Condition
from tocsin.dialects.wazuh.correlate import Correlation
from tocsin.model.errors import Location


@dataclass(frozen=True, slots=True)
class Placement:
    """Where in the tree a rule wants to stand."""

    sids: tuple[int, ...] = ()
    level: int | None = None
    group: str | None = None
    category: str = "syslog"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as it stands in a file."""

    id: int
    level: int
    at: Location
    description: str
    groups: str
    placement: Placement
    conditions: tuple[Condition, ...] = ()
    correlation: Correlation | None = None
    first_time: bool = False
    on_change: bool = False
    silent: bool = False
    last: bool = False
    ignore: int = 0
    options: frozenset[str] = frozenset()
    techniques: tuple[str, ...] = ()
    info: str = ""
    cve: str = ""
    overwrites: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What rules may refer to, and how the original's bugs are treated."""

    decoders: Collection[str]
    lists: Mapping[str, Mapping[str, str]]
    strict: bool
