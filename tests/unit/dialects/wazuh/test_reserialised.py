"""The text that rules see is what `json.dumps` writes, to the byte."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attack.recordings import recording
from tests.unit.dialects.wazuh.jsontexts import random_members, spelled
from tocsin.dialects.wazuh.output import reserialised
from tocsin.runtime.recording import events


def dumped(log: bytes) -> bytes:
    return json.dumps(json.loads(log)).encode()


@given(seed=st.integers(0, 2**32))
def test_any_spelling(seed: int) -> None:
    rng = random.Random(seed)
    log = spelled(random_members(rng, 4), rng, plainly=rng.random() < 0.5).encode()
    assert reserialised(log) == dumped(log)


@given(st.dictionaries(st.text(), st.floats() | st.integers() | st.text() | st.none()))
def test_any_value(document: dict[str, object]) -> None:
    log = json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert reserialised(log) == json.dumps(document).encode()


def test_every_event_of_a_recording() -> None:
    for body in recording("seed-policy").bodies[::5]:
        for log in events(body):
            assert reserialised(log) == dumped(log)


@pytest.mark.parametrize("log", [b"", b"[1]", b'"a"', b'{"a":', b"text", b'{"a":1} tail', b"\xff"])
def test_what_is_no_object_stays(log: bytes) -> None:
    assert reserialised(log) == log
