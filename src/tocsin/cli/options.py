"""Options that several commands share."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from tocsin.connect.distributions import DistributionName
from tocsin.model.errors import TocsinError
from tocsin.runtime.config import Config, load_config

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", metavar="FILE", help="Configuration (tocsin.yaml).")
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Data folder.", show_default="./tocsin-data"),
]
OutOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where the files go.", show_default="tocsin-setup/<cluster>"),
]
DistributionOption = Annotated[
    DistributionName | None, typer.Option(help="What made the cluster.", show_default="kubeadm")
]
NodeOption = Annotated[
    list[str] | None, typer.Option(help="Name of a control-plane node; repeat it for each.")
]
OwnDataOption = Annotated[
    Path, typer.Option(metavar="DIR", help="Tocsin's data folder, that of `tocsin serve`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print data instead of text.")]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str, option: str) -> timedelta:
    """Return the time that `30m`, `24h`, `7d`, `2w` or `0` means.

    Raises:
        TocsinError: it means none; the message names `option`.
    """
    unit = _UNITS.get(text[-1:])
    try:
        amount = float(text[:-1] if unit else text)
        duration = timedelta(**{unit or "seconds": amount})
    except (ValueError, OverflowError):
        duration = timedelta(-1)
    if duration < timedelta(0) or (duration and not unit):
        message = f"{option} {text!r} is no length of time such as 30m, 24h or 7d"
        raise TocsinError(message)
    return duration


def read_config(config: Path | None, data: Path | None = None) -> Config:
    """Return the configuration, with a data folder from the command line over it."""
    return load_config(config, data=data)
