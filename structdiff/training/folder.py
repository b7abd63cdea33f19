"""A folder of mmCIF and PDB files to a training set."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from structdiff.chemistry.elements import SYMBOLS
from structdiff.chemistry.residues import BACKBONE_ATOMS, RESIDUE_ATOMS
from structdiff.errors import InputError
from structdiff.packed_files import PACKED_SUFFIXES
from structdiff.structure.files import CIF_SUFFIXES, PDB_SUFFIXES, read_structure
from structdiff.structure.tables import ChainKind, Structure
from structdiff.training.collection import LIGAND, RawEntry, TemplateList, canonical_residue
from structdiff.training.progress import shown
from structdiff.training.set_files import SPLITS
from structdiff.training.set_writer import SetSummary, SetWriter

_SHORT = 20  # residues; shorter chains do not tie entries together
_METADATA = ("method", "resolution", "deposited")


def convert_folder(
    source: str | Path,
    out: str | Path,
    *,
    validation_fraction: float = 0.05,
    test_fraction: float = 0.05,
    max_residues: int = 512,
    progress: bool = True,
) -> SetSummary:
    """Turns all mmCIF and PDB files in and below a folder into a training set; returns its size and counts.

    Entries that share a chain sequence (of 20 residues or more) form a group; whole groups go to validation and test,
    by a hash of their sequences, so that the same file always lands in the same split. Only identical sequences are
    recognised: related ones may be in different splits. Of each entry the observed atoms of the first model are kept,
    of one with more than max_residues residues a compact part. Files that cannot be read, CA traces, and entries that
    are unsound (their backbone's bonds, or atoms too far apart for a set) are skipped and named in the summary.

    Raises InputError when a fraction is not sensible, no file could be used or the output cannot be written.
    """
    if min(validation_fraction, test_fraction) < 0 or validation_fraction + test_fraction >= 1:
        found = (validation_fraction, test_fraction)
        raise InputError("these fractions leave nothing to train on", key="validation_fraction", found=found)
    paths = structure_files(source)
    templates = TemplateList()
    read: list[tuple[RawEntry, frozenset[str]]] = []
    skipped: list[str] = []
    for path in shown(paths, len(paths), "Reading", progress):
        try:
            structure = read_structure(path)
            name = path.relative_to(source).as_posix()
            read.append((raw_entry(structure, name, templates), chain_sequences(structure)))
        except InputError as error:
            skipped.append(str(error))
    groups = sequence_groups([sequences for _, sequences in read])
    sizes = Counter(groups)
    split_of = {group: _split(group, validation_fraction, test_fraction) for group in sizes}
    writer = SetWriter(templates, max_residues=max_residues)
    for split in SPLITS:
        for (entry, _), group in zip(read, groups, strict=True):
            if split_of[group] == split:
                left_out = writer.add(entry, split, cluster=float(sizes[group]))
                skipped += [f"{entry.name}: {left_out}"] if left_out else []
    return writer.write(out, source=Path(source).name, skipped=skipped)


def structure_files(source: str | Path) -> list[Path]:
    """All mmCIF and PDB files in and below a folder, in the order of their names; an error if there is none."""
    source = Path(source)
    if not source.is_dir():
        raise InputError("no such folder", path=source)
    suffixes = tuple(s + z for s in (*CIF_SUFFIXES, *PDB_SUFFIXES) for z in ("", *PACKED_SUFFIXES))
    paths = sorted(p for p in source.rglob("*") if p.name.lower().endswith(suffixes) and p.is_file())
    if not paths:
        raise InputError("no structure files in this folder", path=source, allowed=", ".join(suffixes))
    return paths


def raw_entry(structure: Structure, name: str, templates: TemplateList) -> RawEntry:
    """The observed atoms of a structure, as they go into a set. Raises InputError for a CA trace."""
    chains, residues, atoms = structure.chains, structure.residues, structure.atoms
    kinds = np.where(chains.kind == ChainKind.LIGAND, LIGAND, chains.kind).astype(np.int64)
    positions, numbers, kept = [], [], []
    for residue in range(len(residues)):
        rows = np.flatnonzero(atoms.resolved[structure.residue_atoms(residue)]) + residues.atom_start[residue]
        if len(rows) == 0 or chains.kind[residues.chain[residue]] == ChainKind.WATER:
            continue
        polymer = bool(kinds[residues.chain[residue]] != LIGAND)
        elements = [SYMBOLS[number] for number in atoms.element[rows]]
        names = atoms.name[rows].tolist()
        template, order = canonical_residue(polymer, str(residues.name[residue]), names, elements, name)
        if order:
            numbers.append(templates.number(template))
            positions.append(atoms.positions[rows[order]])
            kept.append(residue)
    chosen = np.array(kept, np.int64)
    used = np.unique(residues.chain[chosen])
    if len(chosen) == 0 or _is_trace(positions, kinds[residues.chain[chosen]] != LIGAND):
        raise InputError("nothing but one atom a residue was seen", path=name)
    codes = [ord(code or " ") for code in residues.insertion_code[chosen].tolist()]
    return RawEntry(
        name=name,
        positions=np.rint(np.concatenate(positions).astype(np.float64) * 100).astype(np.int64),
        template=np.array(numbers, np.int64),
        author=residues.author_seq_id[chosen].astype(np.int64),
        insertion=np.array(codes, np.int64),
        label=_labels(structure)[chosen],
        chain_start=np.searchsorted(residues.chain[chosen], used),
        chain_kind=kinds[used],
        chain_name=[str(chain) for chain in chains.name[used]],
        backbone=_only_backbone(structure, chosen),
        antibody=False,
        metadata={key: structure.metadata[key] for key in _METADATA if structure.metadata.get(key)},
    )


def _is_trace(positions: Sequence[np.ndarray], polymer: np.ndarray) -> bool:
    sizes = [len(place) for place, keep in zip(positions, polymer, strict=True) if keep]
    return bool(sizes) and float(np.mean(sizes)) < 2


def _only_backbone(structure: Structure, residues: np.ndarray) -> bool:
    atoms = structure.atoms
    protein = (structure.chains.kind[structure.atom_chain] == ChainKind.PROTEIN) & atoms.resolved
    protein &= np.isin(atoms.residue, residues)
    standard = np.isin(structure.residues.name[atoms.residue], list(RESIDUE_ATOMS))
    return bool(protein.any() and np.isin(atoms.name[protein & standard], (*BACKBONE_ATOMS, "OXT")).all())


def _labels(structure: Structure) -> np.ndarray:
    """Places in the full sequences; 0 in chains of which all residues were seen, where they would hide breaks."""
    residues = structure.residues
    seen = np.zeros(len(residues), bool)
    seen[structure.atoms.residue[structure.atoms.resolved]] = True
    whole = np.logical_and.reduceat(seen, structure.chains.residue_start)
    return np.where(whole[residues.chain], 0, residues.label_seq_id).astype(np.int64)


def chain_sequences(structure: Structure) -> frozenset[str]:
    """The sequences of the polymer chains of 20 residues or more, of all chains if none is as long."""
    long, short = set(), set()
    for chain in range(len(structure.chains)):
        if structure.chains.kind[chain] in (ChainKind.LIGAND, ChainKind.WATER):
            continue
        names = structure.residues.name[structure.chain_residues(chain)].tolist()
        (long if len(names) >= _SHORT else short).add(" ".join(names))
    return frozenset(long or short)


def sequence_groups(sequences: Sequence[frozenset[str]]) -> list[str]:
    """For each entry the name of its group: entries that share a sequence, directly or through others, are one."""
    neighbours: dict[str, set[str]] = defaultdict(set)
    for members in sequences:
        for sequence in members:
            neighbours[sequence] |= members
    group_of: dict[str, str] = {}
    for start in sorted(neighbours):
        if start in group_of:
            continue
        found, todo = {start}, [start]
        while todo:
            new = neighbours[todo.pop()] - found
            found |= new
            todo += new
        group_of.update(dict.fromkeys(found, start))
    return [group_of[min(members)] if members else "" for members in sequences]


def _split(group: str, validation_fraction: float, test_fraction: float) -> str:
    draw = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64
    if draw < validation_fraction:
        return "val"
    return "test" if draw < validation_fraction + test_fraction else "train"
