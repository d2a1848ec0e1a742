"""All actions by name."""

from collections.abc import Mapping
from types import MappingProxyType

from tocsin.respond.actions.base import Action
from tocsin.respond.actions.command import Command
from tocsin.respond.actions.cordon_node import CordonNode
from tocsin.respond.actions.delete_binding import DeleteBinding
from tocsin.respond.actions.delete_pod import DeletePod
from tocsin.respond.actions.isolate_pod import IsolatePod
from tocsin.respond.actions.revoke_account import RevokeAccount
from tocsin.respond.actions.scale_owner import ScaleOwner

_ALL: tuple[Action, ...] = (
    # What runs commands puts one of its own in the place of this.
    Command(),
    CordonNode(),
    DeleteBinding(),
    DeletePod(),
    IsolatePod(),
    RevokeAccount(),
    ScaleOwner(),
)
ACTIONS: Mapping[str, Action] = MappingProxyType({action.name: action for action in _ALL})
