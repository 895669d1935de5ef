"""Names, layers and groups of the tasks; those of a data centre for the migration domain."""

from __future__ import annotations

from dataclasses import dataclass

from optsched.core import InputError

#: Phases of a data-centre migration, in order; each is a layer.
PHASES = (
    "Inventory and dependency map of",
    "Backup and restore test of",
    "Rack and cabling at the target for",
    "Network and firewall rules for",
    "Freeze and data replication of",
    "Power-down and transport of",
    "Start-up at the target of",
    "Acceptance test of",
    "Cutover of",
    "Decommissioning of",
)
SYSTEMS = ("billing", "mail", "web shop", "warehouse", "analytics", "identity", "archive", "ERP")
CREWS = ("system engineers", "network crew", "rack technicians", "transport team", "test team")

DOMAINS = ("synthetic", "migration")


@dataclass(frozen=True)
class Words:
    """Names of tasks and resources; of each task its layer, and the group it belongs to."""

    tasks: tuple[str, ...]
    resources: tuple[str, ...]
    layer: tuple[int, ...]
    group: tuple[int, ...]


def words(domain: str, n_tasks: int, n_resources: int, n_layers: int) -> Words:
    """Return the words of a domain.

    Parameters
    ----------
    domain : str
        One of `DOMAINS`.
    n_tasks : int
    n_resources, n_layers : int
        For the synthetic domain; a migration has five crews and ten phases.

    Raises
    ------
    InputError
        When there is no such domain.
    """
    if domain == "synthetic":
        layer = tuple(i * n_layers // n_tasks for i in range(n_tasks))
        return Words(("",) * n_tasks, ("",) * n_resources, layer, (0,) * n_tasks)
    if domain != "migration":
        raise InputError(f"unknown domain {domain!r}: one of {', '.join(DOMAINS)}")
    # Waves of systems go through all phases; a second wave of a system gets its number.
    names, layers, groups = [], [], []
    for i in range(n_tasks):
        phase, system = i % len(PHASES), i // len(PHASES)
        wave = system // len(SYSTEMS)
        name = SYSTEMS[system % len(SYSTEMS)] + (f", wave {wave + 1}" if wave else "")
        names.append(f"{PHASES[phase]} {name}")
        layers.append(phase)
        groups.append(system)
    return Words(tuple(names), CREWS, tuple(layers), tuple(groups))
