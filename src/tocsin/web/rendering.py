"""Templates: escaped everywhere, strict about what is missing, rendered once for many people.

What differs from one response to the next (the nonce, the person's name, the version of the
data) stands in the rendered page as a secret mark and is put in at the end. So a page is
rendered once for all who may see the same, and still each response has a nonce of its own.
"""

import functools
import hashlib
import html
import json
import secrets
from datetime import UTC, datetime
from importlib.resources import files

import jinja2
import msgspec

from tocsin.model.alert import SEVERITIES
from tocsin.model.text import visible
from tocsin.web.filters import link

_MARK = secrets.token_hex(16)
NONCE = f"nonce{_MARK}"
NAME = f"name{_MARK}"
VERSION = f"version{_MARK}"

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0

STATIC_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
HTMX_FILES = ("htmx.min.js", "hx-csp.min.js")


def static_files() -> dict[str, bytes]:
    """Return the files that browsers load, by name."""
    folder = files("tocsin.web") / "static"
    return {
        entry.name: entry.read_bytes()
        for entry in folder.iterdir()
        if entry.is_file() and entry.name.endswith(tuple(STATIC_TYPES))
    }


class Templates:
    """The templates of all pages."""

    def __init__(self, static: dict[str, bytes]) -> None:
        """Compile on first use; `static` is what pages link to."""
        digests = {name: hashlib.sha256(data).hexdigest()[:12] for name, data in static.items()}
        self._environment = _environment(tuple(sorted(digests.items())))

    def render(self, template: str, values: dict[str, object]) -> str:
        """Return the page with the marks in it."""
        return self._environment.get_template(template).render(values)


@functools.cache
def _environment(digests: tuple[tuple[str, str], ...]) -> jinja2.Environment:
    """Return the environment for these static files, each with a digest of its content."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tocsin.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    versions = dict(digests)
    environment.filters |= {
        "visible": _visible,
        "count": count,
        "age": age,
        "size": size,
        "moment": moment,
        "stamp": stamp,
        "pretty": pretty,
    }
    environment.globals |= {
        "nonce": NONCE,
        "person_name": NAME,
        "version": VERSION,
        "severities": tuple(reversed(SEVERITIES)),
        "static": lambda name: f"/static/{name}?v={versions[name]}",
        "has_script": set(HTMX_FILES) <= set(versions),
        "link": link,
    }
    return environment


def complete(page: str, nonce: str, name: str, version: str = "") -> bytes:
    """Return a rendered page with what is this response's own in place of the marks."""
    for mark, text in ((NONCE, nonce), (NAME, visible(name)), (VERSION, version)):
        page = page.replace(mark, html.escape(text))
    return page.encode()


def count(number: float) -> str:
    """Return a whole number with its thousands apart."""
    return f"{number:,.0f}"


def age(seconds: float) -> str:
    """Return a length of time in its largest unit."""
    for unit_size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * unit_size:
            return f"{seconds / unit_size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def size(number: float) -> str:
    """Return a number of bytes in a unit that fits."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:  # noqa: PLR2004 - bytes per KiB
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def moment(when: str | float | datetime) -> str:
    """Return a time for a `datetime` attribute: RFC 3339 in UTC."""
    return f"{_datetime(when):%Y-%m-%dT%H:%M:%SZ}"


def stamp(when: str | float | datetime) -> str:
    """Return a time for people, in UTC to the second."""
    return f"{_datetime(when):%Y-%m-%d %H:%M:%S}"


def pretty(value: object) -> str:
    """Return data as indented JSON, ASCII only: no text in it can reorder a line."""
    return json.dumps(msgspec.to_builtins(value), indent=2)


def _visible(value: object) -> str:
    """Return text as it is shown; of an empty one there has to be something to see and click."""
    text = visible("-" if value is None else str(value))
    return text if text.strip() else f'"{text}"'


def _datetime(when: str | float | datetime) -> datetime:
    if isinstance(when, str):
        return datetime.fromisoformat(when).astimezone(UTC)
    if isinstance(when, datetime):
        return when.astimezone(UTC)
    return datetime.fromtimestamp(when, UTC)
