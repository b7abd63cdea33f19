"""A predicted structure beside the experimental one: pairs their atoms, then all measures of likeness at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from structdiff.arguments import check_kind
from structdiff.errors import InputError
from structdiff.evaluation.lddt import INCLUSION_RADIUS, lddt
from structdiff.evaluation.superposition import rmsd
from structdiff.evaluation.tm_score import gdt_ts_and_ha, tm_score
from structdiff.structure.tables import ChainKind, Structure

#: Atoms that chemistry cannot tell apart and files name by chance; each residue may exchange them all at once.
EXCHANGEABLE = {
    "ASP": (("OD1", "OD2"),), "GLU": (("OE1", "OE2"),), "ARG": (("NH1", "NH2"),),
    "PHE": (("CD1", "CD2"), ("CE1", "CE2")), "TYR": (("CD1", "CD2"), ("CE1", "CE2")),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PairedAtoms:
    """The resolved polymer atoms of a reference and the same atoms in a model (NaN where the model lacks them).

    positions, reference (atom, 3) in Å; residue (atom): rows of the reference's residue table; chain, name (atom);
    restype (atom): CCD name of the residue.
    """

    positions: np.ndarray
    reference: np.ndarray
    residue: np.ndarray
    chain: np.ndarray
    name: np.ndarray
    restype: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """How like the reference a model is; scores in [0, 1], rmsd_ca in Å.

    lddt over all polymer atoms and lddt_ca over CA (C1' in nucleic acids) alone; lddt_interface over distances between
    chains (NaN for one chain); lddt_residue (residue of the reference; NaN where unresolved); tm, gdt_ts,
    gdt_ha and rmsd_ca of all chains together by CA or C1', missing ones counting against tm only; coverage: share of
    these in the model.
    """

    lddt: float
    lddt_ca: float
    lddt_interface: float
    lddt_residue: np.ndarray = field(repr=False)
    tm: float
    gdt_ts: float
    gdt_ha: float
    rmsd_ca: float
    coverage: float


def pair_atoms(
    model: Structure, reference: Structure, *, numbering: Literal["label", "author"] = "label"
) -> PairedAtoms:
    """Pairs polymer atoms by chain name, residue number (place in the sequence or the author's) and atom name.

    Exchangeable atoms (the two oxygens of ASP, ...) are paired so as to agree best. Raises InputError if nothing pairs.
    """
    place = {key: row for row, key in enumerate(_keys(model, numbering)) if model.atoms.resolved[row]}
    polymer = np.isin(reference.chains.kind[reference.atom_chain], (ChainKind.PROTEIN, ChainKind.DNA, ChainKind.RNA))
    rows = np.flatnonzero(polymer & reference.atoms.resolved)
    keys = _keys(reference, numbering)
    found = np.array([place.get(keys[row], -1) for row in rows], np.int64)
    if not (found >= 0).any():
        raise InputError(
            "the two structures have no atom in common",
            found=sorted(set(model.chains.name.tolist())), allowed=sorted(set(reference.chains.name.tolist())),
        )  # fmt: skip
    positions = np.where(found[:, None] >= 0, model.atoms.positions[found].astype(np.float64), np.nan)
    residue = reference.atoms.residue[rows]
    paired = PairedAtoms(
        positions=positions,
        reference=reference.atoms.positions[rows].astype(np.float64),
        residue=residue,
        chain=reference.residues.chain[residue],
        name=reference.atoms.name[rows],
        restype=reference.residues.name[residue],
    )
    _exchange_names(paired)
    return paired


def compare(model: Structure, reference: Structure, *, numbering: Literal["label", "author"] = "label") -> Comparison:
    """lDDT, TM-score, GDT_TS and RMSD of a model against an experimental structure with the same chain names.

    Residues are paired by chain and number, whatever they are, and copies of a chain as named: `accuracy` matches
    chains by their sequences, and ``align_chains`` those of different sequences by their folds.
    Raises InputError where fewer than three residues pair.
    """
    check_structures(model=model, reference=reference)
    paired = pair_atoms(model, reference, numbering=numbering)
    whole = lddt(paired.positions, paired.reference, paired.residue)
    between = lddt(paired.positions, paired.reference, paired.residue, chain=paired.chain, interface_only=True)
    centre = np.isin(paired.name, ("CA", "C1'"))
    found = centre & np.isfinite(paired.positions).all(-1)
    if found.sum() < 3:
        raise InputError("fewer than three residues of the model are in the reference")
    mobile, target = paired.positions[found], paired.reference[found]
    ts, ha = gdt_ts_and_ha(mobile, target)
    per_residue = np.full(len(reference.residues), np.nan)
    per_residue[: len(whole.per_group)] = whole.per_group
    return Comparison(
        lddt=whole.score,
        lddt_ca=lddt(paired.positions[centre], paired.reference[centre]).score,
        lddt_interface=between.score,
        lddt_residue=per_residue,
        tm=tm_score(mobile, target, length=int(centre.sum())).score,
        gdt_ts=ts,
        gdt_ha=ha,
        rmsd_ca=rmsd(mobile, target),
        coverage=float(found.sum() / centre.sum()),
    )


def check_structures(**structures: object) -> None:
    """Raises InputError under the argument's name for what is no Structure."""
    for key, structure in structures.items():
        check_kind(structure, Structure, key, "a Structure: read_structure(file), or a design's .structure")


def _keys(structure: Structure, numbering: str) -> list[tuple[str, int, str, str]]:
    residues, row = structure.residues, structure.atoms.residue
    number = residues.label_seq_id if numbering == "label" else residues.author_seq_id
    code = residues.insertion_code if numbering == "author" else np.full(len(residues), "")
    # Selenomethionine stands for methionine in crystals, and its selenium for the sulphur.
    names = np.where((residues.name[row] == "MSE") & (structure.atoms.name == "SE"), "SD", structure.atoms.name)
    columns = (structure.chains.name[structure.atom_chain], number[row], code[row], names)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _exchange_names(paired: PairedAtoms) -> None:
    """Exchanges equivalent atoms of the model, residue by residue, where distances to the rest then agree better."""
    ambiguous = np.zeros(len(paired.name), bool)
    for restype, couples in EXCHANGEABLE.items():
        ambiguous |= (paired.restype == restype) & np.isin(paired.name, [name for couple in couples for name in couple])
    fixed = ~ambiguous & np.isfinite(paired.positions).all(-1)
    around, model_around = paired.reference[fixed], paired.positions[fixed]
    for residue in np.unique(paired.residue[ambiguous]):
        rows = np.flatnonzero((paired.residue == residue) & ambiguous)
        row_of = dict(zip(paired.name[rows].tolist(), rows.tolist(), strict=True))
        couples = EXCHANGEABLE[str(paired.restype[rows[0]])]
        if len(row_of) != 2 * len(couples) or not np.isfinite(paired.positions[rows]).all():
            continue
        named = np.array([row_of[name] for couple in couples for name in couple])
        exchanged = np.array([row_of[name] for couple in couples for name in couple[::-1]])
        distance = np.linalg.norm(paired.reference[named, None] - around, axis=-1)
        near = distance < INCLUSION_RADIUS
        scores = []
        for choice in (named, exchanged):
            off = np.abs(np.linalg.norm(paired.positions[choice, None] - model_around, axis=-1) - distance)[near]
            scores.append(np.mean(np.minimum(off, 4.0)) if len(off) else 0.0)
        if scores[1] < scores[0]:
            paired.positions[named] = paired.positions[exchanged]
