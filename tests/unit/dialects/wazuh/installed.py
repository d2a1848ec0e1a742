"""Installations from a few lines of XML, for tests."""

from collections.abc import Mapping

from tocsin.dialects.wazuh.evaluate import Result, Session, Thresholds
from tocsin.dialects.wazuh.install import Files, Installation, install

BASE = (
    '<rule id="100000" level="0"><decoded_as>json</decoded_as>'
    "<description>root</description></rule>"
)


def installed(
    rules: str,
    decoders: str = "",
    *,
    lists: Mapping[str, str] | None = None,
    strict: bool = True,
) -> Installation:
    """Load rules below rule 100000, which matches every JSON log."""
    text = f'<group name="t,">{BASE}\n{rules}</group>'
    decoder_files = (("local_decoder.xml", decoders),) if decoders else ()
    return install(Files(decoder_files, (("local_rules.xml", text),), lists), strict=strict)


class Clock:
    """Time as a test sets it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def session(installation: Installation, clock: Clock | None = None) -> Session:
    return installation.session(clock or Clock(), Thresholds(alert=1))


def rule_of(result: Result) -> int | None:
    return result.rule.id if result.rule else None


def rule(
    number: int, level: int, content: str, *, parent: int = 100000, attributes: str = ""
) -> str:
    return (
        f'<rule id="{number}" level="{level}"{attributes}><if_sid>{parent}</if_sid>{content}'
        f"<description>rule {number}</description></rule>\n"
    )
