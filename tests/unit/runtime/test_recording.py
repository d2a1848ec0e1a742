import json

import pytest

from tocsin.normalize.decode import decode
from tocsin.runtime.recording import NAMES, bodies
from tocsin.runtime.rules import content_folder


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_holds_bodies_as_an_api_server_posts_them(name: str) -> None:
    posted = bodies(name)
    assert len(posted) > 50
    for body in posted:
        batch = decode(body)
        assert batch.events
        assert not batch.rejects


def test_every_recording_has_its_labels() -> None:
    folder = content_folder() / "demo"
    assert {path.name.split(".")[0] for path in folder.iterdir()} == set(NAMES)
    for name in NAMES:
        labels = (folder / f"{name}.labels.jsonl").read_text().splitlines()
        assert all(json.loads(label)["step"] for label in labels)


def test_the_policies_make_a_difference() -> None:
    seed, full = (sum(map(len, bodies(name))) for name in NAMES)
    assert full > seed
