"""Responses: the queue, one response, what people decide, proposals, the kill switch."""

import csv
import io
import re
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bs4 import Tag

from tests.unit.store.samples import HOSTILE, make_alert, with_severity
from tests.unit.web import responses
from tests.unit.web.conftest import Client, soup
from tests.unit.web.responses import DIGEST, plan, put, response
from tests.unit.web.sites import make_site
from tests.unit.web.test_incident_pages import grouped
from tocsin.model.alert import Target
from tocsin.model.response import STATES, Entry, ObjectRef, Order
from tocsin.respond.states import UNDOABLE
from tocsin.runtime.responding import FolderSwitch
from tocsin.store import SqliteStore
from tocsin.web.pages.response import FITTING
from tocsin.web.site import Site

ID = "a" * 32
ONE = f"/responses/{ID}"


@pytest.fixture
def site(store: SqliteStore, tmp_path: Path) -> Site:
    """Return a site with a response armed."""
    return make_site(store, tmp_path, responding=responses.how())


def main(text: str) -> Tag:
    found = soup(text).select_one("main")
    assert found is not None
    return found


def orders(store: SqliteStore) -> list[Order]:
    return store.responses.orders(0)


def test_an_empty_list_says_what_is_armed(client: Client) -> None:
    page = main(client("viewer").get("/responses").text)
    assert "privileged-pod delete_pod" in page.text
    assert "acts by itself" in page.text
    assert "No responses yet." in page.text


def test_without_access_or_arms_that_is_said(
    client: Client, store: SqliteStore, site: Site
) -> None:
    object.__setattr__(site, "responding", responses.how(armed=(), clusters=()))
    page = main(client("viewer").get("/responses").text)
    assert "all responses are dry runs" in page.text
    assert "only planned" in page.text
    assert "Responses: dry run" in main(client("viewer").get("/alerts").text).text


def test_the_queue_and_the_list_with_its_twins(client: Client, store: SqliteStore) -> None:
    later = response(expires=time.time() + 1800)
    put(store, msgspec.structs.replace(later, plan=plan("b" * 32, cluster="lab")))
    put(store, response(), 3)
    browser = client("viewer")
    page = main(browser.get("/responses").text)
    queue = [a["href"] for a in page.select("ul.cards h3 a")]
    assert queue == [ONE, f"/responses/{'b' * 32}"], "the one that expires first comes first"
    assert "cannot be undone" in page.select_one("ul.cards").text  # type: ignore[union-attr]
    assert not page.select("form[method=post]"), "viewers get no button"
    rows = browser.get("/responses.json?cluster=prod").json()["rows"]
    assert [(row["id"], row["state"], row["target"]) for row in rows] == [
        (ID, "awaiting-approval", "pods shop/web-1")
    ]
    (line,) = csv.DictReader(io.StringIO(browser.get("/responses.csv?cluster=lab").text))
    assert line["id"] == "b" * 32


def test_choices_of_states_are_counted(client: Client, store: SqliteStore) -> None:
    for number, state in enumerate(STATES):
        shown = response(state, plan(f"{number:032x}"), updated=1000.0 + number)
        put(store, shown, 1 + 2 * number)
    browser = client("viewer")
    page = main(browser.get("/responses?limit=5").text)
    counts = {a.get_text(" ", strip=True) for a in page.select(".states a")}
    assert {"All 14", "Waiting 1", "Done 2", "Refused 3", "Failed or unknown 2"} <= counts
    following = page.select_one("a[rel=next]")
    assert following is not None
    more = main(browser.get(str(following["href"])).text)
    assert len(more.select("table.responses tbody tr")) == 5
    chosen = main(browser.get("/responses?state=refused,rejected,expired").text)
    assert len(chosen.select("table.responses tbody tr")) == 3
    assert "No response matches" in browser.get("/responses?action=cordon_node").text
    assert browser.get("/responses?state=odd").status_code == 400


def test_one_response_tells_everything(client: Client, store: SqliteStore) -> None:
    store.record([make_alert("a1")], {}, 1000.0)
    put(store, response())
    browser = client("viewer")
    page = main(browser.get(ONE).text)
    for text in (
        "pods shop/web-1",
        responses.UID,
        "one pod",
        "cannot be undone",
        "grace_seconds: 0",
        "deployments web re-creates what is deleted",
        "scale_owner stops that",
        "delete the pod",
        '"gracePeriodSeconds": 0',
        '"app": "web"',
        "asked for by rule 5c1b",
        "alice created privileged pod web in shop",
        "0 of 1 changes are in the API server's audit log",
        "need the role responder",
    ):
        assert text in re.sub(r"\s+", " ", page.text), text
    assert not page.select("form[method=post]")
    assert browser.get(f"{ONE}.json").json()["plan"]["target"]["uid"] == responses.UID
    assert browser.get("/responses/aaaa").headers["location"] == ONE
    assert browser.get("/responses/none").status_code == 404


@pytest.mark.parametrize("state", STATES)
def test_buttons_fit_the_state(client: Client, store: SqliteStore, state: Any) -> None:
    put(store, response(state, plan(reversible=True)))
    page = main(client("responder").get(ONE).text)
    buttons = {button["value"] for button in page.select("button[name=order]")}
    expected = {
        "awaiting-approval": {"approve", "reject"},
        "done": {"undo"},
        "verified": {"undo"},
        "unknown": {"undo"},
    }
    assert buttons == expected.get(state, set())
    assert ("not known" in page.text) == (state == "unknown")


def test_pages_and_the_responder_agree_on_what_can_be_undone() -> None:
    assert FITTING["undo"] == UNDOABLE


def test_what_cannot_be_undone_has_no_way_back(client: Client, store: SqliteStore) -> None:
    put(store, response("verified"))
    browser = client("responder")
    assert "there is no way back" in browser.get(ONE).text
    form = {"order": "undo", "digest": DIGEST}
    assert browser.post(f"{ONE}/decide", data=form).status_code == 400
    assert not orders(store)


@pytest.mark.parametrize("kind", ["approve", "reject"])
def test_a_decision_is_an_order_with_the_digest_that_was_shown(
    client: Client, store: SqliteStore, kind: str
) -> None:
    put(store, response())
    browser = client("responder")
    page = main(browser.get(ONE).text)
    assert {str(one["value"]) for one in page.select("input[name=digest]")} == {DIGEST}
    form = {"order": kind, "digest": DIGEST, "note": " <b>sure</b> "}
    answer = browser.post(f"{ONE}/decide", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, ONE)
    (order,) = orders(store)
    assert (order.kind, order.response, order.digest, order.who, order.note) == (
        (kind, ID, DIGEST, "rolf", "<b>sure</b>")
    )
    assert f"rolf asked to {kind} this" in main(browser.get(ONE).text).text
    store.responses.advance(orders=order.seq)
    put(store, response(text="looked at"))
    assert "asked to" not in main(browser.get(ONE).text).text
    (entry, *_) = store.people.notes(1)
    assert (entry.who, entry.action, entry.detail) == ("rolf", f"response {kind}", ID)


@pytest.mark.parametrize(
    ("form", "changes", "status"),
    [
        ({"order": "explode", "digest": DIGEST}, {}, 400),
        ({"digest": DIGEST}, {}, 400),
        ({"order": "ask", "digest": DIGEST}, {}, 400),
        ({"order": "approve"}, {}, 409),
        ({"order": "approve", "digest": "e" * 32}, {}, 409),
        ({"order": "reject", "digest": "e" * 32}, {}, 409),
        ({"order": "approve", "digest": DIGEST}, {"expires": 1000.0}, 409),
        ({"order": "approve", "digest": DIGEST}, {"state": "approved"}, 409),
        ({"order": "approve", "digest": DIGEST}, {"state": "verified"}, 409),
        ({"order": "undo", "digest": DIGEST}, {}, 409),
    ],
)
def test_a11_what_does_not_fit_any_more_is_refused(
    client: Client, store: SqliteStore, form: dict[str, str], changes: Any, status: int
) -> None:
    put(store, response(**changes))
    answer = client("responder").post(f"{ONE}/decide", data=form)
    assert answer.status_code == status
    assert not orders(store)


def test_a11_an_expired_one_offers_no_approval(client: Client, store: SqliteStore) -> None:
    put(store, response(expires=time.time() - 1))
    page = main(client("responder").get(ONE).text)
    assert [button["value"] for button in page.select("button[name=order]")] == ["reject"]
    assert "The time to approve it ended" in page.text


def test_a11_with_four_eyes_who_asked_cannot_approve(
    client: Client, store: SqliteStore, site: Site
) -> None:
    object.__setattr__(site, "responding", responses.how(four_eyes=True))
    put(store, response(made=plan(asked_by="rolf")))
    form = {"order": "approve", "digest": DIGEST}
    rolf = client("responder")
    page = main(rolf.get(ONE).text)
    assert [button["value"] for button in page.select("button[name=order]")] == ["reject"]
    assert "another person has to approve" in page.text
    assert rolf.post(f"{ONE}/decide", data=form).status_code == 403
    ada = client("admin")
    assert "button" in str(main(ada.get(ONE).text).select_one("button[value=approve]"))
    assert ada.post(f"{ONE}/decide", data=form).status_code == 303
    assert [order.who for order in orders(store)] == ["ada"]


def test_a11_viewers_decide_nothing(client: Client, store: SqliteStore) -> None:
    put(store, response())
    viewer = client("viewer")
    for path in (f"{ONE}/decide", "/responses/stop", "/responses/start", "/responses/ask"):
        form = {"order": "approve", "digest": DIGEST, "alert": "a1", "action": "delete_pod"}
        assert viewer.post(path, data=form).status_code == 403
    assert not orders(store)


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://e"}])
def test_another_site_decides_nothing(
    client: Client, store: SqliteStore, site: Site, headers: dict[str, str]
) -> None:
    put(store, response())
    browser = client("admin")
    del browser.headers["sec-fetch-site"]
    form = {"order": "approve", "digest": DIGEST}
    for path in (f"{ONE}/decide", "/responses/stop", "/responses/start", "/responses/ask"):
        assert browser.post(path, data=form, headers=headers).status_code == 403
    assert not orders(store)
    assert site.switch.stopped() is None


def test_what_could_be_done_about_an_incident_touches_least_first(
    client: Client, store: SqliteStore
) -> None:
    (incident,) = grouped(store, [make_alert("a1"), make_alert("a2", rule=RULE)])
    put(store, response("verified", plan(alert_id="a1", action="isolate_pod", target=WEB)))
    browser = client("responder")
    page = main(browser.get(f"/incidents/{incident.id}").text)
    cards = page.select("ul.offers > li")
    titles = [card.h3.text.partition(":")[0] for card in cards if card.h3]
    assert titles == ["Isolate the pod", "Delete the pod", "Cordon the node"]
    isolate, delete, _ = cards
    assert "verified" in isolate.text
    assert isolate.select_one("button") is None, "it is under way"
    assert "Reach: one pod · cannot be undone" in delete.text
    button = delete.select_one("button")
    assert button is not None
    form = {"alert": str(delete.select_one("input")["value"]), "action": str(button["value"])}  # type: ignore[index]
    assert form == {"alert": "a2", "action": "delete_pod"}, "the latest alert counts"
    answer = browser.post("/responses/ask", data=form)
    assert answer.headers["location"] == f"/incidents/{incident.id}"
    (order,) = orders(store)
    assert (order.kind, order.response, order.action, order.who) == (
        ("ask", "a2", "delete_pod", "rolf")
    )
    assert "Proposed by rolf" in main(browser.get(f"/incidents/{incident.id}").text).text
    viewer = main(client("viewer").get(f"/incidents/{incident.id}").text)
    assert len(viewer.select("ul.offers > li")) == 3
    assert not viewer.select("ul.offers button")


def test_of_many_objects_the_worst_are_offered(client: Client, store: SqliteStore) -> None:
    alerts = [
        with_severity(
            make_alert(f"a{n}", target=Target("create", "", "pods", None, "s", f"p{n}")), s
        )
        for n, s in enumerate(("low", "critical", "medium", "high"))
    ]
    (incident,) = grouped(store, alerts)
    browser = client("responder")
    page = main(browser.get(f"/incidents/{incident.id}").text)
    about = [str(one["value"]) for one in page.select("ul.offers input[name=alert]")]
    assert about[:4] == ["a1", "a3", "a1", "a3"]
    assert "4 more, about other objects" in page.text
    alone = main(browser.get("/alerts/a0").text)
    assert len(alone.select("ul.offers > li")) == 3


RULE = msgspec.structs.replace(make_alert().rule, id="other", title="Another rule")
WEB = ObjectRef(resource="pods", namespace="shop", name="web", uid="u1")


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({}, 404),
        ({"alert": "none", "action": "delete_pod"}, 404),
        ({"alert": "a1", "action": "explode"}, 400),
        ({"alert": "a1"}, 400),
    ],
)
def test_a_proposal_has_to_fit(
    client: Client, store: SqliteStore, form: dict[str, str], status: int
) -> None:
    store.record([make_alert("a1")], {}, 1000.0)
    assert client("responder").post("/responses/ask", data=form).status_code == status
    assert not orders(store)


def test_a15_the_kill_switch_is_on_every_page(client: Client, site: Site, tmp_path: Path) -> None:
    browser = client("responder")
    for path in ("/", "/alerts", "/incidents", "/events", "/health", "/responses", "/account"):
        page = main(browser.get(path).text)
        assert page.select_one(".switch form[action='/responses/stop'] button"), path
        assert "1 armed" in page.select_one(".switch").text, path  # type: ignore[union-attr]
        assert not main(client("viewer").get(path).text).select(".switch button"), path
    answer = browser.post("/responses/stop", data={"why": " a <b>drill</b> "})
    assert (answer.status_code, answer.headers["location"]) == (303, "/responses")
    found = FolderSwitch(tmp_path / "responses", time.time).stopped()
    assert found is not None
    assert (found.who, found.why) == ("rolf", "a <b>drill</b>")
    for path in ("/", "/alerts", "/responses"):
        bar = main(browser.get(path).text).select_one(".switch.stopped")
        assert bar is not None
        assert "STOPPED by rolf" in re.sub(r"\s+", " ", bar.text)
        assert "a <b>drill</b>" in bar.text
        assert bar.select_one("button") is None, "starting needs an admin"
    assert browser.post("/responses/start").status_code == 403
    admin = client("admin")
    assert main(admin.get("/").text).select_one(".switch form[action='/responses/start'] button")
    assert admin.post("/responses/start").status_code == 303
    assert site.switch.stopped() is None
    assert not main(browser.get("/alerts").text).select(".switch.stopped")


def test_what_people_do_with_the_switch_is_noted(client: Client, store: SqliteStore) -> None:
    client("responder").post("/responses/stop", data={"why": "drill"})
    client("admin").post("/responses/start")
    noted = [(one.who, one.action, one.detail) for one in store.people.notes(2)]
    assert noted == [("ada", "responses started", ""), ("rolf", "responses stopped", "drill")]


def test_a_file_made_by_hand_stops_as_well(client: Client, tmp_path: Path) -> None:
    (tmp_path / "responses").mkdir()
    (tmp_path / "responses" / "stopped").write_text("\x1b[31m<script>")
    page = main(client("viewer").get("/alerts").text)
    assert "STOPPED" in page.text
    assert "<script>" in page.text
    assert "\x1b" not in page.text
    assert not page.select("script")


def test_the_overview_says_what_waits_and_what_is_unclear(
    client: Client, store: SqliteStore
) -> None:
    put(store, response())
    put(store, response("unknown", plan("b" * 32), text="no answer came"), 3)
    browser = client("viewer")
    page = main(browser.get("/").text)
    assert page.select_one(f"ul.cards a[href='{ONE}']") is not None
    assert "no answer came" in page.text
    assert "1 waits for approval" in re.sub(r"\s+", " ", page.text)
    assert browser.get("/overview.json").json()["waiting"] == 1


def test_health_says_how_far_responses_go(client: Client) -> None:
    page = client("viewer").get("/health").text
    assert "1 armed" in main(page).select_one("#responses + dl").text  # type: ignore[union-attr]
    client("responder").post("/responses/stop")
    page = client("admin").get("/health").text
    assert "stopped by rolf" in re.sub(r"\s+", " ", main(page).text)


def test_hostile_text_is_shown_literally(client: Client, store: SqliteStore) -> None:
    texts = [text for text in HOSTILE if len(text) < 1000 and text.strip()]
    for number, text in enumerate(texts):
        target = ObjectRef(
            resource=text, namespace=text, name=text, uid=text, api_group=text, version=text
        )
        made = plan(
            f"{number:032x}", cluster=text, rule=text, action=text, target=target, user=text,
            parameters={text: text}, asked_by=text, rule_id=text, alert_id=text,
        )  # fmt: skip
        call = msgspec.structs.replace(
            response().calls[0], target=target, title=text, subresource=text, body={text: text}
        )
        shown = response(made=made, text=text, digest=text, calls=(call,), effect=text)
        data: dict[str, object] = {
            "prepared": {"notes": [text], "owner": {"resource": text, "name": text}},
            "evidence": {text: text},
            "after": {text: text},
        }
        line = Entry(
            seq=number + 1, time=1.0, response=made.id, state="planned", text=text, who=text,
            data=data,
        )  # fmt: skip
        store.responses.show([shown], [line])
    browser = client("responder")
    ways = [f"/responses/{number:032x}" for number in range(len(texts))]
    for path in ("/", "/responses", *ways):
        page = browser.get(path)
        assert page.status_code == 200, path
        parsed = main(page.text)
        assert not parsed.select("b:not(.tile b), script, click")
        assert not [char for char in parsed.text if not (char.isprintable() or char in "\n\t")]
    for suffix in ("json", "csv"):
        assert browser.get(f"/responses.{suffix}").status_code == 200
