"""Options that several commands share."""

import os
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
    own = {} if data is None else {"TOCSIN__DATA": str(data)}
    return load_config(config, dict(os.environ) | own)
