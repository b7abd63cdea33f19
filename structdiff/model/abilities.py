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
    draws residues whose amino acid is open. folds: designs have folds without a plan of one. predictions: it predicts
    structures of known sequences. conformers: it reads those of residues and ligands. judges: it knows how sure it is;
    of others the default weights judge what they draw. affinities: name of the weights that say how strongly ligands
    bind in its structures.
    """

    alignments: bool = False
    poses: bool = False
    designs: bool = True
    folds: bool = False
    predictions: bool = True
    conformers: bool = False
    judges: bool = True
    affinities: str | None = None


#: Those of structdiff's own networks.
PLAIN = Abilities()


def check_designs(abilities: Abilities, name: str) -> None:
    """Raises InputError where weights of that name draw no residues whose amino acid is open."""
    if not abilities.designs:
        raise InputError("these weights predict structures of known sequences, and design none", key="weights",
                         found=name, allowed="mini, or others that design")  # fmt: skip


def check_predictions(abilities: Abilities, name: str) -> None:
    """Raises InputError where weights of that name predict no structures."""
    if not abilities.predictions:
        raise InputError("these weights draw designs, and predict no structures", key="weights", found=name,
                         allowed="mini, boltz2, or others that predict")  # fmt: skip


def check_affinities(abilities: Abilities) -> str:
    """The name of the weights that say how strongly ligands bind.

    Raises InputError where structures of this network have none, or they are not here, with how to fetch them.
    """
    if abilities.affinities is None:
        raise InputError("affinities are asked for (properties), and are predicted with Boltz-2's weights alone",
                         key="weights", allowed="boltz2, with structdiff weights fetch boltz2-affinity")  # fmt: skip
    weights_path(abilities.affinities)
    return abilities.affinities
