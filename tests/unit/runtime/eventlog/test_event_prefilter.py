"""The prefilter never hides what the full comparison finds."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.audit import event_list, item
from tocsin.model.events import EventFilter
from tocsin.normalize.decode import decode
from tocsin.normalize.shown import shown_event
from tocsin.runtime.eventlog.match import holds_text, matcher
from tocsin.runtime.eventlog.prefilter import plain_run, prefilter

# Few letters, so that texts are found in each other, and all that JSON has two ways to write.
letters = st.sampled_from(list('aAbk-./\\"<&>[] \té漢\U0001f600\x00\x7f1'))
texts = st.text(letters, max_size=8)
spices = st.sampled_from(["", "Bearer abcdefgh", "password=aabb", "token: kkkk", "eyJaaaaaa.bbb.k"])


@st.composite
def spellings(draw: st.DrawFn, text: str) -> str:
    """One of the ways in which JSON may write a text, with its quotes."""
    written = []
    for char in text:
        whole = json.dumps(char)[1:-1]
        ways = [whole, whole.upper().replace("\\U", "\\u") if whole[0:2] == "\\u" else whole]
        if char.isprintable() and char not in '"\\':
            ways.append(char)
        if char == "/":
            ways.append("\\/")
        if ord(char) < 0x10000:
            ways += [f"\\u{ord(char):04x}", f"\\u{ord(char):04X}"]
        written.append(draw(st.sampled_from(ways)))
    return f'"{"".join(written)}"'


@st.composite
def events(draw: st.DrawFn) -> tuple[bytes, list[str]]:
    """An event with odd texts in its fields, oddly spelled; and the texts."""
    values = {
        name: draw(texts)
        for name in ("user", "assumed", "verb", "audit", "resource", "namespace", "name")
    }
    values["note"] = draw(texts) + draw(spices) + draw(texts)
    marked = item(
        auditID="@audit@",
        verb="@verb@",
        user={"username": "@user@"},
        impersonatedUser={"username": "@assumed@"},
        objectRef={"resource": "@resource@", "namespace": "@namespace@", "name": "@name@"},
        annotations={"note": "@note@"},
        responseStatus={"code": draw(st.sampled_from([200, 403]))},
    )
    raw = json.dumps(marked, separators=draw(st.sampled_from([(",", ":"), (", ", ": ")])))
    for name, value in values.items():
        raw = raw.replace(f'"@{name}@"', draw(spellings(value)))
    return raw.encode("utf-8", "surrogatepass"), list(values.values())


@given(st.lists(events(), min_size=1, max_size=3), st.data())
def test_whatever_matches_passes(some: list[tuple[bytes, list[str]]], data: st.DataObject) -> None:
    body = event_list(raw for raw, _ in some)
    known = [value for _, values in some for value in values if value] or ["a"]
    pieces = st.sampled_from(known).flatmap(
        lambda text: st.tuples(st.integers(0, len(text)), st.integers(1, 8)).map(
            lambda cut: text[cut[0] : cut[0] + cut[1]]
        )
    )
    words = st.sampled_from(known)
    marks = st.sampled_from(["[redacted]", "Bearer [red", "acted", "=[", "201"])
    wanted = {
        "user": words,
        "verb": words,
        "audit_id": words,
        "namespace": words,
        "name": words,
        "text": pieces | words | marks,
        "code": st.just(403),
    }
    names = data.draw(st.sets(st.sampled_from(sorted(wanted)), min_size=1, max_size=2))
    drawn = {name: data.draw(wanted[name]) for name in names}
    where = msgspec.convert(drawn, EventFilter)
    batch = decode(body)
    found = [
        index
        for index, event in enumerate(batch.events)
        if matcher(where)(event) and holds_text(shown_event(batch.raw(index)), where.text)
    ]
    passes = prefilter(where)
    if found:
        assert passes(body)
    assert all(passes(batch.raw(index)) for index in found)


@pytest.mark.parametrize(
    ("where", "body", "passes"),
    [
        (EventFilter(user="alice"), b'{"username":"alice"}', True),
        (EventFilter(user="alice"), b'{"username":"bob"}', False),
        (EventFilter(user="alice"), rb'{"username":"\u0061lice"}', True),
        (EventFilter(user="jim"), rb'{"username":"\u004Aim","x":"\u006A"}', True),
        (EventFilter(user="bob"), rb'{"note":"\u003cb\u003e"}', False),
        (EventFilter(text="ALICE"), b'{"username":"alice"}', True),
        (EventFilter(text="carol"), b'{"username":"alice"}', False),
        (EventFilter(resource="pods/exec"), b'{"resource":"pods"}', False),
        (EventFilter(code=403), b'{"code": \n403}', True),
        (EventFilter(code=403), b'{"code":4031,"n":1403,"id":"403"}', False),
        (EventFilter(text="[redacted]"), b"{}", True),
    ],
)
def test_what_passes(where: EventFilter, body: bytes, passes: bool) -> None:  # noqa: FBT001
    assert prefilter(where)(body) is passes


def test_the_longest_plain_run_is_looked_for() -> None:
    assert plain_run('a<bc"def/g') == "def"
    assert plain_run("é漢") == ""
