"""What a child process tells the supervisor, once a second, over a pipe."""

import msgspec


class Report(msgspec.Struct, frozen=True):
    """The state of one process.

    Attributes:
        ready: whether it does its work.
        reason: why it does not; empty when it does.
        findings: what somebody should look at all the same.
        metrics: its metrics in the Prometheus text format.
    """

    ready: bool
    reason: str = ""
    findings: tuple[str, ...] = ()
    metrics: bytes = b""


encode_report = msgspec.msgpack.Encoder().encode
decode_report = msgspec.msgpack.Decoder(Report).decode
