import pytest

from tocsin.dialects.wazuh.clocks import read_days, read_times


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("12 am - 11:59 pm", (0, 1439, False)),
        ("18:00-08:30", (1080, 510, False)),
        ("!9 pm - 12 pm", (1260, 720, True)),
    ],
)
def test_times(text: str, times: tuple[int, int, bool]) -> None:
    assert read_times(text) == times


@pytest.mark.parametrize("text", ["", "9", "x - y", "13 pm - 2 pm", "24:00 - 1:00", "1:60 - 2:00"])
def test_no_times(text: str) -> None:
    with pytest.raises(ValueError, match=r"no|dash"):
        read_times(text)


def test_days() -> None:
    assert read_days("weekends, Mon wednesday") == {0, 2, 5, 6}
    assert read_days("weekdays,weekends") == set(range(7))


@pytest.mark.parametrize("text", ["", "!monday", "monday-sunday", "m"])
def test_no_days(text: str) -> None:
    with pytest.raises(ValueError, match="day"):
        read_days(text)
