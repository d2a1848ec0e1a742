"""Commands that really run, against an API server of a few lines."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.unit.respond.command.alerts import alert_on
from tocsin.model.alert import Alert
from tocsin.model.response import Entry, ObjectRef, Plan
from tocsin.respond.actions.base import Acting, Prepared, Refusal
from tocsin.respond.actions.command import Command
from tocsin.respond.cluster import ApiCluster
from tocsin.respond.command.dialogue import Table
from tocsin.respond.command.job import Surroundings

RESPONSE = "a" * 32
PATH = "/api/v1/namespaces/shop/pods/web"
CREATED = "2026-11-23T10:00:00Z"


@dataclass
class Runs:
    """Surroundings of commands, and what became of them."""

    folder: Path
    alert: Alert = field(default_factory=lambda: alert_on(fields={"pod": "web", "ns": "shop"}))
    notes: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    requests: list[httpx2.Request] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    uid: str = "u-1"
    now: float = 1000.0
    stopped: bool = False
    marks: int = 0
    table: Table = field(default_factory=Table)

    def script(self, name: str, text: str) -> Path:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def command(self) -> Command:
        return Command(
            Surroundings(
                clients=lambda _: self.client,
                alert=lambda _: self.alert,
                shown=lambda alert: {"id": alert.id},
                stopped=lambda: self.stopped,
                refused=lambda _, words: self.refused.extend(words),
                clean=lambda text: text,
                clock=lambda: self.now,
                folder=self.folder,
                path=f"{self.folder / 'bin'}:/usr/bin:/bin",
                table=self.table,
            )
        )

    @property
    def client(self) -> httpx2.Client:
        return httpx2.Client(
            base_url="https://api",
            transport=httpx2.MockTransport(self._answer),
            headers={"Authorization": "Bearer ours"},
        )

    @property
    def api(self) -> ApiCluster:
        return ApiCluster("prod", self.client)

    def prepare(
        self,
        executable: str,
        *words: str,
        fields: dict[str, object] | None = None,
        response: str = RESPONSE,
        **more: object,
    ) -> Prepared | Refusal:
        if fields is not None:
            self.alert = alert_on(fields=fields)
        return self.command().prepare(
            Plan(
                id=response,
                cluster="prod",
                rule="r",
                action="command",
                parameters={"executable": executable, "arguments": list(words), **more},
                target=ObjectRef(resource="pods", namespace="shop", name="web", uid="u-1"),
                alert_id=self.alert.id,
                asked_at=0.0,
            ),
            self.api,
        )

    def apply(self, prepared: Prepared | Refusal) -> Command:
        assert isinstance(prepared, Prepared), prepared
        command = self.command()
        command.apply(prepared, self.acting())
        return command

    def acting(self) -> Acting:
        return Acting(self.api, self._mark, lambda text, data: self.notes.append((text, data)))

    def entries(self) -> Sequence[Entry]:
        return [
            Entry(seq=number, time=0.0, response=RESPONSE, state=None, text=text, data=dict(data))
            for number, (text, data) in enumerate(self.notes, 1)
        ]

    def _mark(self) -> str:
        self.marks += 1
        return f"mark-{self.marks}"

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        code = self.answers.get(request.method, 200)
        metadata = {"name": "web", "namespace": "shop", "uid": self.uid}
        pod: dict[str, Any] = {
            "kind": "Pod",
            "metadata": {**metadata, "creationTimestamp": CREATED},
        }
        return httpx2.Response(code, json=pod)


def runs_in(folder: Path) -> Runs:
    return Runs(folder)


def assert_gone(pid: int) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except FileNotFoundError:
            return
    pytest.fail(f"process {pid} still runs")
