"""The API server's audit flags, as the manifest on a control-plane node has them."""

import re
from collections.abc import Callable, Iterator

from tocsin.connect.manifest import ApiServerPod
from tocsin.runtime.doctor.finding import Finding, fault, ok, warning

CHECK = "flags"

POLICY = "--audit-policy-file"
WEBHOOK = "--audit-webhook-config-file"
LOG = "--audit-log-path"

_ANEW = "tocsin setup --advertise HOST:PORT --cluster NAME --manifest FILE shows what to change"
_LONG_WAIT_SECONDS = 5.0
_DEFAULT_WAIT = "30s"
_WHOLE_BODIES = 8 * 1024 * 1024
_DEFAULT_CUT = "102400"
_GO_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def judge(pod: ApiServerPod, webhook: str | None, exists: Callable[[str], bool]) -> list[Finding]:
    """Judge the audit flags and what the container sees of the node.

    Args:
        pod: how the API server is started.
        webhook: the webhook kubeconfig that is examined, as a path on the node.
        exists: whether a path is there on the node.
    """
    if POLICY not in pod.flags:
        why = "without a policy the API server records nothing at all, and says nothing of it"
        return [fault(CHECK, f"the API server has no {POLICY}", why, _ANEW)]
    found = [
        *_judge_sending(pod, webhook),
        *_judge_truncation(pod),
        *_judge_mounts(pod, exists),
    ]
    return found or [ok(CHECK, "the API server's audit flags are in order")]


def _judge_sending(pod: ApiServerPod, webhook: str | None) -> Iterator[Finding]:
    flags = pod.flags
    if WEBHOOK not in flags:
        why = "events leave the node only if somebody reads the audit log there"
        yield (warning if LOG in flags else fault)(
            CHECK, f"the API server has no {WEBHOOK}, so it sends nothing", why, _ANEW
        )
        return
    used = pod.on_node(flags[WEBHOOK])
    if None not in (webhook, used) and webhook != used:
        what = f"the API server goes by {used}, and this looks at {webhook}"
        yield warning(CHECK, what, "what is found here is not so for it", f"--webhook {used}")
    mode = flags.get("--audit-webhook-mode", "batch")
    if mode != "batch":
        yield fault(
            CHECK,
            f"--audit-webhook-mode={mode}",
            "while Tocsin does not answer, every request to the API server waits for minutes",
            "--audit-webhook-mode=batch",
        )
        return
    wait = flags.get("--audit-webhook-batch-max-wait", _DEFAULT_WAIT)
    if seconds(wait) > _LONG_WAIT_SECONDS:
        yield warning(
            CHECK,
            f"events wait up to {wait} in the API server before they are sent",
            "every alert comes that much later",
            "--audit-webhook-batch-max-wait=1s",
        )


def _judge_truncation(pod: ApiServerPod) -> Iterator[Finding]:
    for backend in ("webhook", "log"):
        if pod.flags.get(f"--audit-{backend}-truncate-enabled") != "true":
            continue
        flag = f"--audit-{backend}-truncate-max-event-size"
        size = pod.flags.get(flag, _DEFAULT_CUT)
        if size.isdecimal() and int(size) < _WHOLE_BODIES:
            yield warning(
                CHECK,
                f"{flag} is {size}: what is larger loses its body",
                "an attacker hides what a request holds by making it larger than that",
                f"{flag}={_WHOLE_BODIES}",
            )


def _judge_mounts(pod: ApiServerPod, exists: Callable[[str], bool]) -> Iterator[Finding]:
    for flag in (POLICY, WEBHOOK, LOG):
        path = pod.flags.get(flag)
        if path is None or path == "-":
            continue
        there = pod.on_node(path)
        if there is None:
            why = "the API server does not start, or writes where nobody finds it"
            what = f"{flag}={path} is in no folder of the node that the container sees"
            yield fault(CHECK, what, why, f"mount its folder (hostPath). {_ANEW}")
        elif flag != LOG and not exists(there):
            why = "the API server does not start without it"
            yield fault(CHECK, f"{flag}: there is no {there}", why, "copy the files of setup here")


def seconds(duration: str) -> float:
    """Return the seconds of a duration in Go's form, such as `1m30s`; 0 if it is none."""
    return sum(float(number) * _UNITS[unit] for number, unit in _GO_DURATION.findall(duration))


def log_growth(pod: ApiServerPod) -> int:
    """Return how large the audit log and what was rotated of it may become, in bytes."""
    sizes = (
        pod.flags.get("--audit-log-maxsize", "100"),
        pod.flags.get("--audit-log-maxbackup", "100"),
    )
    size, backups = (int(text) if text.isdecimal() else 0 for text in sizes)
    return size * (backups + 1) * 1_000_000
