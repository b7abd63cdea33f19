"""What is made of an entry before it is stored: a compact part, numbers, entities, naming mended."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.spatial import KDTree

from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE, RESIDUE_ATOMS, RNA_NAMES
from structdiff.structure.tables import ChainKind
from structdiff.training.collection import HYBRID, LIGAND, RawEntry, ResidueTemplate, TemplateList

#: Largest distance (centi-Å) from the middle of an entry that int16 holds, with room to spare.
LARGEST_OFFSET = 32000
#: C-N and O3'-P distances (centi-Å) up to which residues count as bonded, with room for poor geometry.
BONDED = 250
_N_CA, _CA_C, _BOND_TOLERANCE = 146, 152.5, 15  # centi-Å
_UNSOUND_SHARE = 0.1
_LIGAND_CONTACT = 600  # centi-Å
_SMALLEST_PART = 40  # residues; a shorter piece of a chain is not worth keeping


def atom_starts(entry: RawEntry, templates: TemplateList) -> np.ndarray:
    """First atom of each residue, and the number of atoms."""
    return np.concatenate([[0], np.cumsum(templates.atom_count[entry.template])])


def take_residues(entry: RawEntry, keep: np.ndarray, templates: TemplateList) -> RawEntry:
    """The entry with only the residues of a boolean mask; chains left without residues go."""
    lengths = np.diff(entry.chain_bounds)
    chain = np.repeat(np.arange(len(lengths)), lengths)
    count = np.bincount(chain[keep], minlength=len(lengths))
    used = count > 0
    return dataclasses.replace(
        entry,
        positions=entry.positions[np.repeat(keep, templates.atom_count[entry.template])],
        template=entry.template[keep],
        author=entry.author[keep],
        insertion=entry.insertion[keep],
        label=entry.label[keep],
        chain_start=np.cumsum(count[used]) - count[used],
        chain_kind=entry.chain_kind[used],
        chain_name=[name for name, kept in zip(entry.chain_name, used, strict=True) if kept],
    )


def compact_part(entry: RawEntry, templates: TemplateList, max_residues: int) -> RawEntry:
    """Of a large entry a part that hangs together: at most max_residues of its polymers and the ligands on them.

    It grows from the chain nearest the middle, each time by the chain in closest contact; the last one that no longer
    fits is cut to what is nearest the part (the first, nearest the middle).
    """
    starts = atom_starts(entry, templates)
    full = np.diff(starts) > 0
    chain = np.repeat(np.arange(len(entry.chain_start)), np.diff(entry.chain_bounds))
    polymer = (entry.chain_kind != LIGAND)[chain]
    wide = np.ptp(entry.positions, axis=0).max() > 2 * LARGEST_OFFSET
    if (full & polymer).sum() <= max_residues and not wide:
        return entry if full.all() else take_residues(entry, full, templates)
    place = entry.positions[np.minimum(starts[:-1], len(entry.positions) - 1)].astype(np.float64)
    candidates = full & (polymer if (full & polymer).any() else True)
    middle = place[candidates].mean(0)
    distance = np.sqrt(((place - middle) ** 2).sum(1))
    reach = distance <= 0.9 * LARGEST_OFFSET
    candidates &= reach
    keep = np.zeros(len(place), bool)
    while (left := candidates & ~keep).any() and (room := max_residues - int(keep.sum())) > 0:
        if keep.any():
            distance = KDTree(place[keep]).query(place)[0]
        nearest = chain[left][np.argmin(distance[left])]
        members = np.flatnonzero(left & (chain == nearest))
        if len(members) > room:
            if not keep.any() or room >= _SMALLEST_PART:
                keep[members[np.argsort(distance[members], kind="stable")[:room]]] = True
            break
        keep[members] = True
    keep |= _ligands_near(entry, starts, keep, full & ~polymer & reach)
    return take_residues(entry, keep, templates)


def _ligands_near(entry: RawEntry, starts: np.ndarray, keep: np.ndarray, ligands: np.ndarray) -> np.ndarray:
    """Which ligands have an atom near one of the residues kept."""
    near = np.zeros(len(keep), bool)
    if not keep.any() or not ligands.any():
        return near
    counts = np.diff(starts)
    tree = KDTree(entry.positions[np.repeat(keep, counts)])
    residue = np.repeat(np.arange(len(keep)), counts)
    atoms = np.flatnonzero(ligands[residue])
    touching = np.isfinite(tree.query(entry.positions[atoms], distance_upper_bound=_LIGAND_CONTACT)[0])
    near[residue[atoms[touching]]] = True
    return near


def separate_ligands(entry: RawEntry) -> RawEntry:
    """Gives each ligand a chain of its own, as in mmCIF."""
    ligand = entry.chain_kind == LIGAND
    if not ligand.any():
        return entry
    lengths = np.diff(entry.chain_bounds)
    pieces = np.where(ligand, lengths, 1)
    each = np.concatenate([np.ones(n, int) if lone else [n] for lone, n in zip(ligand, lengths, strict=True)])
    return dataclasses.replace(
        entry,
        chain_start=np.cumsum(each) - each,
        chain_kind=np.repeat(entry.chain_kind, pieces),
        chain_name=[name for name, n in zip(entry.chain_name, pieces, strict=True) for _ in range(n)],
    )


def has_sound_backbone(entry: RawEntry, templates: TemplateList) -> bool:
    """Whether the N-CA and CA-C bonds of its standard amino acids have natural lengths.

    False where more than a tenth is over 0.15 Å off: coordinates rounded to whole Å, or refined without restraints.
    """
    n, ca, c, _ = _corners(entry, templates)
    there = (n >= 0) & (ca >= 0) & (c >= 0)
    if not there.any():
        return True
    place = [entry.positions[rows[there]].astype(np.float64) for rows in (n, ca, c)]
    off = np.zeros(int(there.sum()), bool)
    for one, two, natural in ((0, 1, _N_CA), (1, 2, _CA_C)):
        off |= np.abs(np.sqrt(((place[one] - place[two]) ** 2).sum(1)) - natural) > _BOND_TOLERANCE
    return bool(off.mean() <= _UNSOUND_SHARE)


def without_mirrored(entry: RawEntry, templates: TemplateList) -> RawEntry:
    """The entry less the residues under the name of an L-amino acid whose alpha carbon is of the other hand.

    They are D-residues and whole D-proteins whose source gave them L names, and errors; a model would learn them.
    """
    rows = _corners(entry, templates)
    there = np.flatnonzero(np.min(rows, axis=0) >= 0)
    n, ca, c, cb = (entry.positions[row[there]].astype(np.float64) for row in rows)
    mirrored = there[np.einsum("ij,ij->i", np.cross(n - ca, c - ca), cb - ca) < 0]
    if len(mirrored) == 0:
        return entry
    return take_residues(entry, ~np.isin(np.arange(len(entry.template)), mirrored), templates)


def _corners(entry: RawEntry, templates: TemplateList) -> list[np.ndarray]:
    """Atom rows of N, CA, C and CB of each standard amino acid, -1 where there is none."""
    starts = atom_starts(entry, templates)[:-1]
    rows = []
    for atom in ("N", "CA", "C", "CB"):
        row = templates.column(atom, lambda template, atom=atom: _in_protein(template, atom))[entry.template]
        rows.append(np.where(row >= 0, starts + row, -1))
    return rows


def _in_protein(template: ResidueTemplate, atom: str) -> int:
    """Row of an atom of a standard amino acid, -1 if it was not seen."""
    found = template.standard and template.name in PROTEIN_THREE_TO_ONE and atom in template.atoms
    return template.atoms.index(atom) if found else -1


def mend_arginines(entry: RawEntry, templates: TemplateList) -> RawEntry:
    """Exchanges NH1 and NH2 of arginines where NH2 is the one on the side of CD (AlphaFold 3, section 2.1)."""
    whole = RESIDUE_ATOMS["ARG"]
    complete = templates.column("arginine", lambda row: row.standard and row.name == "ARG" and row.atoms == whole)
    start = atom_starts(entry, templates)[:-1][complete[entry.template] == 1]
    if len(start) == 0:
        return entry
    positions = entry.positions.copy()
    cd, nh1, nh2 = (start + whole.index(atom) for atom in ("CD", "NH1", "NH2"))
    first, second = (((positions[cd] - positions[other]) ** 2).sum(1) for other in (nh1, nh2))
    wrong = first > second
    positions[nh1[wrong]], positions[nh2[wrong]] = positions[nh2[wrong]], positions[nh1[wrong]]
    return dataclasses.replace(entry, positions=positions)


def chain_kinds(entry: RawEntry, templates: TemplateList) -> np.ndarray:
    """ChainKind of each chain; a hybrid of DNA and RNA counts as what most of it is."""
    kinds = entry.chain_kind.copy()
    bounds = entry.chain_bounds
    for chain in np.flatnonzero(kinds == HYBRID):
        names = [templates.rows[t].name for t in entry.template[bounds[chain] : bounds[chain + 1]]]
        kinds[chain] = ChainKind.RNA if 2 * sum(name in RNA_NAMES for name in names) >= len(names) else ChainKind.DNA
    kinds[entry.chain_kind == LIGAND] = ChainKind.LIGAND
    return kinds


def sequence_numbers(entry: RawEntry, templates: TemplateList) -> np.ndarray:
    """label_seq_id of each residue: as given, else so that its steps tell neighbours from gaps.

    Where the source does not tell, bonded neighbours are one apart, whatever the author numbering says (antibody
    schemes leave numbers out); others as far as the numbering says, and at least so far that the gap can be spanned.
    """
    label = entry.label.copy()
    gaps = _gaps(entry, templates)
    for chain, (start, stop) in enumerate(pairwise(entry.chain_bounds)):
        if entry.chain_kind[chain] == LIGAND:
            label[start:stop] = np.arange(1, stop - start + 1)
            continue
        if (label[start:stop] > 0).all() and (np.diff(label[start:stop]) > 0).all():
            continue
        step = np.maximum(np.diff(entry.author[start:stop]), 1)
        gap = gaps[start : stop - 1]
        spanned = np.array([0 if math.isnan(g) else math.ceil(g / 350) + 1 for g in gap], np.int64)
        step = np.where(gap <= BONDED, 1, np.maximum(step, spanned))
        label[start:stop] = np.concatenate([[1], 1 + np.cumsum(np.minimum(step, 500))])
    return label


def _gaps(entry: RawEntry, templates: TemplateList) -> np.ndarray:
    """Distance (centi-Å) from each residue's C or O3' to the next one's N or P; NaN where one is missing."""
    leave = templates.column("leave", lambda row: _first_of(row.atoms, ("C", "O3'")))[entry.template]
    enter = templates.column("enter", lambda row: _first_of(row.atoms, ("N", "P")))[entry.template]
    start = atom_starts(entry, templates)[:-1]
    gap = np.full(max(len(start) - 1, 0), np.nan)
    seen = np.flatnonzero((leave[:-1] >= 0) & (enter[1:] >= 0))
    vector = entry.positions[start[seen] + leave[seen]] - entry.positions[start[seen + 1] + enter[seen + 1]]
    gap[seen] = np.sqrt((vector.astype(np.float64) ** 2).sum(1))
    return gap


def _first_of(atoms: Sequence[str], wanted: Sequence[str]) -> int:
    return next((atoms.index(name) for name in wanted if name in atoms), -1)


def entities(entry: RawEntry, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """entity_id and sym_id of each chain: chains of the same kind and sequence are copies of one entity.

    Chains that differ only in what the experiment saw count as the same: where their author numbering overlaps, over at
    least four fifths of the shorter, the residues agree.
    """
    numbers = list(zip(entry.author.tolist(), entry.insertion.tolist(), strict=True))
    known: list[tuple[int, dict]] = []
    copies: Counter[int] = Counter()
    entity, copy = [], []
    for kind, (start, stop) in zip(entry.chain_kind.tolist(), pairwise(entry.chain_bounds), strict=True):
        places = range(stop - start) if kind == LIGAND else numbers[start:stop]
        sequence = dict(zip(places, names[start:stop], strict=True))
        number = next((n for n, (k, other) in enumerate(known) if k == kind and _alike(sequence, other)), len(known))
        if number == len(known):
            known.append((kind, sequence))
        entity.append(number)
        copy.append(copies[number])
        copies[number] += 1
    return np.array(entity), np.array(copy)


def _alike(one: dict, two: dict) -> bool:
    if len(one) == len(two) == 1:
        return list(one.values()) == list(two.values())
    shared = one.keys() & two.keys()
    return len(shared) >= 0.8 * min(len(one), len(two)) and all(one[place] == two[place] for place in shared)


def runs(entry: RawEntry, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stretches over which both numberings go up by one: first residue; author number, label, insertion code there."""
    new = np.ones(len(label), bool)
    new[1:] = (np.diff(entry.author) != 1) | (np.diff(label) != 1) | (np.diff(entry.insertion) != 0)
    new[entry.chain_start] = True
    first = np.flatnonzero(new)
    return first, np.stack([entry.author[first], label[first], entry.insertion[first]], 1)
