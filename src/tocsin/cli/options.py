"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from tocsin.connect.distributions import DistributionName
from tocsin.model.errors import TocsinError
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.wazuhfiles import WazuhFiles

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
WazuhOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder with Wazuh files: decoders/, rules/, lists/, ossec.conf, or .xml files.",
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="With --wazuh: do exactly what Wazuh does.")
]
BuiltinOption = Annotated[
    bool, typer.Option("--builtin/--no-builtin", help="Use the rules that ship with Tocsin.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print data instead of text.")]


def wazuh_files(wazuh: Path | None, *, strict: bool) -> list[WazuhFiles]:
    """Return what `--wazuh` and `--strict` name.

    Raises:
        TocsinError: `--strict` without `--wazuh`.
    """
    if wazuh is None and strict:
        message = "--strict says how the rules of --wazuh work; name their folder by --wazuh DIR"
        raise TocsinError(message)
    return [] if wazuh is None else [WazuhFiles(folder=str(wazuh), strict=strict)]


def read_config(config: Path | None, data: Path | None = None) -> Config:
    """Return the configuration, with a data folder from the command line over it."""
    return load_config(config, data=data)
