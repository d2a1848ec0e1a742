"""What Tocsin has to know about a distribution of Kubernetes to connect its API servers.

They all run the same kube-apiserver, and differ in who writes its command line, what of the
node it sees, and what an upgrade leaves of a change.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tocsin.connect.apiserver import NodePaths
from tocsin.connect.bundlefile import BundleFile
from tocsin.connect.connection import Connection, Sources
from tocsin.connect.wording import Step

Verified = Literal["run live", "schema-checked only"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What files and texts are made of; `command` makes the same bundle from any folder."""

    connection: Connection
    sources: Sources
    command: str


@dataclass(frozen=True, slots=True)
class InPlace:
    """The one file on a node whose change makes the API server send.

    Attributes:
        path: where it lies on the node.
        edit: returns its new content; gets None where there is no such file, and raises
            a TocsinError where it cannot be edited.
        restart: the command after which the change counts; None where the file is watched.
    """

    path: str
    edit: Callable[[str | None], str]
    restart: str | None = None


class Distribution(ABC):
    """One distribution; texts are for a person, with commands to copy.

    Attributes:
        name: as `--distribution` takes it.
        title: as its makers write it.
        verified: how far this way was tried; `checked` says it in words.
        paths: where things lie on its nodes unless the user says otherwise.
        writes_log: whether its API server can be given a folder for the audit log.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    verified: ClassVar[Verified]
    checked: ClassVar[str]
    paths: ClassVar[NodePaths]
    writes_log: ClassVar[bool] = True

    def check(self, connection: Connection) -> None:  # noqa: B027 - most refuse nothing
        """Refuse a connection that cannot work here.

        Raises:
            TocsinError: with what to choose instead.
        """

    def flags(self, connection: Connection) -> list[str]:
        """Return the flags that the API server gets by this connection."""
        return connection.flags

    @abstractmethod
    def files(self, plan: Plan, contents: Mapping[str, bytes]) -> list[BundleFile]:
        """Return the files that this distribution adds to the bundle.

        `contents` has the other files of the bundle by name.
        """

    @abstractmethod
    def install(self, plan: Plan) -> list[Step]:
        """Return the steps from the files to an API server that sends."""

    @abstractmethod
    def next_commands(self, plan: Plan) -> list[str]:
        """Return the first commands of `install`, each on one line, from any folder."""

    @abstractmethod
    def keep(self, plan: Plan) -> str:
        """Return what survives an upgrade, and what has to be done for it."""

    @abstractmethod
    def renewal(self, plan: Plan) -> str:
        """Return how a new credential gets from the bundle to the API servers."""

    @abstractmethod
    def way_back(self, plan: Plan) -> str:
        """Return how to undo it all."""

    def in_place(self, connection: Connection) -> InPlace | None:
        """Return the file to edit where Tocsin runs on the node itself; None: there is none."""
        return None

    def refuse_node(self, connection: Connection, root: Path) -> None:  # noqa: B027
        """Refuse a node that is not what it should be; `root` is where its files are seen.

        Raises:
            TocsinError: with what is missing or in the way.
        """
