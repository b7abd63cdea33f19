"""Refolding: what a predictor makes of a designed sequence, and how like the design that is.

A refolder is one file: a class with ``refold``, named in ``refolder_of``.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from structdiff.campaign.plan import Campaign
from structdiff.campaign.settings import BOLTZ
from structdiff.errors import InputError, StructdiffError
from structdiff.spec.chain import LETTERS, ChainSpec, Modification
from structdiff.spec.chain import ChainKind as ChainWord
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.template import TemplateSpec
from structdiff.structure.build import chain_letters
from structdiff.structure.tables import ChainKind, Structure

if TYPE_CHECKING:
    from structdiff.drawing import OnProgress
    from structdiff.engine import Engine
    from structdiff.options import RunOptions

#: How far (Å, RMSD) a target may be from where the design has it.
TARGET_TOLERANCE = 1.0
_KINDS: Mapping[ChainKind, ChainWord] = {ChainKind.PROTEIN: "protein", ChainKind.DNA: "dna", ChainKind.RNA: "rna"}


class UntoldBondsWarning(UserWarning):
    """A ligand is predicted without double bonds, since no file tells them."""


@dataclass(frozen=True, kw_only=True)
class Refolded:
    """A structure that was predicted from a design's sequence.

    scores: what the predictor thinks of it, by column. record: what predicted it, for the provenance of its file.
    """

    structure: Structure
    scores: Mapping[str, float | None]
    record: Mapping[str, str]


class Refolder(Protocol):
    """Predicts complexes from their sequences, in order; may take several at a time.

    whole_target: whether it is given all of a target that was cropped, or only what was drawn of it.
    """

    whole_target: bool

    def refold(self, complexes: Sequence[ComplexSpec], on_progress: OnProgress | None) -> Iterator[Refolded]:
        """The prediction of each complex."""
        ...


def refolder_of(campaign: Campaign, engine: Callable[[], Engine]) -> Refolder:
    """The refolder that a campaign asks for. engine: gives the network of the run, loaded once."""
    if campaign.settings.refold_command is not None:
        from structdiff.campaign.refold_command import CommandRefolder

        return CommandRefolder(campaign.settings.refold_command, campaign.settings.refold_minutes)
    return refolder_called(campaign.settings.refold, engine, campaign.options, seed=campaign.spec.seed)


def refolder_called(name: str, engine: Callable[[], Engine], options: RunOptions, *, seed: int) -> Refolder:
    """The refolder of that name: own, trrosetta or boltz2. engine: gives the network of the run, where it is wanted."""
    from structdiff.campaign.refold_own import OwnRefolder
    from structdiff.campaign.refold_trrosetta import TrRosettaRefolder
    from structdiff.pipeline import load_engine

    if name == BOLTZ:
        options = dataclasses.replace(options, weights=BOLTZ, sampling=None, recycles=None)
        return OwnRefolder(load_engine(options), options, seed=seed, name=BOLTZ)
    kind = TrRosettaRefolder if name == "trrosetta" else OwnRefolder
    return kind(engine(), options, seed=seed, name=name)


def with_target(spec: ComplexSpec, design: Path, residue_map: Mapping[str, Any]) -> ComplexSpec:
    """The complex with its target as a template that is held, so that only the binder and its pose are predicted.

    design: the file of the finished design, whose chains without new residues are the target.
    """
    kept = {str(each["chain"]) for each in residue_map.get("chains", ()) if each.get("kept")}
    proteins = [name for chain in spec.chains if chain.kind == "protein" for name in chain.ids]
    target = tuple(name for name in proteins if name in kept)
    if not target:
        return spec
    template = TemplateSpec(
        path=str(design.resolve()), chains=target, template_chains=target, force=True, threshold=TARGET_TOLERANCE
    )
    return dataclasses.replace(spec, templates=(template,))


def named_as_designed(refolded: Structure, design: Structure, needed: Sequence[str]) -> Structure:
    """A predicted structure with the design's names of chains, which other programs may not keep.

    A chain keeps its name where it has the sequence of the design's chain of that name; else it is called as the first
    that has its sequence and is not there yet. Chains that are none of the design's get names that it does not have.
    needed: chains that must be there; raises StructdiffError where one is not.
    """
    from structdiff.output.prediction import chain_sequences

    asked, found = chain_sequences(design), chain_sequences(refolded)
    kept = {name for name in asked if name in found and _is_alike(asked[name], found[name])}
    names = {name: name for name in asked if name in kept}
    left = [name for name in found if name not in kept]
    for name in (name for name in asked if name not in kept):
        twin = next((each for each in left if _is_alike(asked[name], found[each])), None)
        if twin is not None:
            names[twin] = name
            left.remove(twin)
    missing = [name for name in needed if name in asked and name not in names.values()]
    if missing:
        chains = ", ".join(f"{name} ({len(letters)} residues)" for name, letters in found.items()) or "none"
        raise StructdiffError(f"refolding: no chain that was predicted has the sequence of chain {missing[0]} "
                              f"({len(asked[missing[0]])} residues); predicted: {chains}")  # fmt: skip
    taken = {*asked, *refolded.chains.name.tolist()}
    free = (name for name in map(chain_letters, count()) if name not in taken)
    names |= {name: next(free) for name in left if name in asked}
    called = np.array([names.get(name, name) for name in refolded.chains.name.tolist()])
    return dataclasses.replace(refolded, chains=dataclasses.replace(refolded.chains, name=called))


def _is_alike(one: str, other: str) -> bool:
    """Whether two sequences are equal but for letters that are not known."""
    return len(one) == len(other) and all(a == b or {a, b} & set("XN") for a, b in zip(one, other, strict=True))


def _free_names() -> Iterator[str]:
    return (f"L{number}" for number in count(1))


def complex_of(structure: Structure, name: str) -> ComplexSpec:
    """The molecules of a finished structure as a complex to predict; raises InputError for what cannot be written.

    Ligands that the structure has components of its own for are given as SMILES, whatever the dictionary calls so.
    """
    from structdiff.output.prediction import chain_sequences

    letters = chain_sequences(structure)
    chains = []
    free = (name for name in _free_names() if name not in structure.chains.name)
    for row in range(len(structure.chains)):
        chain, kind = str(structure.chains.name[row]), ChainKind(int(structure.chains.kind[row]))
        names = structure.residues.name[structure.chain_residues(row)].tolist()
        if kind == ChainKind.LIGAND:
            # Files of the PDB give ligands the name of the chain they lie at.
            taken = (structure.chains.name == chain).sum() > 1
            chains.append(_ligand(next(free) if taken else chain, names, structure))
        elif kind in _KINDS:
            _require_of_dictionary(names, chain, structure)
            standard = LETTERS[_KINDS[kind]]
            modified = [place for place, (letter, name) in enumerate(zip(letters[chain], names, strict=True), start=1)
                        if standard[letter] != name]  # fmt: skip
            chains.append(
                ChainSpec(
                    ids=(chain,), kind=_KINDS[kind], sequence=letters[chain], cyclic=bool(structure.chains.cyclic[row]),
                    modifications=tuple(Modification(position=place, ccd=names[place - 1]) for place in modified),
                )
            )  # fmt: skip
    return ComplexSpec(name=name, chains=tuple(chains))


def _ligand(chain: str, names: Sequence[str], structure: Structure) -> ChainSpec:
    own = structure.components.get(names[0])
    if own is not None and len(names) == 1:
        from structdiff.chemistry.smiles import orders_are_untold, smiles_of

        smiles = smiles_of(own)
        if orders_are_untold(own):
            warnings.warn(
                f"ligand {names[0]} of chain {chain} is predicted as {smiles}: no file tells its double bonds, which "
                "CONECT records given twice or _chem_comp_bond of mmCIF would", UntoldBondsWarning, stacklevel=4,
            )  # fmt: skip
        return ChainSpec(ids=(chain,), kind="ligand", smiles=smiles)
    _require_of_dictionary(names, chain, structure)
    return ChainSpec(ids=(chain,), kind="ligand", ccd=tuple(names))


def _require_of_dictionary(names: Iterable[str], chain: str, structure: Structure) -> None:
    """The dictionary may have another molecule of that code, which would be predicted in its place."""
    for name in names:
        if name in structure.components:
            raise InputError(
                f"residue {name} of chain {chain} is none of the dictionary's: it cannot be predicted by its name",
                found=name, allowed="CCD codes; ligands of one residue may be any",
            )  # fmt: skip
