"""A backup: all that a Tocsin needs to go on elsewhere, in one file."""

from tocsin.runtime.backup.manifest import Manifest
from tocsin.runtime.backup.restore import Restored, restore
from tocsin.runtime.backup.save import Saved, save

__all__ = ["Manifest", "Restored", "Saved", "restore", "save"]
