"""What Vector and Fluent Bit post, by their documentation, through the real webhook."""

import gzip
import json
from collections.abc import Iterator

import pytest

from tests.unit.audit import encoded, event_list, item
from tests.unit.ingest.receiver import Receiver, running
from tocsin.detect.identity import event_digest
from tocsin.normalize.decode import decode

EVENTS = [encoded(item(auditID=f"a{number}", userAgent='"ä\\ ')) for number in range(20)]
LINES = [b'{"kind":"Event","apiVersion":"audit.k8s.io/v1",' + one[1:] for one in EVENTS]

BODIES = {
    "Vector, text": b"\n".join(LINES),
    "Vector, json": json.dumps(
        [{"message": line.decode(), "host": "cp"} for line in LINES]
    ).encode(),
    "Fluent Bit, json_lines": b"\n".join(
        json.dumps({"log": line.decode()}, ensure_ascii=False).encode() for line in LINES
    ),
    "Fluent Bit, json": json.dumps(
        [{"date": 1766400000.25, "log": line.decode()} for line in LINES]
    ).encode(),
}


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with running(tmp_path_factory.mktemp("receiver"), gzip=True) as receiver:
        yield receiver


def digests(body: bytes) -> list[str]:
    batch = decode(body)
    assert not batch.rejects
    return [event_digest("prod", event, batch.raw(n)) for n, event in enumerate(batch.events)]


@pytest.mark.parametrize("form", BODIES)
@pytest.mark.parametrize("packed", [False, True])
def test_events_keep_their_digests(receiver: Receiver, form: str, *, packed: bool) -> None:
    receiver.reset()
    body = gzip.compress(BODIES[form]) if packed else BODIES[form]
    headers = {"Content-Encoding": "gzip"} if packed else {}
    with receiver.token_client() as client:
        answer = client.post("/v1/audit/prod/cp-1?source=file", content=body, headers=headers)
    assert answer.status_code == 200
    [post] = receiver.posts()
    assert (post.meta.source, post.meta.node) == ("file", "cp-1")
    assert digests(post.body()) == digests(event_list(EVENTS))
