"""Commands that really run: what they are told, what they may ask for, and what becomes of it."""

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.unit.respond.command.runs import PATH, Runs, assert_gone, runs_in
from tocsin.model.alert import Target
from tocsin.respond.actions.base import ApiError, Prepared, Refusal
from tocsin.respond.command.dialogue import Table

# Asks the API server through the kubeconfig, as its arguments say: METHOD PATH.
ASKER = f"""#!{sys.executable} -IS
import json, os, sys, urllib.error, urllib.request
config = json.load(open(os.environ["KUBECONFIG"]))
url = config["clusters"][0]["cluster"]["server"]
for pair in sys.argv[1:]:
    method, path = pair.split("+")
    headers = {{"Authorization": "Bearer theirs", "Impersonate-User": "root", "Audit-ID": "x"}}
    request = urllib.request.Request(url + path, method=method, headers=headers)
    try:
        print(urllib.request.urlopen(request, timeout=20).status)
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode())
"""
# Of the stock protocol: asks for its keys, and notes all that it is told.
WAZUHS = """#!/bin/sh
read line; echo "$line" >> "$0.told"
case "$line" in *'"command":"add"'*)
  echo '{"version":1,"origin":{"name":"x","module":"active-response"},'\\
'"command":"check_keys","parameters":{"keys":["k"]}}'
  read line; echo "$line" >> "$0.told";;
esac
"""


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return runs_in(tmp_path)


def asked(runs: Runs, *pairs: str, verbs: Sequence[str] = ("delete",)) -> Prepared:
    runs.script("asker", ASKER)
    prepared = runs.prepare("asker", *pairs, verbs=list(verbs))
    assert isinstance(prepared, Prepared), prepared
    runs.requests.clear()
    return prepared


def told(runs: Runs) -> list[str]:
    lines = (runs.folder / "bin" / "script.told").read_text().splitlines()
    return [json.loads(line)["command"] for line in lines]


def wazuhs(runs: Runs, response: str = "a" * 32, timeouts: Sequence[float] = (60.0,)) -> Prepared:
    path = runs.script("script", WAZUHS)
    prepared = runs.prepare(
        "script",
        "one",
        response=response,
        active_response_bin=str(path.parent),
        timeouts=list(timeouts),
    )
    assert isinstance(prepared, Prepared), prepared
    return prepared


def test_the_planned_call_is_made_with_our_credential_mark_and_precondition(runs: Runs) -> None:
    """A5, and the loop: what is asked, answered, and ended stands in the journal."""
    prepared = asked(runs, f"DELETE+{PATH}")
    runs.apply(prepared)
    (request,) = runs.requests
    assert (request.method, request.url.path) == ("DELETE", PATH)
    assert request.headers["Authorization"] == "Bearer ours"
    assert request.headers["Audit-ID"] == "mark-1"
    assert "Impersonate-User" not in request.headers
    assert json.loads(request.content)["preconditions"] == {"uid": "u-1"}
    data = [data for _, data in runs.notes]
    assert data[0]["argv"] == [str(runs.folder / "bin/asker"), f"DELETE+{PATH}"]
    assert data[1]["audit_id"] == data[2]["audit_id"] == "mark-1"
    assert data[2]["answer"] == {"code": 200}
    assert (data[3]["exit_code"], data[3]["stdout"]) == (0, "200\n")


def test_reading_does_not_take_the_mark_that_was_announced(runs: Runs) -> None:
    runs.apply(asked(runs, "GET+/api", f"GET+{PATH}", f"DELETE+{PATH}"))
    assert [one.headers["Audit-ID"] for one in runs.requests] == ["mark-2", "mark-3", "mark-1"]


@pytest.mark.parametrize(
    "pair",
    [
        "DELETE+/api/v1/namespaces/shop/pods/other",
        "DELETE+/api/v1/namespaces/default/pods/web",
        "DELETE+/api/v1/namespaces/shop/pods",
        f"POST+{PATH}/exec?command=sh",
        f"PATCH+{PATH}",
        "GET+/api/v1/secrets",
        "DELETE+/api/v1/namespaces/shop/pods/%2e%2e/web",
    ],
)
def test_what_is_not_planned_is_refused_and_told(runs: Runs, pair: str) -> None:
    prepared = asked(runs, pair)
    with pytest.raises(ApiError, match="no change"):
        runs.apply(prepared)
    assert runs.requests == []
    assert len(runs.refused) == 1
    assert "403" in str(runs.notes[-1][1]["stdout"])


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (400, "invalid"),
        (403, "denied"),
        (404, "gone"),
        (409, "changed"),
        (429, "busy"),
        (500, "unknown"),
        (503, "unknown"),
    ],
)
def test_answers_of_the_api_server(runs: Runs, code: int, failure: str) -> None:
    """A12."""
    runs.answers["DELETE"] = code
    with pytest.raises(ApiError) as raised:
        runs.apply(asked(runs, f"DELETE+{PATH}"))
    assert raised.value.failure == failure


def test_the_secret_of_the_address_is_needed(runs: Runs) -> None:
    script = ASKER.replace('["server"]', '["server"].rpartition("/")[0] + "/" + "0" * 48')
    runs.script("asker", script)
    with pytest.raises(ApiError, match="no change"):
        runs.apply(runs.prepare("asker", f"DELETE+{PATH}", verbs=["delete"]))
    assert [one.method for one in runs.requests] == ["GET"]


def test_the_kill_switch_stops_a_change_of_a_running_command(runs: Runs) -> None:
    """A15."""
    runs.script("asker", ASKER)
    prepared = runs.prepare("asker", f"DELETE+{PATH}", verbs=["delete"])
    assert isinstance(prepared, Prepared)
    runs.stopped = True
    with pytest.raises(ApiError):
        runs.apply(prepared)
    assert [one.method for one in runs.requests] == ["GET"]


def test_nothing_is_left_of_a_run(runs: Runs) -> None:
    runs.apply(asked(runs, f"DELETE+{PATH}"))
    assert [path.name for path in runs.folder.iterdir()] == ["bin"]


def test_a_command_that_hangs_leaves_an_unknown_state(runs: Runs) -> None:
    runs.script("sleeper", "#!/bin/sh\nsleep 60\n")
    with pytest.raises(ApiError, match=r"killed after 0\.3 s") as raised:
        runs.apply(runs.prepare("sleeper", timeout_seconds=0.3))
    assert raised.value.failure == "unknown"


def test_what_a_script_did_is_known_by_its_exit_code_alone(runs: Runs) -> None:
    """A17: another process, after a crash, says that it does not know."""
    runs.script("fine", "#!/bin/sh\nexit 0\n")
    prepared = runs.prepare("fine")
    assert isinstance(prepared, Prepared)
    assert runs.apply(prepared).confirmed(prepared, runs.api)
    with pytest.raises(ApiError, match="cannot be read back"):
        runs.command().confirmed(prepared, runs.api)
    runs.script("bad", "#!/bin/sh\nexit 1\n")
    with pytest.raises(ApiError, match="nobody knows"):
        runs.apply(runs.prepare("bad"))


def test_a_deletion_is_read_back(runs: Runs) -> None:
    """A17."""
    prepared = asked(runs, f"DELETE+{PATH}")
    command = runs.apply(prepared)
    assert not command.confirmed(prepared, runs.api)
    runs.uid = "u-2"
    assert command.confirmed(prepared, runs.api)


def test_kubectl_is_never_run_again_without_an_inverse(runs: Runs) -> None:
    runs.script("kubectl", "#!/bin/sh\necho 'pod \"web\" deleted'\n")
    prepared = runs.prepare("kubectl", "delete", "pod", "$(pod)", "-n", "$(ns)", timeouts=[60.0])
    assert isinstance(prepared, Prepared)
    assert prepared.calls[0].verb == "delete"
    refusal = runs.command().undo(prepared, runs.api)
    assert isinstance(refusal, Refusal)
    assert "no command is named" in refusal.reason


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("delete deployment $(pod) -n $(ns)", "the command is about deployments shop/web"),
        ("delete pod $(pod)", "the command is about pods default/web"),
        ("delete pod $(pod) -n other", "the command is about pods other/web"),
        ("delete pod $(missing) -n $(ns)", "$(missing) is empty"),
        ("delete pods --all", "may not be used"),
    ],
)
def test_arguments_that_are_not_about_the_alerts_object(
    runs: Runs, words: str, reason: str
) -> None:
    runs.script("kubectl", "#!/bin/sh\n")
    refusal = runs.prepare("kubectl", *words.split())
    assert isinstance(refusal, Refusal)
    assert reason in refusal.reason


def test_a_deployment_of_that_name_is_not_its_pod(runs: Runs) -> None:
    """The common rule also hits Deployments."""
    runs.alert.target = Target(
        verb="create", api_group="apps", resource="deployments", namespace="shop", name="web"
    )
    target = runs.command().target(runs.alert)
    assert not isinstance(target, Refusal)
    assert target.resource == "deployments"


def test_an_object_that_was_made_anew_is_refused(runs: Runs) -> None:
    runs.script("fine", "#!/bin/sh\n")
    runs.uid = "u-2"
    assert isinstance(runs.prepare("fine"), Refusal)


def test_a_program_of_wazuh_is_asked_and_taken_back(runs: Runs) -> None:
    """A3: add, continue; after the timeout, also after a restart, delete."""
    prepared = wazuhs(runs)
    runs.apply(prepared)
    assert told(runs) == ["add", "continue"]
    runs.table = Table.from_entries(runs.entries())
    with pytest.raises(ApiError, match="over in 60 s") as raised:
        runs.command().undo(prepared, runs.api)
    assert raised.value.retry_after == 60.0
    runs.now += 60
    command = runs.command()
    assert command.undo(prepared, runs.api) == ()
    command.revert(prepared, runs.acting())
    assert told(runs) == ["add", "continue", "delete"]
    assert isinstance(command.undo(prepared, runs.api), Refusal)
    assert not Table.from_entries(runs.entries()).pending


def test_the_same_key_again_is_told_to_abort_and_renews_the_time(runs: Runs) -> None:
    """A3."""
    first, second = wazuhs(runs), wazuhs(runs, "c" * 32)
    runs.apply(first)
    runs.now += 30
    runs.apply(second)
    assert told(runs) == ["add", "continue", "add", "abort"]
    runs.now += 60
    assert isinstance(runs.command().undo(first, runs.api), Refusal)
    assert runs.command().undo(second, runs.api) == ()


def test_a_silent_program_of_wazuh_gets_no_delete(runs: Runs) -> None:
    path = runs.script("silent", "#!/bin/sh\ncat > /dev/null\n")
    prepared = runs.prepare("silent", active_response_bin=str(path.parent), timeouts=[60.0])
    assert isinstance(prepared, Prepared)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tocsin.respond.command.job.DIALOGUE_SECONDS", 0.2)
        runs.apply(prepared)
    assert isinstance(runs.command().undo(prepared, runs.api), Refusal)


def test_the_message_has_the_words_as_they_stand_in_the_file(runs: Runs) -> None:
    path = runs.script("teller", "#!/bin/sh\nhead -n 1\n")
    words = ["delete", "pod", "$(pod)"]
    runs.apply(runs.prepare("teller", *words, active_response_bin=str(path.parent)))
    line = json.loads(str(runs.notes[-1][1]["stdout"]))
    assert line["parameters"]["extra_args"] == words
    assert line["parameters"]["program"] == "active-response/bin/teller"
    assert line["parameters"]["alert"] == {"id": "b" * 32}


def test_strict_programs_are_wazuhs_own(runs: Runs) -> None:
    runs.script("kubectl", "#!/bin/sh\n")
    refusal = runs.prepare("kubectl", "x", active_response_bin="/none", strict=True)
    assert isinstance(refusal, Refusal)


@pytest.mark.parametrize("hangs", ["plain", "in the dialogue"])
def test_a_responder_that_ends_does_not_wait_for_a_program(runs: Runs, hangs: str) -> None:
    """It is killed with its group, well within the time that a process has to stop."""
    kept = runs.folder / "pids"
    text = f"#!/bin/sh\nsleep 300 &\necho $! $$ > {kept}\nsleep 300\n"
    program = runs.script("sleeper", text)
    prepared = runs.prepare(
        "sleeper",
        "$(pod)",
        verbs=["delete"],
        timeout_seconds=60,
        active_response_bin="" if hangs == "plain" else str(program.parent),
        strict=hangs != "plain",
    )
    asked: list[float] = []

    def stop_when_it_runs() -> None:
        wait_until(lambda: kept.exists() and len(kept.read_text().split()) == 2)
        asked.append(time.monotonic())
        runs.stopped = True

    thread = threading.Thread(target=stop_when_it_runs)
    thread.start()
    with pytest.raises(ApiError, match="killed after"):
        runs.apply(prepared)
    took = time.monotonic() - asked[0]
    thread.join()
    assert took < 3
    for pid in kept.read_text().split():
        assert_gone(int(pid))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
