"""What several rules of a function ask is asked once, and what is costly is asked last."""

from tocsin.rules.code import UNSET, Code, Variables
from tocsin.rules.layout import lay_out


class Layout:
    """Runs laid-out rules on named values, and notes in which order values are read."""

    def __init__(self) -> None:
        self.variables = Variables()
        self.order: list[str] = []

    def value(self, name: str, weight: int) -> Code:
        variable = self.variables.bind(name, f"read({name!r})", (), weight)
        return Code(variable, frozenset({variable}))

    def steps(self, first: Code, operator: str, rest: Code) -> Code:
        name = self.variables.bind_stepwise(first, operator, rest)  # type: ignore[arg-type]
        return Code(name, frozenset({name}))

    def run(self, rules: list[list[Code]], **values: bool) -> list[int]:
        lines = lay_out(
            [(f"hits.append({n})", terms) for n, terms in enumerate(rules)], self.variables, ""
        )
        hits: list[int] = []

        def read(name: str) -> bool:
            self.order.append(name)
            return values[name]

        self.order = []
        exec("\n".join(lines), {"UNSET": UNSET, "hits": hits, "read": read})  # noqa: S102
        return sorted(hits)


def test_what_rules_share_is_read_once() -> None:
    layout = Layout()
    common, one, two = (layout.value(name, 10) for name in ("common", "one", "two"))
    rules = [[one, common], [common, two], [common]]
    assert layout.run(rules, common=True, one=True, two=False) == [0, 2]
    assert layout.order == ["common", "one", "two"]
    assert layout.run(rules, common=False, one=True, two=True) == []
    assert layout.order == ["common"]


def test_cheap_terms_come_before_costly_ones() -> None:
    layout = Layout()
    costly, cheap = layout.value("costly", 100), layout.value("cheap", 1)
    assert layout.run([[costly, cheap]], costly=True, cheap=False) == []
    assert layout.order == ["cheap"]


def test_value_read_in_one_branch_is_known_in_the_next() -> None:
    layout = Layout()
    first, second, body = (
        layout.value(name, weight) for name, weight in (("first", 1), ("second", 1), ("body", 100))
    )
    rules = [[first, body], [second, body]]
    assert layout.run(rules, first=True, second=True, body=True) == [0, 1]
    assert layout.order == ["first", "body", "second"]
    assert layout.run(rules, first=False, second=True, body=True) == [1]
    assert layout.order == ["first", "second", "body"]


def test_second_step_is_taken_only_if_it_matters() -> None:
    layout = Layout()
    cheap, costly = layout.value("cheap", 1), layout.value("costly", 100)
    both, either = layout.steps(cheap, "and", costly), layout.steps(cheap, "or", costly)
    assert layout.run([[both]], cheap=False, costly=True) == []
    assert layout.order == ["cheap"]
    assert layout.run([[either]], cheap=True, costly=False) == [0]
    assert layout.order == ["cheap"]
    assert layout.run([[both], [either]], cheap=True, costly=True) == [0, 1]
    assert layout.order == ["cheap", "costly"]


def test_more_terms_than_levels_of_indentation() -> None:
    layout = Layout()
    terms = [layout.value(f"v{n}", 10) for n in range(150)]
    values = {f"v{n}": True for n in range(150)}
    assert layout.run([terms, [*terms[:-1]]], **values) == [0, 1]
    assert layout.run([terms, [*terms[:-1]]], **values | {"v149": False}) == [1]
