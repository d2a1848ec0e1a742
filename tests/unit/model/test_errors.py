"""What a person reads when a file is wrong."""

import pytest

from tocsin.model.errors import Fault, LoadError, Location


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("wrong", Location("a.yml", 3, 5), "level"), "a.yml:3: wrong (level)"),
        (Fault("wrong", Location("a.yml", 3)), "a.yml:3: wrong"),
        (Fault("wrong", Location("a.yml")), "a.yml: wrong"),
    ],
)
def test_fault_is_one_line_with_its_place(fault: Fault, text: str) -> None:
    assert str(fault) == text


def test_error_says_everything_that_is_wrong() -> None:
    faults = [Fault("one", Location("a", 1)), Fault("two", Location("b", 2))]
    error = LoadError(faults)
    assert error.faults == faults
    assert str(error).splitlines() == ["a:1: one", "b:2: two"]
