"""A drafted rule loads, and matches the event it was drafted from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.audit import encoded, item
from tests.unit.store.samples import HOSTILE
from tocsin.dialects.sigma.load import load_sigma
from tocsin.model.alert import Alert
from tocsin.normalize.redact import MARK
from tocsin.normalize.shown import shown_event
from tocsin.runtime.pipeline import Pipeline
from tocsin.web.draft import FIELDS, draft, offered
from tocsin.web.pages import event

DIGEST = "0123456789abcdef0123456789abcdef"


def alerts(rule: str, raw: bytes) -> list[Alert]:
    loaded = load_sigma([("draft.yml", rule)], {})
    assert not loaded.faults
    (only,) = loaded.rules
    assert only.id == "01234567-89ab-cdef-0123-456789abcdef"
    return Pipeline([only]).process(raw, "default").alerts


def check(raw: bytes, chosen: set[str]) -> None:
    fields = offered(shown_event(raw), MARK)
    assert len(alerts(draft(fields, chosen, DIGEST), raw)) == 1


def everywhere(text: str) -> bytes:
    return encoded(
        item(
            requestURI=text,
            user={"username": text},
            impersonatedUser={"username": text},
            userAgent=text,
            sourceIPs=[text, "::1"],
            objectRef={"resource": "pods", "subresource": "exec", "namespace": text, "name": text},
        )
    )


def test_the_preset_fields() -> None:
    fields = offered(item(), MARK)
    rule = draft(fields, (), DIGEST)
    assert 'verb: "create"' in rule
    assert "user.username" not in rule
    assert len(alerts(rule, encoded(item()))) == 1
    assert not alerts(rule, encoded(item(verb="get")))


@pytest.mark.parametrize("text", [text for text in HOSTILE if 0 < len(text) < 1000])
def test_hostile_text(text: str) -> None:
    check(everywhere(text), set(FIELDS))


def test_what_sigma_takes_for_a_wildcard_is_only_itself() -> None:
    raw = everywhere("a*b?\\*c")
    rule = draft(offered(shown_event(raw), MARK), {"user.username"}, DIGEST)
    assert len(alerts(rule, raw)) == 1
    assert not alerts(rule, everywhere("axxbx\\xc"))


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
    | st.text(st.sampled_from("ab*?\\\"'%{}:#\n "), min_size=1, max_size=12),
    st.sets(st.sampled_from(FIELDS)),
)
def test_any_text(text: str, chosen: set[str]) -> None:
    check(everywhere(text), chosen)


def test_what_is_secret_or_absent_is_not_offered() -> None:
    raw = encoded(item(requestURI="/x?token=hunter2hunter2", objectRef=None))
    fields = offered(shown_event(raw), MARK)
    assert set(fields) == {"verb", "user.username", "userAgent", "sourceIPs", "responseStatus.code"}
    assert event.MARK == MARK
