"""Reading structure collections: folders of index.jsonl.gz, splits.json and compressed shards (docs/data.md)."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from structdiff.chemistry.components import Component, component
from structdiff.chemistry.residues import RESIDUE_ATOMS
from structdiff.errors import InputError
from structdiff.training.ranges import ranges

#: chain_kind of the collection for chains that mix DNA and RNA, and for ligands; below them as in ChainKind.
HYBRID, LIGAND = 3, 4
#: What a ligand is called whose chemistry is not known: the CCD's "unknown ligand".
UNKNOWN_LIGAND = "UNL"
_NAMELESS = ("LIG", "UNK", "UNL", "UNX", "DRG", "INH")


@dataclass(frozen=True, kw_only=True)
class ResidueTemplate:
    """One kind of residue: its name, the atoms that were seen of it, and their elements as the source has them.

    polymer: it stands in a protein or nucleic chain. example: "" if the CCD knows all its atoms by name, else the entry
    it comes from, since atoms of the same names may be other molecules elsewhere.
    """

    polymer: bool
    name: str
    atoms: tuple[str, ...]
    elements: tuple[str, ...]
    example: str = ""

    @property
    def standard(self) -> bool:
        """Whether it is a standard residue of a chain."""
        return self.polymer and self.name in RESIDUE_ATOMS


class TemplateList:
    """The kinds of residues met so far, numbered in order of appearance."""

    def __init__(self) -> None:
        self.rows: list[ResidueTemplate] = []
        self._number: dict[ResidueTemplate, int] = {}
        self._columns: dict[str, np.ndarray] = {}

    def number(self, template: ResidueTemplate) -> int:
        """Number of a kind of residue, a new one if it was not met before."""
        if template not in self._number:
            self._number[template] = len(self.rows)
            self.rows.append(template)
        return self._number[template]

    def column(self, name: str, value: Callable[[ResidueTemplate], int]) -> np.ndarray:
        """An integer for each kind of residue, computed once for each and kept under a name."""
        known = self._columns.get(name, np.zeros(0, np.int64))
        if len(known) < len(self.rows):
            new = [value(template) for template in self.rows[len(known) :]]
            known = self._columns[name] = np.concatenate([known, np.array(new, np.int64)])
        return known

    @property
    def atom_count(self) -> np.ndarray:
        """Atoms of each kind."""
        return self.column("atom_count", lambda template: len(template.atoms))


@dataclass(frozen=True, kw_only=True)
class RawEntry:
    """One entry on its way into a set: residues of all chains in order, observed atoms only.

    positions: int (atom, 3), centi-Å. template: row of each residue in the template list. author, insertion (character
    code, 32 for none), label (1-based, 0 if unknown): its numbers. chain_start: first residue of each chain.
    chain_kind: of the collection. backbone: only backbone atoms are known. antibody: immunoglobulin or T-cell receptor.
    """

    name: str
    positions: np.ndarray
    template: np.ndarray
    author: np.ndarray
    insertion: np.ndarray
    label: np.ndarray
    chain_start: np.ndarray
    chain_kind: np.ndarray
    chain_name: list[str]
    backbone: bool
    antibody: bool
    metadata: dict[str, object]

    @property
    def chain_bounds(self) -> np.ndarray:
        """First residue of each chain, and the number of residues."""
        return np.append(self.chain_start, len(self.template))


def known_component(name: str) -> Component | None:
    """The CCD's component of a code, or None."""
    try:
        return component(name)
    except InputError:
        return None


def canonical_residue(
    polymer: bool, name: str, atoms: Sequence[str], elements: Sequence[str], example: str
) -> tuple[ResidueTemplate, list[int]]:
    """What a residue is stored as, and which of its atoms in which order.

    Selenomethionine becomes methionine (as in AlphaFold 3); atoms that a standard residue has only at a chain's end go.
    A ligand whose atoms the CCD does not know by name becomes UNL, a lone ion's atom gets its right name.
    """
    names, symbols = list(atoms), list(elements)
    if polymer and name == "MSE":
        name = "MET"
        symbols = ["S" if atom == "SE" else element for atom, element in zip(names, symbols, strict=True)]
        names = ["SD" if atom == "SE" else atom for atom in names]
    rows = list(range(len(names)))
    if polymer and name in RESIDUE_ATOMS:
        rows, example = [names.index(atom) for atom in RESIDUE_ATOMS[name] if atom in names], ""
    else:
        found = known_component(name) if polymer or name not in _NAMELESS else None
        known = [] if found is None else found.atom_names.tolist()
        if len(known) == len(names) == 1:
            names = known
        if set(names) <= set(known) and len(set(names)) == len(names):
            example = ""
        elif not polymer:
            name = UNKNOWN_LIGAND
    template = ResidueTemplate(
        polymer=polymer,
        name=name,
        atoms=tuple(names[row] for row in rows),
        elements=tuple(symbols[row] for row in rows),
        example=example,
    )
    return template, rows


class Collection:
    """A structure collection on disk: the records of its index, and its entries.

    Raises InputError when the folder is none.
    """

    def __init__(self, source: str | Path) -> None:
        self.source = Path(source)
        for needed in ("index.jsonl.gz", "splits.json"):
            if not (self.source / needed).is_file():
                raise InputError(f"this folder is no structure collection: it has no {needed}", path=self.source)
        with gzip.open(self.source / "index.jsonl.gz", "rt", encoding="utf-8") as lines:
            self.records: list[dict] = [json.loads(line) for line in lines]
        splits = json.loads((self.source / "splits.json").read_text(encoding="utf-8"))
        self.split_of: dict[str, str] = {name: split for split, names in splits.items() for name in names}

    def entries(self, records: Sequence[dict], templates: TemplateList) -> Iterator[RawEntry]:
        """The entries of some records, shard after shard."""
        by_shard: dict[str, list[dict]] = defaultdict(list)
        for record in records:
            by_shard[record["shard"]].append(record)
        for shard_name in sorted(by_shard):
            shard = _Shard(self.source / shard_name, templates)
            for record in sorted(by_shard[shard_name], key=lambda r: r["row"]):
                yield shard.entry(record)


class _Shard:
    def __init__(self, path: Path, templates: TemplateList) -> None:
        try:
            with np.load(path, allow_pickle=False) as arrays:
                self.arrays = {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError) as error:
            raise InputError(f"a shard of the collection cannot be read: {error}", path=path) from None
        self.templates = templates
        self.raw = [
            (name, atoms.split(" "), elements.split(" "))
            for name, atoms, elements in json.loads(self.arrays["templates"].tobytes())
        ]
        self.raw_atoms = np.array([len(atoms) for _, atoms, _ in self.raw])
        self.kept: dict[tuple[int, bool], tuple[int, np.ndarray]] = {}

    def _kept(self, row: int, polymer: bool, example: str) -> tuple[int, np.ndarray]:
        """Template number and kept atoms of a row of the shard's templates."""
        if (row, polymer) in self.kept:
            return self.kept[row, polymer]
        template, rows = canonical_residue(polymer, *self.raw[row], example)
        result = self.templates.number(template), np.array(rows, np.int64)
        if not template.example:
            self.kept[row, polymer] = result
        return result

    def entry(self, record: dict) -> RawEntry:
        z, row = self.arrays, record["row"]
        a0, a1 = z["entry_atom"][row : row + 2]
        r0, r1 = z["entry_res"][row : row + 2]
        c0, c1 = z["entry_chain"][row : row + 2]
        steps = z["xyz_lo"][:, a0:a1].astype(np.uint16) | z["xyz_hi"][:, a0:a1].astype(np.uint16) << 8
        positions = np.cumsum(steps, 1, dtype=np.uint16).view(np.int16).T.astype(np.int32) + z["center"][row]
        raw_template = z["res_tmpl"][r0:r1].astype(np.int64)
        bounds = z["chain_res"][c0 : c1 + 1].astype(np.int64) - r0
        kinds = z["chain_kind"][c0:c1].astype(np.int64)
        polymer = np.repeat(kinds != LIGAND, np.diff(bounds))
        pairs, inverse = np.unique(raw_template * 2 + polymer, return_inverse=True)
        kept = [self._kept(int(pair) // 2, bool(pair % 2), record["id"]) for pair in pairs]
        lengths = np.array([len(rows) for _, rows in kept])
        raw_start = np.cumsum(self.raw_atoms[raw_template]) - self.raw_atoms[raw_template]
        picked = ranges((np.cumsum(lengths) - lengths)[inverse], lengths[inverse])
        source = np.repeat(raw_start, lengths[inverse]) + np.concatenate([rows for _, rows in kept])[picked]
        return RawEntry(
            name=record["id"],
            positions=positions[source],
            template=np.array([number for number, _ in kept])[inverse],
            author=z["res_num"][r0:r1].astype(np.int64),
            insertion=z["res_icode"][r0:r1].astype(np.int64),
            label=z["res_label"][r0:r1].astype(np.int64),
            chain_start=bounds[:-1],
            chain_kind=kinds,
            chain_name=[str(name) for name in z["chain_name"][c0:c1]],
            backbone=record["atoms"] == "backbone",
            antibody="ig" in record["tags"],
            metadata=_metadata(record),
        )


def _metadata(record: dict) -> dict[str, object]:
    found = {"method": record["method"].strip(), "resolution": record["resolution"], "deposited": record["date"]}
    return {key: value for key, value in found.items() if value}
