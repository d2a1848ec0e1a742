"""`tocsin setup` with all its commands: importing a module adds its command to the group."""

from tocsin.cli import adopt, setup_kubectl, setup_rbac
from tocsin.cli.setup import setup_app

__all__ = ["adopt", "setup_app", "setup_kubectl", "setup_rbac"]
