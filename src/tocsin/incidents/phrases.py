"""One alert in plain words, without its actor, to be put into a sentence with others."""

from tocsin.incidents.entities import label, singular
from tocsin.incidents.words import NUMBERS
from tocsin.model.alert import Alert

_LONGEST = 160


def phrase_of(alert: Alert) -> str:
    """Return what the actor did, as in "read the Secrets of all namespaces".

    It is empty when the description is a sentence of its own.
    """
    actor = alert.actor.user
    if not actor or not alert.description.startswith(f"{actor} "):
        return ""
    phrase = alert.description.removeprefix(f"{actor} ").partition("; ")[0]
    verb, target = alert.target.verb, alert.target
    if verb:
        phrase = phrase.replace(f" ({verb})", "", 1)
    head, _, detail = phrase.partition(": ")
    if detail and verb and detail.startswith(f"{verb} ") and target.resource and target.name:
        # The request is named after the deed; only its object is news.
        detail = label(singular(target.resource), target.name, target.namespace)
    return cut(f"{head} ({detail})" if detail and detail not in head else head)


def cut(text: str) -> str:
    """Return the text, short enough for a sentence."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def person(user: str) -> str:
    """Return how a user is called in a sentence."""
    if user.startswith("system:serviceaccount:") and user.count(":") == 3:  # noqa: PLR2004 - namespace and name
        _, _, namespace, name = user.split(":")
        return cut(f"service account {namespace}/{name}")
    return cut(user)


def capital(text: str) -> str:
    """Return the text with a capital, unless it begins with the name of a user."""
    own = text.startswith(("service account ", "then ", *(f"{word} " for word in NUMBERS)))
    return f"{text[:1].upper()}{text[1:]}" if own else text
