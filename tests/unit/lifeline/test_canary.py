import pytest

from tocsin.lifeline.canary import PREFIX, canary_id, canary_key, sent_at

KEY = canary_key(b"k" * 32)
SENT = 1_700_000_000.125


def test_a_canary_tells_when_it_was_sent() -> None:
    assert sent_at(KEY, "prod", canary_id(KEY, "prod", SENT)) == SENT


def test_only_who_has_the_key_can_make_one() -> None:
    made = canary_id(KEY, "prod", SENT)
    assert sent_at(canary_key(b"x" * 32), "prod", made) is None
    assert sent_at(KEY, "dev", made) is None
    assert sent_at(KEY, "prod", made.replace("125-", "126-")) is None
    assert canary_key(b"k" * 32) != b"k" * 32


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "x",
        "-",
        "1700000000125",
        "1700000000125-",
        "1700000000125-é",
        "9" * 5000 + "-a",
        "\u0661-a",
    ],
)
def test_whatever_an_attacker_writes_is_none(forged: str) -> None:
    assert sent_at(KEY, "prod", PREFIX + forged) is None
    assert sent_at(KEY, "prod", forged) is None
