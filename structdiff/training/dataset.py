"""A memory-mapped set of experimental structures, as ``structdiff.training.converter`` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from structdiff.chemistry.bundled import add_bundled_components
from structdiff.errors import InputError
from structdiff.structure.build import chain_letters
from structdiff.structure.tables import AtomTable, ChainKind, ChainTable, ResidueTable, Structure
from structdiff.training.ranges import ranges
from structdiff.training.residue_kinds import bonds_within, residue_kinds
from structdiff.training.set_files import (
    ARRAYS,
    COMPONENTS_FILE,
    SPLITS,
    TRACES,
    open_array,
    open_redesigned,
    read_description,
)

#: Lengths (residues) between which an entry's weight grows; below and above it is constant.
_SHORT, _LONG = 32, 256
_ANTIBODY_WEIGHT = 0.1
#: Of each chain, by its number: as many as three letters tell apart.
_LABEL_IDS = np.array([chain_letters(number) for number in range(26 + 26**2 + 26**3)])


class StructureSet:
    """Experimental structures of one split, read from disk as they are asked for.

    Arrays, one row an entry: names; num_residues (with ligands); num_tokens (a standard residue is one token, anything
    else one per atom); num_atoms (stored, that is resolved); weight, for drawing entries: 1 / (entries of the split in
    its rarest 90 % cluster), times clip(residues, 32, 256) / 256, times 0.1 for antibodies and T-cell receptors,
    whose folds are all alike; atoms_kind ("all", "backbone", or "trace": one atom a residue, in the split "traces"
    alone); antibody, nucleic (bool: has DNA or RNA), several_chains (bool); cluster (size).
    has_redesigned: whether entries have designed sequences beside their own.

    Raises InputError when the folder is no such set. Pickling (data loader workers) opens the folder anew.
    """

    def __init__(self, path: str | Path, split: str = "train") -> None:
        self.path, self.split = Path(path), split
        known = (*SPLITS, TRACES)
        if split not in known:
            raise InputError("unknown split", key="split", found=split, allowed=known, suggest_from=known)
        description = read_description(self.path)
        if (self.path / COMPONENTS_FILE).is_file():
            add_bundled_components(self.path / COMPONENTS_FILE)
        self._data = {name: open_array(self.path, name) for name in ARRAYS}
        self._first, self._stop = description["splits"].get(split, (0, 0))  # sets of before have no traces
        rows = slice(self._first, self._stop)
        self.names: list[str] = description["names"][rows]
        self.metadata: list[dict[str, object]] = description["metadata"][rows]
        self._templates = residue_kinds(description["templates"], self._data)
        self._redesigned = open_redesigned(self.path, len(self._data["residue_template"]))
        self.has_redesigned = len(self._redesigned) > 0
        bounds = {
            part: np.asarray(self._data[f"entry_{part}"]).astype(np.int64)
            for part in ("atom", "residue", "chain", "run")
        }
        self._bounds = bounds
        self.num_residues = np.diff(bounds["residue"])[rows]
        self.num_atoms = np.diff(bounds["atom"])[rows]
        tokens = np.where(self._templates.standard, 1, self._templates.listed)[self._data["residue_template"]]
        self.num_tokens = np.diff(np.concatenate([[0], np.cumsum(tokens)])[bounds["residue"]])[rows]
        known = np.where(self._data["entry_backbone"][rows], "backbone", "all")
        self.atoms_kind = np.full(len(known), "trace") if split == TRACES else known
        self.antibody = np.array(self._data["entry_antibody"][rows])
        self.cluster = np.array(self._data["entry_cluster"][rows])
        nucleic = np.isin(self._data["chain_kind"], (ChainKind.DNA, ChainKind.RNA))
        self.several_chains = np.diff(bounds["chain"])[rows] > 1
        self.nucleic = np.diff(np.concatenate([[0], np.cumsum(nucleic)])[bounds["chain"]])[rows] > 0
        self.weight = (
            np.clip(self.num_residues, _SHORT, _LONG) / _LONG
            * np.where(self.antibody, _ANTIBODY_WEIGHT, 1.0) / self.cluster
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.names)

    def __reduce__(self) -> tuple:
        return StructureSet, (self.path, self.split)

    def residue_span(self, index: int) -> slice:
        """The residues of an entry among those of the whole set."""
        row = self._first + index
        return slice(int(self._bounds["residue"][row]), int(self._bounds["residue"][row + 1]))

    def redesigned_letters(self) -> np.ndarray:
        """Designed sequences of the whole set (sequence, residue): 1 + the number in LETTERS, 0 for none; a copy."""
        return np.array(self._redesigned)

    def num_redesigned(self, index: int) -> int:
        """How many designed sequences an entry has."""
        return int(self._redesigned[:, self.residue_span(index)].any(1).sum())

    def structure(
        self, index: int, *, redesigned: int | None = None, nucleotides: Mapping[int, str] | None = None
    ) -> Structure:
        """One entry with all heavy atoms of its residues; those the experiment did not see are not resolved.

        Standard residues list their atoms in the order of RESIDUE_ATOMS; modified residues and ligands have the atoms
        stored and their bonds. label_seq_id tells neighbours from gaps; author numbers are the depositor's.
        redesigned: with the designed sequence of that number, where it has one; nucleotides: names of other nucleotides
        for these residues. Of a residue that is another then only the backbone is resolved.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"entry {index} of {len(self)}")
        row = self._first + index % len(self)
        (a0, a1), (r0, r1), (c0, c1), (n0, n1) = (
            self._bounds[part][row : row + 2] for part in ("atom", "residue", "chain", "run")
        )
        data, kinds = self._data, self._templates
        template = np.asarray(data["residue_template"][r0:r1]).astype(np.int64)
        residues = len(template)
        chain_start = np.asarray(data["chain_residue"][c0:c1]).astype(np.int32)
        chain = np.repeat(np.arange(len(chain_start), dtype=np.int32), np.diff(chain_start, append=residues))
        place, stored = (
            kinds.place[ranges(kinds.stored_start[template], kinds.stored[template])],
            kinds.stored[template],
        )
        there = np.ones(len(place), bool)
        if redesigned is not None or nucleotides:
            new = self._replaced(template, slice(r0, r1), redesigned, nucleotides or {})
            changed = kinds.name[new] != kinds.name[template]
            there = ~np.repeat(changed, stored) | (place < np.repeat(kinds.backbone[template], stored))
            template = np.where(changed, new, template)
        listed = kinds.listed[template]
        atom_start = np.cumsum(listed) - listed
        flat = ranges(kinds.listed_start[template], listed)
        seen = (place + np.repeat(atom_start, stored))[there]
        positions = np.zeros((len(flat), 3), np.float32)
        positions[seen] = data["atom_positions"][a0:a1][there] * np.float32(0.01)
        resolved = np.zeros(len(flat), bool)
        resolved[seen] = True
        author, label, insertion = _numbers(data["run_residue"][n0:n1], data["run_values"][n0:n1], residues)
        return Structure(
            name=self.names[index],
            chains=ChainTable(
                name=np.array(data["chain_name"][c0:c1]),
                label_id=_LABEL_IDS[: c1 - c0],
                kind=np.array(data["chain_kind"][c0:c1]).astype(np.int8),
                entity_id=np.array(data["chain_entity"][c0:c1]).astype(np.int32),
                sym_id=np.array(data["chain_copy"][c0:c1]).astype(np.int32),
                cyclic=np.zeros(c1 - c0, bool),
                residue_start=chain_start,
            ),
            residues=ResidueTable(
                chain=chain,
                name=kinds.name[template],
                label_seq_id=label,
                author_seq_id=author,
                insertion_code=insertion,
                atom_start=atom_start.astype(np.int32),
            ),
            atoms=AtomTable(
                residue=np.repeat(np.arange(residues, dtype=np.int32), listed),
                name=kinds.atom_name[flat],
                element=kinds.element[flat],
                charge=kinds.charge[flat],
                positions=positions,
                resolved=resolved,
                b_factor=np.zeros(len(flat), np.float32),
                occupancy=resolved.astype(np.float32),
            ),
            bonds=bonds_within(kinds, template, atom_start),
            metadata=self.metadata[index],
        )

    def _replaced(
        self, template: np.ndarray, rows: slice, redesigned: int | None, nucleotides: Mapping[int, str]
    ) -> np.ndarray:
        """The kinds of residues with a designed sequence, and with other nucleotides."""
        new = template.copy()
        if redesigned is not None:
            letters = np.asarray(self._redesigned[redesigned, rows]).astype(np.int64)
            new = np.where(letters > 0, self._templates.amino_acid[letters - 1], new)
        for residue, name in nucleotides.items():
            new[residue] = self._templates.nucleotide[name]
        return new


def _numbers(first: np.ndarray, values: np.ndarray, residues: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Author numbers, labels and insertion codes of all residues, from stretches that count upwards."""
    first = np.asarray(first).astype(np.int64)
    lengths = np.diff(first, append=residues)
    step = np.arange(residues) - np.repeat(first, lengths)
    author, label, code = np.repeat(np.asarray(values), lengths, axis=0).T
    letters = np.array([chr(c).strip() for c in values[:, 2]], dtype="U1")
    return (
        (author + step).astype(np.int32),
        (label + step).astype(np.int32),
        np.repeat(letters, lengths) if (code != 32).any() else np.zeros(residues, "U1"),
    )
