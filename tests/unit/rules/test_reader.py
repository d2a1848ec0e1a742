"""The generated function reads what the reference reads."""

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.audit import event
from tests.unit.rules.strategies import PATHS, events
from tocsin.model.event import AuditEvent
from tocsin.normalize.fields import AUDIT
from tocsin.rules.interpret import EventView
from tocsin.rules.operators import texts_of
from tocsin.rules.reader import compile_reader


@given(st.lists(PATHS, max_size=5), st.lists(events(), min_size=1, max_size=3))
def test_texts_are_those_of_the_reference(paths: list[str], batch: list[AuditEvent]) -> None:
    read = compile_reader(paths, AUDIT, "test")
    for one in batch:
        view = EventView(one, AUDIT)
        assert list(map(list, read(one))) == [texts_of(view.values(path)) for path in paths]


def test_names_of_fields_are_data() -> None:
    name = "requestObject.labels.'); pwned(); ('"
    one = event(requestObject={"labels": {"'); pwned(); ('": "yes"}})
    assert [list(texts) for texts in compile_reader([name], AUDIT, name)(one)] == [["yes"]]
