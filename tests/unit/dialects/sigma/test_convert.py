"""What pySigma may one day hand over and Tocsin does not know is refused, never ignored."""

from collections.abc import Callable

import pytest
from sigma.exceptions import SigmaError
from sigma.rule import SigmaDetections
from sigma.types import CompareOperators, SigmaCompareExpression, SigmaNumber, SigmaType

from tests.unit.audit import HERE
from tocsin.dialects.sigma.convert import Context, _Converter
from tocsin.dialects.sigma.values import ValueFaultError, keyword, operators
from tocsin.rules import ir


class Novelty(SigmaType):
    """A type of value that does not exist."""


def converter() -> _Converter:
    detections = SigmaDetections.from_dict({"s": {"verb": "get"}, "condition": "s"})
    return _Converter(detections, Context({}, {}, lambda _: HERE))


def test_unknown_part_of_a_condition_is_refused() -> None:
    with pytest.raises(SigmaError, match="condition element int is not supported"):
        converter().tree(7)


def test_unknown_part_of_a_selection_is_a_fault() -> None:
    one = converter()
    assert one._leaves(Novelty(None), HERE) == ir.AnyOf(())
    (fault,) = one.faults
    assert str(fault) == "rule.yml:7: Novelty is not supported"


@pytest.mark.parametrize("convert", [operators, keyword])
@pytest.mark.parametrize(
    "value",
    [Novelty(None), SigmaCompareExpression(SigmaNumber(1), CompareOperators.NEQ)],
)
def test_unknown_value_is_refused(
    convert: Callable[[SigmaType, dict[str, list[str]]], object], value: SigmaType
) -> None:
    with pytest.raises(ValueFaultError, match="not supported"):
        convert(value, {})
