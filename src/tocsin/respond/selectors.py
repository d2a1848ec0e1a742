"""Label selectors of Kubernetes, as controllers and network policies use them."""

from tocsin.model.manifest import Manifest, items_at, mapping_at, text_at, value_at


def selects(selector: Manifest, labels: Manifest) -> bool:
    """Return whether a label selector fits an object's labels; an empty one fits all."""
    wanted = mapping_at(selector, "matchLabels")
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in items_at(selector, "matchExpressions")
    )


def _holds(expression: Manifest, labels: Manifest) -> bool:
    key = text_at(expression, "key") or ""
    listed = value_at(expression, "values")
    values = listed if isinstance(listed, list) else []
    match text_at(expression, "operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
