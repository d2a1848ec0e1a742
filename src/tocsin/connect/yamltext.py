"""Read YAML that a person named on the command line."""

from typing import Any

import yaml

from tocsin.model.errors import TocsinError


def parse_mapping(content: str | bytes, name: str) -> dict[str, Any]:
    """Return the one mapping that `content` holds; `name` is the file in an error."""
    try:
        document = yaml.safe_load(content)
    except (yaml.YAMLError, RecursionError) as error:
        problem = " ".join(str(error).split())
        message = f"{name} is not readable as YAML: {problem}"
        raise TocsinError(message) from error
    if not isinstance(document, dict):
        message = f"{name} is not a Kubernetes object: it holds no mapping"
        raise TocsinError(message)
    return document
