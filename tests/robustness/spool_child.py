"""A process that writes to a spool until it is killed or has met every failpoint.

    python -m tests.robustness.spool_child <directory>

Prints `[number, first 32 characters of the body]` for each acknowledged post.
"""

import json
import logging
import secrets
import sys
import time
from pathlib import Path

from tests.robustness.spool_scenario import KEY, META, SETTINGS, make_small
from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool import Lost, SpoolReader, SpoolUnavailable, SpoolWriter

POSTS = 60


def main(directory: Path) -> None:
    logging.disable(logging.CRITICAL)
    make_small()
    writer = SpoolWriter(directory, Sealer(KEY), SETTINGS)
    reader = SpoolReader(directory, Sealer(KEY), "child")
    after = 0
    for number in range(POSTS):
        body = secrets.token_hex(100 + 900 * (number % 4))
        try:
            seq = writer.append(META, body.encode()).result()
        except SpoolUnavailable:
            time.sleep(0.01)
            continue
        print(json.dumps([seq, body[:32]]), flush=True)
        items = reader.read(after)
        if items:
            after = items[-1].last if isinstance(items[-1], Lost) else items[-1].seq
            reader.release(after)
        time.sleep(0.003)
    writer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
