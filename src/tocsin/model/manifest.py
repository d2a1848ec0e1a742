"""Reading parts of an object's JSON whose form nobody vouches for."""

from collections.abc import Mapping
from datetime import datetime
from typing import cast

import msgspec

from tocsin.model.response import ObjectRef

Manifest = Mapping[str, object]
"""An object as the API server has it; nobody vouches for its form."""

# Of a restored object the API server makes these itself.
_MADE_BY_SERVER = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


def value_at(manifest: Manifest, *keys: str) -> object:
    """Return what stands under nested keys, None if nothing does."""
    value: object = manifest
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def text_at(manifest: Manifest, *keys: str) -> str | None:
    """Return the text under nested keys."""
    value = value_at(manifest, *keys)
    return value if isinstance(value, str) else None


def number_at(manifest: Manifest, *keys: str) -> int:
    """Return the number under nested keys; the API leaves zeros out."""
    value = value_at(manifest, *keys)
    return value if isinstance(value, int) else 0


def mapping_at(manifest: Manifest, *keys: str) -> Manifest:
    """Return the object under nested keys, an empty one if there is none."""
    value = value_at(manifest, *keys)
    return cast("Manifest", value) if isinstance(value, Mapping) else {}


def items_at(manifest: Manifest, *keys: str) -> list[Manifest]:
    """Return the objects in the list under nested keys."""
    value = value_at(manifest, *keys)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def uid_of(manifest: Manifest) -> str:
    """Return the object's uid."""
    return text_at(manifest, "metadata", "uid") or ""


def created_at(manifest: Manifest) -> float | None:
    """Return when the object was created, in whole seconds since the epoch."""
    try:
        created = datetime.fromisoformat(text_at(manifest, "metadata", "creationTimestamp") or "")
    except ValueError:
        return None
    return created.timestamp()


def ref_to(ref: ObjectRef, manifest: Manifest) -> ObjectRef:
    """Return the reference with name, namespace and uid of a live object of its kind."""
    return msgspec.structs.replace(
        ref,
        namespace=text_at(manifest, "metadata", "namespace"),
        name=text_at(manifest, "metadata", "name") or "",
        uid=uid_of(manifest),
    )


def restorable(manifest: Manifest) -> dict[str, object]:
    """Return an object as it can be created again; its uid is necessarily another one then."""
    metadata = mapping_at(manifest, "metadata")
    kept = {key: value for key, value in metadata.items() if key not in _MADE_BY_SERVER}
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": kept}
