"""Whatever is sent, in whatever order of restarts and sizes, comes back as it was sent."""

import tempfile
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool import (
    Post,
    PostMeta,
    Source,
    SpoolReader,
    SpoolSettings,
    SpoolWriter,
    upload,
)

SEALER = Sealer(bytes(32))
SETTINGS = SpoolSettings(min_free_bytes=0, max_file_bytes=2_000, tick_seconds=0.001)
PIECE = 100

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
metas = st.builds(
    PostMeta,
    cluster=texts,
    node=st.none() | texts,
    peer=st.none() | texts,
    source=st.sampled_from(get_args(Source)),
    received=st.integers(-(2**63), 2**63 - 1),
)
bodies = st.binary(max_size=400)
lives = st.lists(st.lists(st.tuples(metas, bodies, st.booleans()), max_size=6), max_size=3)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "PIECE_BYTES", PIECE)


def put(writer: SpoolWriter, meta: PostMeta, body: bytes, *, in_pieces: bool) -> int:
    if not in_pieces:
        return writer.append(meta, body).result()
    pieces = writer.upload(meta)
    for at in range(0, len(body), 70):
        pieces.write(body[at : at + 70]).result()
    return pieces.commit().result()


@pytest.mark.timeout(60)
@settings(deadline=None, max_examples=20)
@given(lives, st.integers(1, 7))
def test_everything_comes_back(
    posts_of_lives: list[list[tuple[PostMeta, bytes, bool]]], limit: int
) -> None:
    sent: list[tuple[int, PostMeta, bytes]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for posts in posts_of_lives:
            with closing(SpoolWriter(folder, SEALER, SETTINGS)) as writer:
                for meta, body, in_pieces in posts:
                    sent.append((put(writer, meta, body, in_pieces=in_pieces), meta, body))
        reader = SpoolReader(folder, SEALER, "reader")
        found: list[tuple[int, PostMeta, bytes]] = []
        while items := reader.read(found[-1][0] if found else 0, limit):
            assert len(items) <= limit
            for item in items:
                assert isinstance(item, Post)
                found.append((item.seq, item.meta, item.body()))
    assert found == sent
    assert [seq for seq, _, _ in sent] == list(range(1, len(sent) + 1))
