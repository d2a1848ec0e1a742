"""The corpus of hostile bodies: bars S1 to S4, S6 and S9. Every source is fed from here.

`values` are JSON values, well formed or not, to stand anywhere in an event; `bodies` are
whole posts; `bad_items` what may stand in a list among good events; `variants` are ways to
write or pad one and the same event, none of which may change what is found.
"""

import json
from collections.abc import Iterator

from tests.unit.audit import encoded, event_list, item

DEPTH = 100_000


def values() -> Iterator[tuple[str, bytes]]:
    """Yield JSON values that decoders disagree about."""
    yield "duplicate keys", b'{"b":"first","b":"last"}'
    yield "NaN", b"NaN"
    yield "-Infinity", b"-Infinity"
    yield "1e999", b"1e999"
    yield "lone surrogate", b'"\\ud800"'
    yield "NUL escape", b'"\\u0000"'
    yield "invalid UTF-8", b'"\xff"'
    yield "overlong UTF-8", b'"\xc0\xaf"'
    yield "2^53+1", b"9007199254740993"
    yield "2^64", b"18446744073709551616"
    yield "0.10", b"0.10"
    yield "4301 digits", b"1" * 4301
    yield "10^6 digits", b"1" * 10**6
    yield "depth 900", b"[" * 900 + b"]" * 900
    yield "depth 5000", b"[" * 5000 + b"]" * 5000
    yield "deep arrays", b"[" * DEPTH + b"]" * DEPTH
    yield "deep objects", b'{"a":' * DEPTH + b"1" + b"}" * DEPTH
    yield "key __class__", b'{"__class__":{"__init__":1}}'
    yield "raw control byte", b'"\x01"'
    yield "bad escape", b'"\\x41"'
    yield "trailing comma", b"[1,]"
    yield "comment", b"[1/**/]"
    yield "single quotes", b"'a'"


def with_value(value: bytes) -> bytes:
    """Return an event with the value in its request body, where a rule looks."""
    return encoded(item(requestObject={"spec": {"a": "@"}})).replace(b'"@"', value)


def bodies() -> Iterator[tuple[str, bytes]]:
    """Yield whole posts that are no list of events, or not only one."""
    good = encoded(item())
    whole = event_list([good])
    yield "empty", b""
    yield "blank", b" \r\n\t "
    yield "byte order mark", b"\xef\xbb\xbf" + whole
    yield "only a byte order mark", b"\xef\xbb\xbf"
    yield "trailing garbage", whole + b" trash"
    yield "two documents", whole + whole
    yield "truncated in an event", whole[:-20]
    yield "truncated after an event", whole[:-2]
    yield "truncated after a comma", whole[:-2] + b","
    yield "unclosed depth 10^6", b"[" * 10**6
    yield "unclosed objects", b'{"a":' * DEPTH
    yield "closing brackets", b"]}" * 1000
    yield "an unclosed string", b'{"items":["' + b"\\" * 10_001
    yield "no JSON", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    yield "zero bytes", b"\x00" * 1000
    yield "UTF-16", whole.decode().encode("utf-16")
    yield "a number", b"17"
    yield "null", b"null"
    yield "a string", b'"items"'
    yield "no items", b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1"}'
    yield "items is no list", b'{"kind":"EventList","items":{"a":[{}]}}'
    yield "empty list", b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[]}'
    yield "another kind", whole.replace(b'"EventList"', b'"PodList"')
    yield "another group", whole.replace(b"audit.k8s.io/v1", b"evil.example.org/v1")
    yield "array with trash", b"[" + good + b"] trash"
    yield "array without comma", b"[" + good + b" " + good + b"]"


def bad_items() -> Iterator[tuple[str, bytes]]:
    """Yield what a list may hold instead of an event."""
    yield "wrong type", encoded(item(user=7))
    yield "wrong types", encoded(item(sourceIPs={"a": 1}, annotations=[1], responseStatus="x"))
    yield "missing auditID", encoded(item(auditID=None))
    yield "another kind", encoded({"kind": "Pod", "apiVersion": "v1", **item()})
    yield "a pod", encoded({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web"}})
    yield "an empty object", b"{}"
    yield "an object of other things", b'{"a":{"verb":"create"},"b":[1,2,3]}'
    yield "null", b"null"
    yield "number", b"17"
    yield "list", b'[{"verb":"create"},[]]'
    yield "text", b'"requestURI and verb"'
    yield (
        "code of a million digits",
        encoded(item(responseStatus={"code": "@"})).replace(b'"@"', b"1" * 10**6),
    )
    refused = (
        *("NaN", "-Infinity", "lone surrogate", "invalid UTF-8", "overlong UTF-8", "10^6 digits"),
        *("deep arrays", "deep objects", "raw control byte", "bad escape", "trailing comma"),
    )
    for name, value in values():
        if name in refused:
            yield name, with_value(value)


def privileged_pod() -> dict[str, object]:
    """Return an event that the rules of the tests look for."""
    container = {"name": "c", "image": "i", "securityContext": {"privileged": True}}
    metadata = {"name": "web", "namespace": "shop"}
    return item(
        requestObject={"kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
    )


def escaped(value: object) -> str:
    """Return JSON with every character of every text as a Unicode escape."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{escaped(k)}:{escaped(each)}" for k, each in value.items()) + "}"
    if isinstance(value, list):
        return f"[{','.join(map(escaped, value))}]"
    if isinstance(value, str):
        return '"' + "".join(f"\\u{ord(character):04x}" for character in value) + '"'
    return json.dumps(value)


def backwards(value: object) -> object:
    """Return the same JSON with the keys of every object in reverse order."""
    if isinstance(value, dict):
        return {key: backwards(each) for key, each in reversed(value.items())}
    return [backwards(each) for each in value] if isinstance(value, list) else value


def variants() -> Iterator[tuple[str, bytes]]:
    """Yield bodies with `privileged_pod`, written or padded differently."""
    plain = encoded(privileged_pod())
    body = privileged_pod()["requestObject"]
    assert isinstance(body, dict)
    pad = b"x" * 1_500_000
    annotated = body | {"metadata": {"annotations": {"pad": "x" * 262_144}}}
    env = [{"name": f"N{number}", "value": "x" * 1024} for number in range(1024)]
    (container,) = body["spec"]["containers"]
    padded = body | {"spec": {"containers": [{"env": env, **container}]}}
    surplus = '"impersonatedUser":null,"metadata":null,"objectRef":null,'
    yield "plain", event_list([plain])
    yield "256 KiB of annotations", event_list([encoded(item(requestObject=annotated))])
    yield "1 MiB of environment", event_list([encoded(item(requestObject=padded))])
    yield "1.5 MB in front", event_list([b'{"pad":"%s",' % pad + plain[1:]])
    yield "1.5 MB at the end", event_list([plain[:-1] + b',"pad":"%s"}' % pad])
    yield "escapes", event_list([escaped(privileged_pod()).encode()])
    yield "keys backwards", event_list([encoded(dict(reversed(privileged_pod().items())))])
    yield "all keys backwards", event_list([json.dumps(backwards(privileged_pod())).encode()])
    yield "nulls and earlier duplicates", event_list([b"{" + surplus.encode() + plain[1:]])
    yield "laid out in lines", json.dumps({"items": [privileged_pod()]}, indent=4).encode()
    yield "byte order mark", b"\xef\xbb\xbf" + event_list([plain])
    yield "log line", b'{"kind":"Event","apiVersion":"audit.k8s.io/v1",' + plain[1:] + b"\n"
    yield "one event", plain
    yield "array", b"[" + plain + b"]"
    yield "array of lists", b"[" + event_list([]) + b"," + event_list([plain]) + b"]"
    yield "Windows line ends", b"\r\n" + plain + b"\r\n"
    yield "beside something bad", event_list([b'{"a":NaN}', plain, b"7"])
    yield "with a lone surrogate", event_list([plain.replace(b'"image":"i"', b'"image":"\\uDC00"')])
    yield "with invalid UTF-8", event_list([plain.replace(b'"image":"i"', b'"image":"\xff"')])
    yield "in a body cut off", event_list([plain])[:-2] + b',{"auditID":"x'


def corpus() -> Iterator[tuple[str, bytes]]:
    """Yield every hostile body, with a name that is unique."""
    for name, body in bodies():
        yield f"body: {name}", body
    for name, value in values():
        yield f"value: {name}", event_list([with_value(value)])
    for name, bad in bad_items():
        yield f"item: {name}", event_list([encoded(item()), bad, encoded(item())])
    for name, body in variants():
        yield f"variant: {name}", body
