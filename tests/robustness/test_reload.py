"""Bar R15: rules are replaced under load; faulty ones change nothing and are shown.

One rule file never changes and matches every marked event: what it misses was not evaluated.
The other is replaced again and again. Its rules match the same events, so exactly one of its
versions must have seen each. Short form: 60 versions. `TOCSIN_LONG=1`: 1,000.
"""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.robustness.harness import Tocsin
from tests.robustness.traffic import History, Oracle, load

LONG = bool(os.environ.get("TOCSIN_LONG"))
VERSIONS = 1000 if LONG else 60
MARKED = "11111111-0000-4000-8000-000000000001"
FAULTS = "tocsin_detect_rule_file_faults"

_RULE = """
title: Version {version}
id: 22222222-0000-4000-8000-{version:012}
logsource:
    product: kubernetes
    service: audit
detection:
    selection:
        userAgent: tocsin-test/marked
    condition: selection
level: low
"""
_BROKEN = (
    "---\ntitle: No detection\nid: 33333333-0000-4000-8000-000000000001\n",
    "---\ntitle: [",
    _RULE.format(version=999_999).replace("condition: selection", "condition: selektion"),
    _RULE.format(version=999_999).replace("userAgent:", "userAgent|base64x:"),
)


def is_faulty(version: int) -> bool:
    return version % 10 == 7


def write_version(tocsin: Tocsin, version: int) -> None:
    """Put a version of the rule in place in one step, as `mv` does."""
    text = _RULE.format(version=version)
    if is_faulty(version):
        text += "---" + _BROKEN[version // 10 % len(_BROKEN)].removeprefix("---")
    aside = tocsin.folder / "aside"
    aside.write_text(text)
    aside.rename(tocsin.rules / "changing.yml")


def faults(tocsin: Tocsin) -> float:
    return tocsin.metrics()[FAULTS]


def await_posts(tocsin: Tocsin, history: History, count: int) -> None:
    wanted = len(history.acked) + count
    tocsin.wait_for(lambda: len(history.acked) >= wanted, "nothing is acknowledged")


@pytest.mark.robustness
@pytest.mark.timeout(3600 if LONG else 120)
def test_r15_reload_under_load(tmp_path: Path) -> None:
    history = History()
    tocsin = Tocsin(tmp_path / "tocsin")
    write_version(tocsin, 0)
    with tocsin:
        tocsin.start()
        with load(tocsin, history, seed=15, pause=0.05):
            for version in range(1, VERSIONS + 1):
                write_version(tocsin, version)
                assert tocsin.process is not None
                if version % 5 != 3:
                    # Else the change is to be noticed without being told.
                    tocsin.process.send_signal(signal.SIGHUP)
                if is_faulty(version):
                    tocsin.wait_for(lambda: faults(tocsin) > 0, "the fault is not shown")
                    assert "changing.yml" in tocsin.shown()
                    assert tocsin.readyz()["ready"]
                elif is_faulty(version - 1):
                    # Else the next fault could be taken for shown when it is this one.
                    tocsin.wait_for(lambda: faults(tocsin) == 0, "the fault is still shown")
                await_posts(tocsin, history, 5)
        tocsin.drain()
        assert tocsin.stop()[0] == 0
        assert not tocsin.exits()
        oracle = Oracle(tocsin.rules).alerts(history.acked_bodies).values()
        expected = {
            alert.event and alert.event.audit_id for alert in oracle if alert.rule.id == MARKED
        }
        stored = tocsin.alerts()
    constant = {a.event and a.event.audit_id for a in stored if a.rule.id == MARKED}
    changing = [a for a in stored if a.rule.title.startswith("Version")]
    seen = Counter(a.event and a.event.audit_id for a in changing)
    assert expected <= constant, "an event was not evaluated during a reload"
    assert seen.keys() == constant, "an event was evaluated without the rule that changes"
    assert set(seen.values()) == {1}, "an event was evaluated under two versions"
    versions = [int(a.rule.id[-12:]) for a in changing]
    assert versions == sorted(versions), "an older version came back"
    assert not any(is_faulty(version) for version in versions), "a faulty file was in force"
    assert len(set(versions)) > VERSIONS / 4
    print(f"{len(set(versions))} of {VERSIONS} versions met events, {len(constant)} events")
