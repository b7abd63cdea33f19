"""What a network does by itself, and what has to be done for it."""

from __future__ import annotations

from dataclasses import dataclass

from structdiff.errors import InputError
from structdiff.published_weights.cache import weights_path


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What a network was trained to do; what it was not is done around it, or refused.

    alignments: it reads them, so that chains need not be folded as trRosetta expects. poses: it knows where chains,
    ligands and helices of nucleic acids lie, so that they are not docked or laid out unless that is asked. designs: it
    draws residues whose amino acid is open. affinities: name of the weights that say how strongly ligands bind in
    its structures.
    """

    alignments: bool = False
    poses: bool = False
    designs: bool = True
    affinities: str | None = None


#: Those of structdiff's own networks.
PLAIN = Abilities()


def check_designs(abilities: Abilities, name: str) -> None:
    """Raises InputError where weights of that name draw no residues whose amino acid is open."""
    if not abilities.designs:
        raise InputError("these weights predict structures of known sequences, and design none", key="weights",
                         found=name, allowed="mini, or others that design")  # fmt: skip


def check_affinities(abilities: Abilities) -> str:
    """The name of the weights that say how strongly ligands bind.

    Raises InputError where structures of this network have none, or they are not here, with how to fetch them.
    """
    if abilities.affinities is None:
        raise InputError("affinities are asked for (properties), and are predicted with Boltz-2's weights alone",
                         key="weights", allowed="boltz2, with structdiff weights fetch boltz2-affinity")  # fmt: skip
    weights_path(abilities.affinities)
    return abilities.affinities
