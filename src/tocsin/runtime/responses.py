"""The responses that are in force: the operator's, then the shipped ones."""

import msgspec

from tocsin.dialects.yaml import read_documents
from tocsin.respond.settings import RespondSettings, ResponseRule
from tocsin.runtime.rules import content_folder


def response_rules(settings: RespondSettings) -> tuple[ResponseRule, ...]:
    """Return all responses; one of the operator's stands for a shipped one of the same name."""
    names = {rule.name for rule in settings.responses}
    shipped = shipped_responses() if settings.builtin else ()
    return (*settings.responses, *(rule for rule in shipped if rule.name not in names))


def shipped_responses() -> tuple[ResponseRule, ...]:
    """Return the responses that come with Tocsin."""
    path = content_folder() / "responses.yaml"
    document = read_documents(path.read_text(encoding="utf-8"), path.name)[0]
    return msgspec.convert(document.value, tuple[ResponseRule, ...])
