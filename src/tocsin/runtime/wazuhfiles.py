"""Where the files of a Wazuh installation are; `wazuh.py` reads them."""

from pathlib import Path

import msgspec

CONFIG_NAME = "ossec.conf"


class WazuhFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the files of an installation are.

    Attributes:
        folder: a folder laid out like `/var/ossec/etc`.
        decoders: files and folders of decoders.
        rules: files and folders of rules.
        lists: files and folders of CDB lists.
        config: `ossec.conf`, if it is not in `folder`.
        strict: whether the rules do exactly what Wazuh does, its bugs included.
        active_response_bin: folder of the programs that `<command>` names.
    """

    folder: str = ""
    decoders: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    config: str = ""
    strict: bool = False
    active_response_bin: str = ""

    @property
    def paths(self) -> list[Path]:
        """All files and folders that are named."""
        named = (self.folder, *self.decoders, *self.rules, *self.lists, self.config)
        return [Path(path) for path in named if path]

    @property
    def config_path(self) -> Path | None:
        """The `ossec.conf`, which need not be there."""
        if self.config:
            return Path(self.config)
        return Path(self.folder) / CONFIG_NAME if self.folder else None
