"""Experimental structures to a compact memory-mapped training set.

The set is a folder of .npy arrays and one ``set.json`` (format in docs/data.md); ``structdiff.training.dataset`` reads it.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
import math
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from structdiff.chemistry.components import Component, component
from structdiff.chemistry.elements import SYMBOLS
from structdiff.chemistry.residues import RESIDUE_ATOMS, RNA_NAMES
from structdiff.errors import InputError
from structdiff.structure.tables import ChainKind

FORMAT = 1
SPLITS = ("train", "val", "test")
#: Sources whose licence is non-commercial or academic; only coordinates were taken from them, yet they are left out.
EXCLUDED_SOURCES = ("RosettaCommons/demos", "Acellera/moleculekit")
_MEBIBYTE = 2**20
_HYBRID, _LIGAND = 3, 4  # chain_kind of the collection
_LARGEST_OFFSET = 32000  # centi-Å; positions are stored as int16
_BONDED = 250  # centi-Å; a peptide or phosphodiester bond, with room for poor geometry


@dataclass(frozen=True, kw_only=True)
class RawEntry:
    """One entry as read: residues of all chains in order, positions (atom, 3) in centi-Å.

    template: row of each residue in the template list, whose rows are (polymer, residue name, atom names, elements);
    chain_start: first residue of each chain; kind: ChainKind of each chain; label: 1-based place or 0 when unknown.
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
    cluster: float
    metadata: dict[str, object]


def ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """All numbers of several ranges, one after another.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    counts = np.asarray(counts, np.int64)
    total = int(counts.sum())
    first = np.cumsum(counts) - counts
    return np.arange(total) + np.repeat(np.asarray(starts, np.int64) - first, counts)


class TemplateList:
    """The kinds of residues met so far: name, atoms stored, elements; numbered in order of appearance."""

    def __init__(self) -> None:
        self.rows: list[tuple[bool, str, tuple[str, ...], tuple[str, ...]]] = []
        self._number: dict[tuple[bool, str, tuple[str, ...]], int] = {}
        self.sample: list[np.ndarray] = []

    def number(self, polymer: bool, name: str, atoms: tuple[str, ...], elements: tuple[str, ...]) -> int:
        """Number of a kind of residue, a new one if it was not met before."""
        key = (polymer, name, atoms)
        if key not in self._number:
            self._number[key] = len(self.rows)
            self.rows.append((polymer, name, atoms, elements))
        return self._number[key]


def canonical_residue(
    polymer: bool, name: str, atoms: Sequence[str], elements: Sequence[str]
) -> tuple[str, list[int], tuple[str, ...], tuple[str, ...]]:
    """Residue name, rows of the atoms kept in our order, their names and elements.

    Selenomethionine becomes methionine (as AlphaFold 3 does); atoms a standard residue has only at a chain's end go.
    """
    names = list(atoms)
    symbols = list(elements)
    if polymer and name == "MSE":
        name = "MET"
        symbols = ["S" if atom == "SE" else element for atom, element in zip(names, symbols, strict=True)]
        names = ["SD" if atom == "SE" else atom for atom in names]
    if not polymer or name not in RESIDUE_ATOMS:
        return name, list(range(len(names))), tuple(names), tuple(symbols)
    rows = [names.index(atom) for atom in RESIDUE_ATOMS[name] if atom in names]
    return name, rows, tuple(names[row] for row in rows), tuple(symbols[row] for row in rows)


# --------------------------------------------------------------------------------------------- the collection's shards
class Collection:
    """A collection folder (index.jsonl.gz, splits.json, shards): what it lists, and its entries."""

    def __init__(self, source: str | Path) -> None:
        self.source = Path(source)
        for needed in ("index.jsonl.gz", "splits.json"):
            if not (self.source / needed).is_file():
                raise InputError(f"this folder is no structure collection: it has no {needed}", path=self.source)
        with gzip.open(self.source / "index.jsonl.gz", "rt", encoding="utf-8") as lines:
            self.records = [json.loads(line) for line in lines]
        splits = json.loads((self.source / "splits.json").read_text(encoding="utf-8"))
        self.split_of = {name: split for split, names in splits.items() for name in names}

    def entries(self, records: Sequence[dict], templates: TemplateList) -> Iterator[RawEntry]:
        """Reads the records' entries, shard after shard."""
        by_shard: dict[str, list[dict]] = defaultdict(list)
        for record in records:
            by_shard[record["shard"]].append(record)
        for shard_name in sorted(by_shard):
            shard = _Shard(self.source / shard_name, templates)
            for record in sorted(by_shard[shard_name], key=lambda r: r["row"]):
                yield shard.entry(record)


class _Shard:
    def __init__(self, path: Path, templates: TemplateList) -> None:
        with np.load(path, allow_pickle=False) as arrays:
            self.arrays = {name: arrays[name] for name in arrays.files}
        self.templates = templates
        self.raw = [
            (name, atoms.split(" "), elements.split(" "))
            for name, atoms, elements in json.loads(self.arrays["templates"].tobytes())
        ]
        self.raw_atoms = np.array([len(atoms) for _, atoms, _ in self.raw])
        self.kept: dict[tuple[int, bool], tuple[int, np.ndarray]] = {}

    def _kept(self, row: int, polymer: bool) -> tuple[int, np.ndarray]:
        if (row, polymer) not in self.kept:
            name, rows, atoms, elements = canonical_residue(polymer, *self.raw[row])
            number = self.templates.number(polymer, name, atoms, elements)
            self.kept[row, polymer] = (number, np.array(rows, np.int64))
        return self.kept[row, polymer]

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
        polymer = np.repeat(kinds != _LIGAND, np.diff(bounds))
        pairs, inverse = np.unique(raw_template * 2 + polymer, return_inverse=True)
        kept = [self._kept(int(pair) // 2, bool(pair % 2)) for pair in pairs]
        count = np.array([len(rows) for _, rows in kept])[inverse]
        flat = np.concatenate([rows for _, rows in kept])
        flat_start = np.cumsum([0] + [len(rows) for _, rows in kept])[:-1][inverse]
        raw_start = np.cumsum(self.raw_atoms[raw_template]) - self.raw_atoms[raw_template]
        source = np.repeat(raw_start, count) + flat[ranges(flat_start, count)]
        entry = RawEntry(
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
            cluster=1.0,
            metadata=_metadata(record),
        )
        return entry


def _metadata(record: dict) -> dict[str, object]:
    found = {"method": record["method"], "resolution": record["resolution"], "deposited": record["date"]}
    return {key: value for key, value in found.items() if value}


# ------------------------------------------------------------------------------------------------------- what is chosen
def chains_cluster(record: dict) -> set[int]:
    """Clusters (about 90 % identity) of an entry's chains."""
    return {chain["c90"] for chain in record["chains"] if chain.get("c90") is not None}


def choose(records: Sequence[dict], *, max_atoms: int, max_residues: int) -> list[dict]:
    """Thins out redundant entries of one split until they fit, keeping of each cluster the best.

    Of a cluster that n entries share, about sqrt(n) are kept: entries are taken in order of quality (all atoms before
    backbone, finer resolution, more residues) while one of their clusters still has room. Entries of the clusters
    with most members go first when the atoms do not fit.
    """
    size = Counter(cluster for record in records for cluster in chains_cluster(record))
    taken: Counter[int] = Counter()
    ranked: list[tuple[float, int, dict]] = []
    for order, record in enumerate(sorted(records, key=_quality)):
        clusters = chains_cluster(record)
        if clusters and all(taken[cluster] >= math.ceil(math.sqrt(size[cluster])) for cluster in clusters):
            continue
        rank = min((taken[cluster] for cluster in clusters), default=0)
        taken.update(clusters)
        ranked.append((rank, order, record))
    chosen, atoms = [], 0
    for _, _, record in sorted(ranked, key=lambda item: item[:2]):
        residues = sum(chain["n"] for chain in record["chains"])
        cost = record["n_atoms"] * min(1.0, max_residues / max(residues, 1))
        if atoms + cost <= max_atoms:
            atoms += cost
            chosen.append(record)
    return chosen


def _quality(record: dict) -> tuple:
    residues = sum(chain["n"] for chain in record["chains"])
    return (
        record["atoms"] != "all",
        "ig" in record["tags"],
        record["resolution"] if record["resolution"] else 2.8,
        -residues,
        record["id"],
    )


# ------------------------------------------------------------------------------------------------------------- encoding
class SetWriter:
    """Collects entries and writes them as one set, whole or not at all."""

    def __init__(self, templates: TemplateList, *, max_residues: int = 1000) -> None:
        self.templates = templates
        self.max_residues = max_residues
        self.columns: dict[str, list[np.ndarray]] = defaultdict(list)
        self.entries: dict[str, list] = defaultdict(list)
        self.split_count: Counter[str] = Counter()
        self._atom_count: np.ndarray = np.zeros(0, np.int64)

    def template_atoms(self) -> np.ndarray:
        if len(self._atom_count) != len(self.templates.rows):
            self._atom_count = np.array([len(row[2]) for row in self.templates.rows], np.int64)
        return self._atom_count

    def add(self, entry: RawEntry, split: str) -> None:
        """Adds one entry; those of a split must come together, splits in the order of SPLITS."""
        self.entries["name"].append(entry.name)
        self.entries["metadata"].append(entry.metadata)
        entry = _split_ligands(_compact(entry, self.template_atoms(), self.max_residues))
        self.split_count[split] += 1
        count = self.template_atoms()[entry.template]
        atom_start = np.cumsum(count) - count
        centre = (entry.positions.min(0) + entry.positions.max(0)) // 2
        label = _labels(entry, self.templates, atom_start)
        entry = dataclasses.replace(entry, chain_kind=_kinds(entry, self.templates))
        entity, copy = _entities(entry, [self.templates.rows[t][1] for t in entry.template])
        run_start, run = _runs(entry, label)
        self._put("atom_positions", entry.positions - centre, np.int16)
        self._put("residue_template", entry.template, np.uint32)
        self._put("chain_kind", entry.chain_kind, np.uint8)
        self._put("chain_name", np.array(entry.chain_name, dtype="U8"), "U8")
        self._put("chain_residue", entry.chain_start, np.uint16)
        self._put("chain_entity", entity, np.uint16)
        self._put("chain_copy", copy, np.uint16)
        self._put("run_residue", run_start, np.uint16)
        self._put("run_values", run, np.int32)
        for name, length in (
            ("entry_atom", len(entry.positions)),
            ("entry_residue", len(entry.template)),
            ("entry_chain", len(entry.chain_kind)),
            ("entry_run", len(run_start)),
        ):
            self.columns[name].append(np.array([length], np.int64))
        self.columns["entry_backbone"].append(np.array([entry.backbone]))
        self.columns["entry_antibody"].append(np.array([entry.antibody]))
        self.columns["entry_cluster"].append(np.array([entry.cluster], np.float32))

    def _put(self, name: str, values: np.ndarray, dtype: object) -> None:
        self.columns[name].append(np.asarray(values).astype(dtype))

    def write(self, out: str | Path, *, source: str) -> dict[str, object]:
        """Writes the set to a folder that must not exist yet or be an older set; returns a summary."""
        out = Path(out)
        arrays = {name: np.concatenate(parts) for name, parts in self.columns.items()}
        for name in ("entry_atom", "entry_residue", "entry_chain", "entry_run"):
            arrays[name] = np.concatenate([[0], np.cumsum(arrays[name])]).astype(np.int32)
        if len(self.templates.rows) <= 0xFFFF:
            arrays["residue_template"] = arrays["residue_template"].astype(np.uint16)
        arrays.update(_template_bonds(self.templates, arrays))
        first = 0
        splits = {}
        for split in SPLITS:
            splits[split] = [first, first + self.split_count[split]]
            first += self.split_count[split]
        description = {
            "format": FORMAT,
            "source": source,
            "splits": splits,
            "names": self.entries["name"],
            "metadata": self.entries["metadata"],
            "templates": [
                [int(polymer), name, " ".join(atoms), *_chemistry(polymer, name, atoms, elements)]
                for polymer, name, atoms, elements in self.templates.rows
            ],
        }
        return _write_folder(out, arrays, description)


def _write_folder(out: Path, arrays: dict[str, np.ndarray], description: dict[str, object]) -> dict[str, object]:
    if out.exists() and not (out / "set.json").is_file() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("the output exists and is no training set; name a new folder", path=out)
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        for name, array in sorted(arrays.items()):
            np.save(scratch / f"{name}.npy", array, allow_pickle=False)
        text = json.dumps(description, separators=(",", ":"), ensure_ascii=False)
        (scratch / "set.json").write_text(text, encoding="utf-8")
        size = sum(path.stat().st_size for path in scratch.iterdir())
        scratch.chmod(0o755)
        if out.exists():
            shutil.rmtree(out)
        scratch.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return {
        "path": str(out),
        "mebibytes": round(size / _MEBIBYTE, 2),
        "entries": {split: stop - start for split, (start, stop) in description["splits"].items()},  # type: ignore[union-attr]
        "residues": len(arrays["residue_template"]),
        "atoms": len(arrays["atom_positions"]),
    }


def _compact(entry: RawEntry, template_atoms: np.ndarray, max_residues: int) -> RawEntry:
    """Of a large entry a compact part: the residues nearest to the one in its middle, whole chains first."""
    count = template_atoms[entry.template]
    start = np.cumsum(count) - count
    extent = np.ptp(entry.positions, axis=0).max()
    full = count > 0
    if len(entry.template) <= max_residues and extent <= 2 * _LARGEST_OFFSET and full.all():
        return entry
    place = entry.positions[np.minimum(start, len(entry.positions) - 1)].astype(np.float64)
    chain = np.repeat(np.arange(len(entry.chain_start)), _lengths(entry.chain_start, len(entry.template)))
    middle = place[np.argmin(((place - place[full].mean(0)) ** 2).sum(1))]
    distance = np.sqrt(((place - middle) ** 2).sum(1))
    nearest = np.full(len(entry.chain_start), np.inf)
    np.minimum.at(nearest, chain, distance)
    keep = np.zeros(len(entry.template), bool)
    for row in np.argsort(nearest, kind="stable"):
        members = np.flatnonzero((chain == row) & full & (distance <= _LARGEST_OFFSET * 0.9))
        room = max_residues - int(keep.sum())
        if len(members) <= room:
            keep[members] = True
        elif not keep.any():
            keep[members[np.argsort(distance[members], kind="stable")[:room]]] = True
    atoms = np.repeat(keep, count)
    chain_count = np.bincount(chain[keep], minlength=len(entry.chain_start))
    used = chain_count > 0
    return dataclasses.replace(
        entry,
        positions=entry.positions[atoms],
        template=entry.template[keep],
        author=entry.author[keep],
        insertion=entry.insertion[keep],
        label=entry.label[keep],
        chain_start=np.cumsum(chain_count[used]) - chain_count[used],
        chain_kind=entry.chain_kind[used],
        chain_name=[name for name, kept in zip(entry.chain_name, used, strict=True) if kept],
    )


def _lengths(starts: np.ndarray, total: int) -> np.ndarray:
    return np.diff(np.append(starts, total))


def _split_ligands(entry: RawEntry) -> RawEntry:
    """Gives each ligand a chain of its own, as in mmCIF."""
    ligand = entry.chain_kind == _LIGAND
    if not ligand.any():
        return entry
    lengths = _lengths(entry.chain_start, len(entry.template))
    pieces = np.where(ligand, lengths, 1)
    each = np.concatenate([np.ones(n, int) if lone else [n] for lone, n in zip(ligand, lengths, strict=True)])
    return dataclasses.replace(
        entry,
        chain_start=np.cumsum(each) - each,
        chain_kind=np.repeat(entry.chain_kind, pieces),
        chain_name=[name for name, n in zip(entry.chain_name, pieces, strict=True) for _ in range(n)],
    )


def _kinds(entry: RawEntry, templates: TemplateList) -> np.ndarray:
    """ChainKind of each chain; a hybrid of DNA and RNA counts as what most of it is."""
    kinds = entry.chain_kind.copy()
    bounds = np.append(entry.chain_start, len(entry.template))
    for chain in np.flatnonzero(kinds == _HYBRID):
        names = [templates.rows[t][1] for t in entry.template[bounds[chain] : bounds[chain + 1]]]
        kinds[chain] = ChainKind.RNA if 2 * sum(name in RNA_NAMES for name in names) >= len(names) else ChainKind.DNA
    kinds[entry.chain_kind == _LIGAND] = ChainKind.LIGAND
    return kinds


def _labels(entry: RawEntry, templates: TemplateList, atom_start: np.ndarray) -> np.ndarray:
    """label_seq_id of each residue: as given, else so that its steps tell neighbours from gaps.

    Where the source does not tell, bonded neighbours are one apart, whatever the author numbering says (antibody
    schemes leave numbers out); others as far as the numbering says, and at least so far that the gap can be spanned.
    """
    label = entry.label.copy()
    bounds = np.append(entry.chain_start, len(label))
    for chain, (start, stop) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        given = label[start:stop]
        if (given > 0).all() and (np.diff(given) > 0).all():
            continue
        if entry.chain_kind[chain] == _LIGAND:
            label[start:stop] = np.arange(1, stop - start + 1)
            continue
        step = np.maximum(np.diff(entry.author[start:stop]), 1)
        gap = _gaps(entry, templates, atom_start, range(start, stop))
        bonded = gap <= _BONDED
        far = np.maximum(np.maximum(step, np.ceil(gap / 350).astype(np.int64) + 1), 2)
        step = np.where(bonded, 1, np.where(np.isfinite(gap), far, step))
        label[start:stop] = np.concatenate([[1], 1 + np.cumsum(np.minimum(step, 500))])
    return label


def _gaps(entry: RawEntry, templates: TemplateList, atom_start: np.ndarray, residues: range) -> np.ndarray:
    """Distance in centi-Å from each residue's C or O3' to the next one's N or P (its C5' where there is no P)."""
    leave, enter = [], []
    for residue in residues:
        names = templates.rows[entry.template[residue]][2]
        leave.append(next((atom_start[residue] + names.index(n) for n in ("C", "O3'") if n in names), -1))
        enter.append(next((atom_start[residue] + names.index(n) for n in ("N", "P") if n in names), -1))
    before, after = np.array(leave[:-1], np.int64), np.array(enter[1:], np.int64)
    gap = np.full(len(before), 1000.0)
    seen = (before >= 0) & (after >= 0)
    gap[seen] = np.sqrt(((entry.positions[before[seen]] - entry.positions[after[seen]]).astype(float) ** 2).sum(1))
    return gap


def _entities(entry: RawEntry, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """entity_id and sym_id of each chain: chains of the same kind and sequence are copies of one entity.

    Chains that differ only in what the experiment saw count as the same: where their numbering overlaps, over at
    least four fifths of the shorter, the residues agree.
    """
    bounds = np.append(entry.chain_start, len(names))
    numbers = list(zip(entry.author.tolist(), entry.insertion.tolist(), strict=True))
    known: list[tuple[int, dict]] = []
    copies: Counter[int] = Counter()
    entity, copy = [], []
    for kind, start, stop in zip(entry.chain_kind.tolist(), bounds[:-1], bounds[1:], strict=True):
        ligand = kind == ChainKind.LIGAND
        places = range(stop - start) if ligand else numbers[start:stop]
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


def _runs(entry: RawEntry, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stretches over which both numberings go up by one: first residue; author number, label, insertion code there."""
    new = np.ones(len(label), bool)
    new[1:] = (np.diff(entry.author) != 1) | (np.diff(label) != 1) | (np.diff(entry.insertion) != 0)
    new[entry.chain_start] = True
    first = np.flatnonzero(new)
    return first, np.stack([entry.author[first], label[first], entry.insertion[first]], 1)


# ---------------------------------------------------------------------------------------------------------------- bonds
def _template_bonds(templates: TemplateList, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Bonds inside each kind of residue that is not standard: from the CCD, else by distance in its first example."""
    counts = np.array([len(row[2]) for row in templates.rows], np.int64)[arrays["residue_template"]]
    atom_start = np.cumsum(counts) - counts
    used, first = np.unique(arrays["residue_template"], return_index=True)
    pairs: list[np.ndarray] = []
    number = np.zeros(len(templates.rows) + 1, np.int64)
    for template, residue in zip(used.tolist(), first, strict=True):
        polymer, name, atoms, elements = templates.rows[template]
        if polymer and name in RESIDUE_ATOMS:
            continue
        bonds = _component_bonds(name, atoms)
        if bonds is None:
            place = arrays["atom_positions"][atom_start[residue] : atom_start[residue] + len(atoms)]
            bonds = _near_bonds(place.astype(np.float64) / 100, elements)
        number[template + 1] = len(bonds)
        pairs.append(np.array(bonds, np.int64).reshape(-1, 3))
    table = np.concatenate(pairs) if pairs else np.zeros((0, 3), np.int64)
    return {"bond_start": np.cumsum(number).astype(np.int32), "bond_values": table.astype(np.uint16)}


def _component(name: str) -> Component | None:
    try:
        return component(name)
    except InputError:
        return None


def _component_bonds(name: str, atoms: Sequence[str]) -> list[tuple[int, int, int]] | None:
    """Bonds (atom, atom, order) of a CCD code among the atoms named, or None when the names are not the CCD's."""
    found = _component(name)
    if found is None:
        return None
    row = {atom: index for index, atom in enumerate(atoms)}
    known = list(found.atom_names)
    if not set(atoms) <= set(known) or len(row) != len(atoms):
        return None
    order = np.asarray(found.bond_orders)
    bonds = []
    for (one, two), kind in zip(np.asarray(found.bonds).reshape(-1, 2), order, strict=True):
        if known[one] in row and known[two] in row:
            bonds.append((row[known[one]], row[known[two]], int(kind)))
    return bonds


def _chemistry(polymer: bool, name: str, atoms: Sequence[str], elements: Sequence[str]) -> tuple[str, str]:
    """Elements and formal charges of the atoms of a residue; "" for a standard one, whose atoms are known.

    The CCD's word counts (some sources cut element symbols to one letter); where it has none the source's element is
    kept if there is such an element, and the charge is 0.
    """
    if polymer and name in RESIDUE_ATOMS:
        return "", ""
    known = _component(name)
    rows = {} if known is None else known.atom_index
    symbols, charges = [], []
    for atom, element in zip(atoms, elements, strict=True):
        if known is not None and atom in rows:
            symbols.append(SYMBOLS[known.elements[rows[atom]]])
            charges.append(str(known.charges[rows[atom]]))
        else:
            symbols.append(element if element.upper() in _SYMBOLS else "X")
            charges.append("0")
    return " ".join(symbols), " ".join(charges)


_SYMBOLS = {symbol.upper() for symbol in SYMBOLS}
_RADIUS = {"H": 0.31, "B": 0.84, "C": 0.76, "N": 0.71, "O": 0.66, "F": 0.57, "P": 1.07, "S": 1.05, "CL": 1.02,
           "SE": 1.20, "BR": 1.20, "I": 1.39}  # fmt: skip


def _near_bonds(positions: np.ndarray, elements: Sequence[str]) -> list[tuple[int, int, int]]:
    """Single bonds between atoms nearer than their covalent radii and 0.35 Å; metals are not bonded."""
    radius = np.array([_RADIUS.get(element.upper(), -9.0) for element in elements])
    distance = np.sqrt(((positions[:, None] - positions[None]) ** 2).sum(-1))
    one, two = np.nonzero(np.triu(distance < radius[:, None] + radius[None] + 0.35, 1))
    return [(int(a), int(b), 1) for a, b in zip(one, two, strict=True)]


# ---------------------------------------------------------------------------------------------------------- entry points
def convert_structures(
    source: str | Path,
    out: str | Path,
    *,
    max_mebibytes: float = 60.0,
    max_residues: int = 1000,
    excluded_sources: Iterable[str] = EXCLUDED_SOURCES,
) -> dict[str, object]:
    """Turns a structure collection into a compact training set; returns its path, size and counts.

    All-atom and backbone-only entries are taken, CA traces are not. Redundant entries of the training split are
    thinned (see ``choose``); validation and test are kept as they are. Of entries above max_residues a spatially
    compact part is kept. The same collection gives the same bytes.

    Raises InputError when the source is no collection or the set cannot fit.
    """
    collection = Collection(source)
    excluded = set(excluded_sources)
    usable = [r for r in collection.records if r["atoms"] != "ca" and r["source"] not in excluded]
    by_split = {split: [r for r in usable if collection.split_of.get(r["id"]) == split] for split in SPLITS}
    room = (max_mebibytes - 5.0) * _MEBIBYTE / 6.4
    held = {split: _atoms(by_split[split], max_residues) for split in ("val", "test")}
    by_split["train"] = choose(
        by_split["train"], max_atoms=int(room - sum(held.values())), max_residues=max_residues
    )
    templates = TemplateList()
    writer = SetWriter(templates, max_residues=max_residues)
    for split in SPLITS:
        clusters = _cluster_sizes(by_split[split])
        for entry in _progress(collection.entries(by_split[split], templates), len(by_split[split]), split):
            writer.add(dataclasses.replace(entry, cluster=clusters[entry.name]), split)
    summary = writer.write(out, source=str(Path(source).name))
    if summary["mebibytes"] > max_mebibytes:  # type: ignore[operator]
        raise InputError("the set is larger than asked", key="max_mebibytes", found=summary["mebibytes"])
    return summary


def _atoms(records: Sequence[dict], max_residues: int) -> int:
    return int(sum(r["n_atoms"] * min(1, max_residues / max(sum(c["n"] for c in r["chains"]), 1)) for r in records))


def _cluster_sizes(records: Sequence[dict]) -> dict[str, float]:
    """For each entry, how many entries of its split share its rarest cluster."""
    size = Counter(cluster for record in records for cluster in chains_cluster(record))
    return {r["id"]: float(min((size[c] for c in chains_cluster(r)), default=1)) for r in records}


def _progress(entries: Iterable[RawEntry], total: int, split: str) -> Iterator[RawEntry]:
    from rich.progress import track

    yield from track(entries, total=total, description=f"{split:>5}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Converts a collection from the command line."""
    parser = argparse.ArgumentParser(prog="python -m structdiff.training.converter", description=__doc__)
    parser.add_argument("source", help="folder with index.jsonl.gz, splits.json and shards")
    parser.add_argument("out", help="folder to write")
    parser.add_argument("--max-mebibytes", type=float, default=60.0)
    parser.add_argument("--max-residues", type=int, default=1000)
    options = parser.parse_args(arguments)
    summary = convert_structures(
        options.source, options.out, max_mebibytes=options.max_mebibytes, max_residues=options.max_residues
    )
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
