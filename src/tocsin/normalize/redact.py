"""Take secrets out of text before it is kept: tokens, bearer strings, passwords in URIs.

Alerts quote request URIs, user agents, names and commands. None of these should hold a
secret, and all of them do now and then. What is taken out is replaced by a mark, so that a
reader sees that something stood there.
"""

from tocsin.rules.regex import replacer, searcher

MARK = "[redacted]"

# Names of query parameters, flags and fields whose value is a secret, whatever stands before
# them (access_token, PGPASSWORD); `secretName` and `tokenreviews` are no secrets.
_SENSITIVE = (
    r"[a-z0-9_-]*(?:access[_-]?key|api[_-]?key|authorization|credentials?|passwd|password|"
    r"passphrase|private[_-]?key|pwd|secret|token)|(?:[a-z0-9]+[_-])*pass"
)

_SECRETS = (
    # JSON Web Tokens, which service account tokens are.
    (r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?", MARK),
    # Authorization headers, also percent-encoded in a URI.
    (r"(?i)\b(bearer)(?:\s|\+|%20|:)+[a-z0-9._~+/=%-]{6,}", rf"\1 {MARK}"),
    (
        r"\b((?i:basic))(?:\s|\+|%20)+[A-Za-z0-9+/_%-]*[A-Z0-9=][A-Za-z0-9+/_%=-]{5,}",
        rf"\1 {MARK}",
    ),
    # name=value, "name": "value" and name: value, in URIs, commands and JSON-like text; not
    # name:value, as that is an image with its tag.
    (
        rf"(?i)(\b(?:{_SENSITIVE})(?:=|%3D|\"\s*:\s*\"?|:\s+\"?))[^\s&\"',;]+",
        rf"\1{MARK}",
    ),
    # --name value, as separate arguments of a command, also in the URI of an exec.
    (
        rf"(?i)((?:^|[^a-z0-9-])--?(?:{_SENSITIVE})(?:\s+|\+|%20|&command=))[^\s&\"',;]+",
        rf"\1{MARK}",
    ),
    # Bootstrap tokens of kubeadm.
    (r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b", MARK),
    # The user and password of a URL.
    (r"(://)[^/\s:@]*:[^/\s@]+@", rf"\1{MARK}@"),
)

_find_any = searcher("|".join(f"(?:{pattern})" for pattern, _ in _SECRETS))
_replacers = [replacer(pattern, replacement) for pattern, replacement in _SECRETS]


def holds_secret(text: str) -> bool:
    """Whether something in `text` looks like a secret."""
    return _find_any(text) is not None


def redact(text: str) -> str:
    """Return `text` with everything that looks like a secret replaced by a mark."""
    for replace in _replacers:
        text = replace(text)
    return text
