"""What a child process tells the supervisor, once a second, over a pipe."""

import msgspec


class Report(msgspec.Struct, frozen=True):
    """The state of one process.

    Attributes:
        ready: whether it does its work.
        reason: why it does not, or what somebody should look at; empty when all is well.
        metrics: its metrics in the Prometheus text format.
    """

    ready: bool
    reason: str = ""
    metrics: bytes = b""


encode_report = msgspec.msgpack.Encoder().encode
decode_report = msgspec.msgpack.Decoder(Report).decode
