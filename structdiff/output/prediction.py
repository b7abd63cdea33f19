"""What a run hands back: a structure, how sure the network is of it, what was asked and reached, how it was made."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from structdiff.chemistry.residues import PROTEIN_ONE_TO_THREE
from structdiff.confidence.result import Confidence
from structdiff.docking.complex_docking import UNDOCKED, Docked
from structdiff.errors import InputError
from structdiff.evaluation.vinardo import LigandScore
from structdiff.features.tokens import tokenise
from structdiff.output.affinity import Affinity
from structdiff.spec.chain import parent_letter
from structdiff.structure.tables import ChainKind, Structure

if TYPE_CHECKING:
    from structdiff.diffusion.trajectory import Trajectory

#: The order of amino acids in tables of their probabilities.
AMINO_ACIDS = "".join(PROTEIN_ONE_TO_THREE)
_POLYMERS = (ChainKind.PROTEIN, ChainKind.DNA, ChainKind.RNA)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether one thing that was asked of a structure came true.

    name: what it is, as the user wrote it. asked, reached: in words, with units. met: reached what was asked.
    requested: False where it was not the user who asked, but a fold plan that structdiff drew for this design itself.
    """

    name: str
    asked: str
    reached: str
    met: bool
    requested: bool = True

    def as_data(self) -> dict[str, Any]:
        """The entries as plain data for JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Everything that decides a structure: the same provenance gives the same structure. It holds no date.

    version: of structdiff. weights, weights_sha256: name and hash of the network's weights. seed, sample: of the random
    numbers; sample counts from 0. sampling: all settings of the run. spec: the request as plain data. device: cpu, cuda
    or mps. torch: its version. kernels: which ran the costly operators, ``native (INSTRUCTION SET)`` or ``reference``.
    fold_weights_sha256: hashes of the networks that made its fold up, by their names; left out where none did.
    affinity: weights and settings of what said how strongly its ligand binds; left out where nothing did.
    """

    version: str
    weights: str
    weights_sha256: str
    seed: int
    sample: int
    sampling: Mapping[str, Any]
    spec: Mapping[str, Any]
    device: str
    torch: str
    kernels: str
    fold_weights_sha256: Mapping[str, str] = field(default_factory=dict)
    affinity: Mapping[str, Any] = field(default_factory=dict)

    def as_text(self) -> dict[str, str]:
        """One line of text for each entry, for structure files; tables are written as JSON."""
        entries = {}
        for name, value in self.as_data().items():
            plain = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
            entries[name] = plain if isinstance(value, Mapping) else str(value)
        return entries

    def as_data(self) -> dict[str, Any]:
        """The entries as plain data for JSON."""
        entries = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        for name in ("fold_weights_sha256", "affinity"):
            if not entries[name]:
                del entries[name]
        return entries


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Prediction:
    """One predicted structure; its B-factors are set to the pLDDT (0 to 100) of their tokens.

    ligand_scores: of free ligands in a prediction; docked: what is known of chains, ligands and ions that were docked.
    affinity: how strongly the ligand binds of which that was asked.
    trajectory: the way there, where the run was asked to keep it. part: what the confidence is of, where that is not
    the whole structure: of an assembly of many copies, one and those beside it; of a design against a target that was
    cropped, what the network saw. drawn: what the trajectory is of, where that is not the whole structure. Raises
    InputError where the confidence is that of another number of tokens than the structure, or its part, has.
    """

    structure: Structure
    confidence: Confidence
    provenance: Provenance
    verdicts: tuple[Verdict, ...] = ()
    ligand_scores: tuple[LigandScore, ...] = ()
    docked: Docked = UNDOCKED
    affinity: Affinity | None = None
    trajectory: Trajectory | None = None
    part: Structure | None = None
    drawn: Structure | None = None

    def __post_init__(self) -> None:
        judged = "structure" if self.part is None else "part"
        object.__setattr__(self, judged, with_plddt(self.judged, self.confidence.plddt))

    def __repr__(self) -> str:
        met = met_text([each.as_data() for each in self.verdicts])
        of_it = f"{self.structure.described()}; {self.confidence.described()}; met {met}"
        return f"<{type(self).__name__} {self.structure.name}: {of_it}>"

    @property
    def judged(self) -> Structure:
        """The structure whose tokens the confidence is of."""
        return self.structure if self.part is None else self.part

    @property
    def sequences(self) -> dict[str, str]:
        """The one-letter sequence of each polymer chain; X for what has no letter."""
        return chain_sequences(self.structure)

    @property
    def all_met(self) -> bool:
        """Whether everything that was requested came true; how a plan of our own was followed does not count."""
        return all(verdict.met for verdict in self.verdicts if verdict.requested)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Design(Prediction):
    """One designed structure, and which of its residues come from where.

    residue_map: as ``Layout.residue_map`` makes it, plain data. sequence_probabilities [token, amino acid]: with what
    share each of AMINO_ACIDS is drawn where the residue was open (the network's sequence head, and of glycine and
    proline the backbone's torsions), NaN elsewhere; tokens are those of the confidence.
    """

    residue_map: Mapping[str, Any]
    sequence_probabilities: np.ndarray | None = None


def requested(verdicts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The verdicts (as plain data) on what the user asked for, without those on a fold plan that was drawn for it."""
    return [each for each in verdicts if each.get("requested", True)]


def met_text(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """How many of the requests were met, ``3/4``; ``-`` where nothing was requested."""
    asked = requested(verdicts)
    return f"{sum(bool(each['met']) for each in asked)}/{len(asked)}" if asked else "-"


def with_plddt(structure: Structure, plddt: np.ndarray) -> Structure:
    """The same structure with the pLDDT (0 to 100) of each atom's token as its B-factor; 0 where there is none.

    plddt [token]. Raises InputError where the structure has another number of tokens.
    """
    tokens = tokenise(structure)
    if len(tokens) != len(plddt):
        raise InputError("confidence and structure do not belong together: numbers of tokens differ",
                         found=len(plddt), allowed=str(len(tokens)))  # fmt: skip
    b_factor = np.zeros(len(structure.atoms), np.float32)
    rows, slots = np.nonzero(tokens.atoms >= 0)
    b_factor[tokens.atoms[rows, slots]] = np.nan_to_num(plddt)[rows]
    return dataclasses.replace(structure, atoms=dataclasses.replace(structure.atoms, b_factor=b_factor))


def polymer_kinds(structure: Structure) -> dict[str, ChainKind]:
    """What each polymer chain is made of, by its name."""
    chains = structure.chains
    rows = np.flatnonzero(np.isin(chains.kind, _POLYMERS)).tolist()
    return {str(chains.name[row]): ChainKind(int(chains.kind[row])) for row in rows}


def chain_sequences(structure: Structure) -> dict[str, str]:
    """The one-letter sequence of each polymer chain by its name: of modified residues what they come from (MSE: M).

    X (N in nucleic acids) for what comes from nothing that has a letter.
    """
    sequences = {}
    for row in np.flatnonzero(np.isin(structure.chains.kind, _POLYMERS)).tolist():
        kind = ChainKind(int(structure.chains.kind[row])).name.lower()
        names = structure.residues.name[structure.chain_residues(row)].tolist()
        letters = {name: parent_letter(name, kind, structure.components) for name in set(names)}
        sequences[str(structure.chains.name[row])] = "".join(letters[name] for name in names)
    return sequences
