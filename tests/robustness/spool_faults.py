"""Runs lives of a spool with failing file calls; started under the fault-injecting library.

    LD_PRELOAD=<library> python -m tests.robustness.spool_faults <library> <folder> <rounds>

`rounds` is JSON: a list of [call, times, failure]. Prints one JSON object per round.
"""

import ctypes
import json
import logging
import shutil
import sys
from pathlib import Path

from tests.robustness.spool_scenario import STARTS, Life, make_small


def one_round(library: ctypes.CDLL, folder: Path, call: int, times: int, failure: int) -> object:
    """Live with calls `call` to `call + times - 1` failing; call 0 never comes."""
    folder.mkdir()
    life = Life(folder / "spool", seed=call, starts=STARTS + times)
    library.fault_arm(str(folder / "spool").encode(), call, times, failure)
    life.run()
    failed = library.fault_last().decode()
    calls = library.fault_calls()
    library.fault_disarm()
    errors = life.check()
    shutil.rmtree(folder)
    return {
        "round": [call, times, failure],
        "calls": calls,
        "failed": failed,
        "errors": errors,
        "acked": len(life.acked),
    }


def main(library_path: str, folder: str, rounds: str) -> None:
    logging.disable(logging.CRITICAL)
    make_small()
    library = ctypes.CDLL(library_path)
    library.fault_arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_long, ctypes.c_int]
    library.fault_calls.restype = ctypes.c_long
    library.fault_last.restype = ctypes.c_char_p
    for index, (call, times, failure) in enumerate(json.loads(rounds)):
        result = one_round(library, Path(folder) / f"{index}", call, times, failure)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
