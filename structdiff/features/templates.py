"""Templates of a prediction: chains of known structures, told to the network, or held."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from structdiff.errors import InputError
from structdiff.features.condition import Condition
from structdiff.features.tokens import TokenTable
from structdiff.spec.complex import ComplexSpec, TemplateSpec
from structdiff.structure.files import read_structure
from structdiff.structure.sequence_alignment import aligned_residues
from structdiff.structure.tables import ChainKind, Structure

_MAIN_CHAIN = ("N", "CA", "C", "O", "CB")
#: Of the aligned residues, at least: below that (and with fewer than these many) it is no template of the chain.
_SAME, _FEWEST = 0.25, 5


@dataclass(frozen=True, kw_only=True)
class Templates:
    """Where templates have the atoms of a complex, row by row.

    asked: what the complex says of each. positions (atom, 3): Å, in the frame of each atom's own template. group
    (atom): the template, counted from 1; 0 for atoms that none has. fixed (atom): held as the template has them, not
    merely told.
    """

    asked: tuple[TemplateSpec, ...]
    positions: np.ndarray
    group: np.ndarray
    fixed: np.ndarray

    def told(self, condition: Condition, tokens: TokenTable) -> Condition:
        """The condition with each template as a group of tokens that keep their distances."""
        there = tokens.atoms >= 0
        group = np.where(there, self.group[tokens.atoms], 0).max(1)
        fixed: np.ndarray = np.any(there & self.fixed[tokens.atoms], axis=1)
        return condition.replace(motif_group=group.astype(np.int32), structure_fixed=fixed)


def read_templates(spec: ComplexSpec, structure: Structure) -> Templates:
    """The templates of a complex laid on its atoms, by a global alignment of each chain with its template.

    Of residues that differ the main chain and CB are taken, of others all atoms. Raises InputError for chains that are
    not there, that are no proteins, that have two templates, or that are too unlike.
    """
    count = len(structure.atoms)
    found = Templates(
        asked=spec.templates, positions=np.zeros((count, 3), np.float32), group=np.zeros(count, np.int32),
        fixed=np.zeros(count, bool),
    )  # fmt: skip
    for place, template in enumerate(spec.templates, start=1):
        key = f"templates[{place}]"
        given = read_structure(template.path)
        for chain, source in _pairs(template, structure, given, key):
            own = _row(structure, chain, key)
            if found.group[structure.atom_chain == own].any():
                raise InputError("this chain has a template already", key=key, found=chain)
            rows, theirs = _same_atoms(structure, own, given, _row(given, source, key, path=template.path), key)
            found.positions[rows] = given.atoms.positions[theirs]
            found.group[rows], found.fixed[rows] = place, template.force
    return found


def _pairs(template: TemplateSpec, structure: Structure, given: Structure, key: str) -> list[tuple[str, str]]:
    """Each chain with the template's chain that serves it: as named, of its own name, or the only one."""
    own, theirs = _proteins(structure), _proteins(given)
    chains = template.chains or tuple(own)
    if template.template_chains:
        return list(zip(chains, template.template_chains, strict=True))
    if not theirs:
        raise InputError("this template has no protein", path=template.path, key=key)
    if len(theirs) == 1 and len(chains) == 1:
        return [(chains[0], theirs[0])]
    for chain in chains:
        if chain not in theirs:
            raise InputError("say which of the template's chains serves this one", path=template.path,
                             key=f"{key}.template_id", found=chain, allowed=theirs)  # fmt: skip
    return [(chain, chain) for chain in chains]


def _proteins(structure: Structure) -> list[str]:
    return structure.chains.name[structure.chains.kind == ChainKind.PROTEIN].tolist()


def _row(structure: Structure, name: str, key: str, *, path: str | None = None) -> int:
    proteins = _proteins(structure)
    if name not in proteins:
        raise InputError("there is no protein chain of that name", path=path, key=key, found=name, allowed=proteins,
                         suggest_from=proteins)  # fmt: skip
    rows = np.flatnonzero((structure.chains.name == name) & (structure.chains.kind == ChainKind.PROTEIN))
    return int(rows[0])


def _same_atoms(
    structure: Structure, own: int, given: Structure, theirs: int, key: str
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the atoms of a chain that its template has, and their rows there."""
    sides = ((structure, own), (given, theirs))
    every = [np.arange(len(side.residues))[side.chain_residues(row)] for side, row in sides]
    pairs = aligned_residues(structure, given, *every)
    names = [structure.residues.name[pairs[:, 0]], given.residues.name[pairs[:, 1]]]
    same = names[0] == names[1]
    if len(pairs) < _FEWEST or same.mean() < _SAME:
        share = f"{100 * same.mean():.0f} % of {len(pairs)} residues alike" if len(pairs) else "nothing aligned"
        raise InputError("this chain and its template are too unlike", key=key, found=share,
                         allowed=f"at least {_FEWEST} residues, {100 * _SAME:.0f} % alike")  # fmt: skip
    mine, known = [], []
    for (one, other), alike in zip(pairs.tolist(), same.tolist(), strict=True):
        place = {str(given.atoms.name[row]): row for row in _rows(given, other) if given.atoms.resolved[row]}
        for row in _rows(structure, one):
            name = str(structure.atoms.name[row])
            if name in place and (alike or name in _MAIN_CHAIN):
                mine.append(row)
                known.append(place[name])
    return np.array(mine, np.int64), np.array(known, np.int64)


def _rows(structure: Structure, residue: int) -> list[int]:
    part = structure.residue_atoms(residue)
    return list(range(part.start, part.stop))
