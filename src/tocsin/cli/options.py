"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from tocsin.runtime.config import Config, load_config

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", metavar="FILE", help="Configuration (tocsin.yaml).")
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Data folder.", show_default="./tocsin-data"),
]


def read_config(config: Path | None, data: Path | None = None) -> Config:
    """Return the configuration, with a data folder from the command line over it."""
    return load_config(config, data=data)
