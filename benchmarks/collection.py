"""Chains out of the compact collection of experimental structures (one ``index.jsonl.gz`` and numpy shards)."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone

KINDS = ("protein", "dna", "rna", "hybrid", "ligand")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CollectionChain:
    """One chain: per residue its name, number, insertion code, atom names, elements and positions (Å)."""

    entry: str
    name: str
    kind: str
    cluster: int
    names: list[str]
    numbers: np.ndarray
    insertion_codes: list[str]
    labels: np.ndarray
    atom_names: list[list[str]]
    elements: list[list[str]]
    positions: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.names)

    def backbone(self) -> Backbone:
        found = np.full((len(self), 5, 3), np.nan)
        slots = {"N": 0, "CA": 1, "C": 2, "O": 3, "CB": 4}
        for row, (atoms, places) in enumerate(zip(self.atom_names, self.positions, strict=True)):
            for atom, place in zip(atoms, places, strict=True):
                if atom in slots:
                    found[row, slots[atom]] = place
        index = self.labels if (self.labels > 0).all() else self._index_by_number(found)
        return Backbone.from_arrays(
            found[:, :4], np.zeros(len(self), int), residue_index=index, restype=np.array(self.names), cb=found[:, 4]
        )

    def _index_by_number(self, found: np.ndarray) -> np.ndarray:
        """Places in sequence: a jump in numbering is a gap unless the peptide bond is there."""
        step = np.maximum(np.diff(self.numbers), 1)
        bond = np.linalg.norm(found[1:, 0] - found[:-1, 2], axis=-1)
        step = np.where(bond < 2.0, 1, np.where(step > 1, step, 1))
        return np.concatenate([[0], np.cumsum(step)])

    def pdb_text(self) -> str:
        """The chain as a PDB file, called A."""
        lines, serial = [], 0
        for row, name in enumerate(self.names):
            residues = zip(self.atom_names[row], self.elements[row], self.positions[row], strict=True)
            record = "ATOM  " if len(name) == 3 else "HETATM"
            for atom, element, (x, y, z) in residues:
                serial += 1
                label = f"{atom:<4}" if len(atom) == 4 or len(element) == 2 else f" {atom:<3}"
                lines.append(
                    f"{record}{serial:>5} {label} {name:>3} A{self.numbers[row]:>4}{self.insertion_codes[row]}   "
                    f"{x:8.3f}{y:8.3f}{z:8.3f}{1.0:6.2f}{0.0:6.2f}          {element.upper():>2}"
                )
        return "\n".join([*lines, "TER", "END", ""])


def read_index(source: Path) -> list[dict]:
    path = source / "index.jsonl.gz"
    if not path.is_file():
        raise InputError("no collection of structures here", path=source, allowed="a folder with index.jsonl.gz")
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def read_chains(source: Path, records: list[dict]) -> Iterator[tuple[dict, list[CollectionChain]]]:
    """The polymer chains of the given entries of the index, entry after entry, in the order of the shards."""
    shard, arrays = "", {}
    for record in sorted(records, key=lambda record: (record["shard"], record["row"])):
        if record["shard"] != shard:
            shard = record["shard"]
            with np.load(source / shard, allow_pickle=False) as data:
                arrays = {key: data[key] for key in data.files}
            templates = [(name, a.split(" "), e.split(" ")) for name, a, e in json.loads(arrays["templates"].tobytes())]
            arrays["templates"] = templates
        yield record, _chains(record, arrays)


def _chains(record: dict, arrays: dict) -> list[CollectionChain]:
    row = record["row"]
    first, last = arrays["entry_atom"][row : row + 2]
    step = arrays["xyz_lo"][:, first:last].astype("u2") | arrays["xyz_hi"][:, first:last].astype("u2") << 8
    positions = (np.cumsum(step, 1, dtype="u2").view("i2").T + arrays["center"][row]) / 100
    residues = slice(*arrays["entry_res"][row : row + 2])
    templates = [arrays["templates"][index] for index in arrays["res_tmpl"][residues]]
    atom_start = np.concatenate([[0], np.cumsum([len(atoms) for _, atoms, _ in templates])])
    offset = residues.start
    out = []
    for number, about in zip(range(*arrays["entry_chain"][row : row + 2]), record["chains"], strict=False):
        rows = range(arrays["chain_res"][number] - offset, arrays["chain_res"][number + 1] - offset)
        out.append(
            CollectionChain(
                entry=record["id"],
                name=str(arrays["chain_name"][number]),
                kind=KINDS[arrays["chain_kind"][number]],
                cluster=about["c90"],
                names=[templates[r][0] for r in rows],
                numbers=arrays["res_num"][residues][rows.start : rows.stop],
                insertion_codes=[chr(code) for code in arrays["res_icode"][residues][rows.start : rows.stop]],
                labels=arrays["res_label"][residues][rows.start : rows.stop],
                atom_names=[templates[r][1] for r in rows],
                elements=[templates[r][2] for r in rows],
                positions=[positions[atom_start[r] : atom_start[r + 1]] for r in rows],
            )
        )
    return out
