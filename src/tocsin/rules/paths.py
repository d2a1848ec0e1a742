"""Field paths: dots descend into objects, lists fan out, keys may contain dots.

`annotations.authorization.k8s.io/decision` is the key `authorization.k8s.io/decision` of
`annotations`: where an object's keys are free text, the longest key that is there wins.
Free text are the keys of a few well-known objects (labels, annotations, ...) and every key
with a slash; the fields of the Kubernetes API itself contain neither dots nor slashes, and
looking for dotted keys among them would let an attacker's key hide a real field.
"""

from collections.abc import Iterator
from functools import lru_cache

# A path of more segments cannot be compiled (Python nests 20 blocks) and has no use.
MAX_SEGMENTS = 16
# Keys with slashes may begin and end at any dot: each further one multiplies what to try.
MAX_SLASHES = 2

FREE_KEYS = frozenset(
    {
        "allocatable",
        "annotations",
        "attributes",
        "binaryData",
        "capacity",
        "data",
        "extra",
        "labels",
        "limits",
        "matchLabels",
        "nodeSelector",
        "parameters",
        "requests",
        "selector",
        "stringData",
    }
)


class PathError(ValueError):
    """A field path that cannot be followed, with the reason."""


def split(path: str) -> tuple[str, ...]:
    """Return the segments of a path; a trailing `[]`, as some tools write it, is dropped.

    Raises:
        PathError: the path has an empty segment, an index, too many segments or slashes.
    """
    segments = tuple(part.removesuffix("[]") for part in path.split("."))
    if not all(segments):
        message = f"field path {path!r} has an empty part"
        raise PathError(message)
    if any("[" in segment for segment in segments):
        message = f"field path {path!r} has an index: lists are searched, not indexed"
        raise PathError(message)
    if len(segments) > MAX_SEGMENTS:
        message = f"field path {path!r} has more than {MAX_SEGMENTS} parts"
        raise PathError(message)
    if sum("/" in segment for segment in segments) > MAX_SLASHES:
        message = f"field path {path!r} has more than {MAX_SLASHES} parts with a slash"
        raise PathError(message)
    return segments


def last_segment(name: str) -> str:
    """Return the part of a field name after its last dot."""
    return name.rpartition(".")[2]


@lru_cache(maxsize=4096)
def key_lengths(segments: tuple[str, ...], parent: str | None) -> tuple[int, ...]:
    """Return how many segments the next key may take up, in the order to try them.

    `parent` is the key that led to the object whose keys are looked at.
    """
    if parent in FREE_KEYS:
        return tuple(range(len(segments), 0, -1))
    slash = next((i for i, segment in enumerate(segments) if "/" in segment), None)
    if slash is None:
        return (1,)
    with_slash = range(len(segments), slash, -1)
    return (*with_slash, 1) if slash else tuple(with_slash)


def values(node: object, segments: tuple[str, ...], parent: str | None = None) -> Iterator[object]:
    """Yield the values at a path below `node`; nulls are left out, a list yields its elements.

    A list directly inside a list is not opened: the Kubernetes API has none.
    """
    for item in node if type(node) is list else (node,):
        if not segments:
            if item is not None:
                yield item
        elif type(item) is dict:
            for length in key_lengths(segments, parent):
                key = ".".join(segments[:length])
                if key in item:
                    yield from values(item[key], segments[length:], key)
                    break
