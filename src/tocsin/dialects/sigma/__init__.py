"""Sigma: YAML detection rules, as published by SigmaHQ and written by users.

`load` reads files, `convert` turns conditions into `rules.ir`, `values` the values and
modifiers, `extension` reads the `tocsin:` block that other tools ignore.
"""

from tocsin.dialects.sigma.load import load_sigma

__all__ = ["load_sigma"]
