import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.lifeline.canary import canary_id, canary_key
from tocsin.respond.marks import MAX_NUMBER, Marks, marks_key

SPOOL_KEY = b"k" * 32
KEY = marks_key(SPOOL_KEY)
MARKS = Marks(KEY, "prod")
RESPONSE = "0123456789abcdef" * 2


@pytest.mark.parametrize("number", [1, 2, MAX_NUMBER])
def test_a7_a_mark_tells_its_response(number: int) -> None:
    mark = MARKS.mint(RESPONSE, number)
    assert mark.startswith(f"tocsin-{RESPONSE}-{number}-")
    assert len(mark) <= 64
    assert MARKS.response_of(mark) == RESPONSE


@pytest.mark.parametrize("number", [0, -1, MAX_NUMBER + 1])
def test_a_number_that_no_mark_can_have(number: int) -> None:
    with pytest.raises(ValueError, match="no mark"):
        MARKS.mint(RESPONSE, number)


@pytest.mark.parametrize("response", ["", RESPONSE[1:], RESPONSE + "0", RESPONSE[1:] + "G"])
def test_an_id_that_is_no_response(response: str) -> None:
    with pytest.raises(ValueError, match="no mark"):
        MARKS.mint(response, 1)


def test_a7_only_who_has_the_key_can_make_one() -> None:
    mark = MARKS.mint(RESPONSE, 1)
    assert Marks(marks_key(b"x" * 32), "prod").response_of(mark) is None
    assert KEY != SPOOL_KEY
    assert canary_key(SPOOL_KEY) != KEY


def test_a_mark_of_another_cluster_does_not_count() -> None:
    assert Marks(KEY, "dev").response_of(MARKS.mint(RESPONSE, 1)) is None


def test_a7_every_changed_character_is_noticed() -> None:
    mark = MARKS.mint(RESPONSE, 12)
    for place, char in enumerate(mark):
        forged = mark[:place] + ("1" if char != "1" else "2") + mark[place + 1 :]
        assert MARKS.response_of(forged) is None
        assert MARKS.response_of(mark[:place] + mark[place + 1 :]) is None
        assert MARKS.response_of(mark[:place]) is None
    assert MARKS.response_of(f"{mark}0") is None
    assert MARKS.response_of(mark.upper()) is None


def test_a_canary_is_no_mark() -> None:
    canary = canary_id(canary_key(SPOOL_KEY), "prod", 1_700_000_000.0)
    assert canary.startswith("tocsin-")
    assert MARKS.response_of(canary) is None


@given(st.text())
def test_whatever_an_attacker_writes_is_none(text: str) -> None:
    assert MARKS.response_of(text) is None
    assert MARKS.response_of(f"tocsin-{text}") is None


@pytest.mark.parametrize("text", ["tocsin-" + "a" * 5_000_000, "tocsin-\ud800", "-", "tocsin--"])
def test_hostile_ids_cost_nothing(text: str) -> None:
    assert MARKS.response_of(text) is None
