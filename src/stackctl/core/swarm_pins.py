"""Which node holds a service's data: node labels, and where a folder that nobody holds yet is to be made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackctl.core.swarm_facts import Node

PREFIX = "stackctl.data."
BASE = "/var/lib/stackctl/swarm"
"""Where data lies on its node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A data folder of one service.

    Args:
        name: Of the folder.
        uid: Who owns it.
        image: An image that its node has anyway, with a shell.
    """

    service: str
    name: str
    uid: int
    image: str


def data_label(project: str, name: str) -> str:
    """The label of the node that holds a folder."""
    return f"{PREFIX}{project}.{name}"


def holders(project: str, name: str, nodes: Iterable[Node]) -> tuple[Node, ...]:
    """The nodes that are said to hold a folder; more than one is somebody's mistake."""
    return tuple(node for node in nodes if node.labels.get(data_label(project, name)) == "true")


def choose_node(nodes: Iterable[Node], constraints: Iterable[str] = ()) -> Node | None:
    """The node for a new folder: it takes work, meets the constraints, and holds the fewest folders.

    None where there is none.
    """
    wanted = list(constraints)
    fit = [node for node in nodes if node.takes_work and all(meets(node, one) for one in wanted)]
    return min(fit, key=lambda node: (_folders(node.labels), node.hostname, node.id), default=None)


def _folders(labels: Mapping[str, str]) -> int:
    return sum(key.startswith(PREFIX) for key in labels)


def meets(node: Node, constraint: str) -> bool:
    """Whether a node meets a placement constraint; one that cannot be read is met by none."""
    for sign in ("==", "!="):
        key, found, value = constraint.partition(sign)
        if found:
            actual = _attribute(node, key.strip())
            return actual is not None and (actual == value.strip()) == (sign == "==")
    return False


def _attribute(node: Node, key: str) -> str | None:
    if key.startswith("node.labels."):
        return node.labels.get(key.removeprefix("node.labels."), "")
    plain = {"node.id": node.id, "node.hostname": node.hostname, "node.role": node.role}
    return plain.get(key)
