"""YAML as people have it: read what they named on the command line, write what they copy."""

from typing import Any

import yaml
from typing_extensions import override

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


def dump_yaml(document: object) -> str:
    """Return `document` as people write YAML: keys in their order, texts of lines as blocks."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000)


class _Dumper(yaml.SafeDumper):
    """Writes strings of several lines as `|` blocks, and no aliases."""

    @override
    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _represent_text)
