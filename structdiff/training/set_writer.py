"""Writing a training set: the arrays that ``structdiff.training.dataset.StructureSet`` reads (docs/data.md)."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from structdiff.chemistry.elements import SYMBOLS
from structdiff.errors import InputError
from structdiff.training import entry as entries
from structdiff.training.collection import RawEntry, ResidueTemplate, TemplateList, known_component
from structdiff.training.set_files import FORMAT, SPLITS, TRACES

_MEBIBYTE = 2**20
_ORDER = (*SPLITS, TRACES)
_SYMBOLS = {symbol.upper() for symbol in SYMBOLS}
#: Covalent radii (Å, Cordero et al. 2008) of what ligands are made of; atoms of other elements get no bonds.
_RADIUS = {"B": 0.84, "C": 0.76, "N": 0.71, "O": 0.66, "F": 0.57, "P": 1.07, "S": 1.05, "CL": 1.02, "SE": 1.20,
           "BR": 1.20, "I": 1.39}  # fmt: skip
_BOND_SLACK = 0.35
_WIDEST = 2 * np.iinfo(np.int16).max  # in 0.01 Å: positions are stored from the middle of the entry


@dataclass(frozen=True, kw_only=True)
class SetSummary:
    """What was written: where, how large, how much of what in each split, and why files were skipped."""

    path: Path
    mebibytes: float
    entries: dict[str, int]
    residues: dict[str, int]
    atoms: int
    skipped: tuple[str, ...] = ()


class SetWriter:
    """Collects entries and writes them as one set, whole or not at all."""

    def __init__(self, templates: TemplateList, *, max_residues: int) -> None:
        self.templates = templates
        self.max_residues = max_residues
        self._columns: dict[str, list[np.ndarray]] = defaultdict(list)
        self._names: list[str] = []
        self._metadata: list[dict[str, object]] = []
        self._split_entries: Counter[str] = Counter()
        self._split_residues: Counter[str] = Counter()

    def add(self, entry: RawEntry, split: str, *, cluster: float) -> str:
        """Adds one entry, unless it is unsound: then nothing, and the return value says why ("" if it was added).

        Splits must come one after another: those of SPLITS, then TRACES.
        """
        if any(self._split_entries[later] for later in _ORDER[_ORDER.index(split) + 1 :]):
            raise ValueError(f"entries of {split} must be added before those of later splits")
        if not entries.has_sound_backbone(entry, self.templates):
            return "more than a tenth of its backbone bonds are over 0.15 Å off"
        entry = entries.without_mirrored(entry, self.templates)
        if len(entry.positions) == 0:
            return "it has nothing but residues whose alpha carbon is of the other hand than their name says"
        entry = entries.compact_part(entry, self.templates, self.max_residues)
        entry = entries.mend_arginines(entries.separate_ligands(entry), self.templates)
        label = entries.sequence_numbers(entry, self.templates)
        entity, copy = entries.entities(entry, [self.templates.rows[number].name for number in entry.template])
        run_residue, run_values = entries.runs(entry, label)
        low, high = entry.positions.min(0), entry.positions.max(0)
        if (high - low).max() > _WIDEST:
            found = (high - low).max() / 100
            return f"its atoms lie {found:.0f} Å apart, and a set holds no more than {_WIDEST / 100:.0f} Å"
        centre = (low + high) // 2
        self._put("atom_positions", entry.positions - centre, np.int16)
        self._put("residue_template", entry.template, np.uint32)
        self._put("chain_kind", entries.chain_kinds(entry, self.templates), np.uint8)
        self._put("chain_name", np.array(entry.chain_name, dtype=str), np.str_)
        self._put("chain_residue", entry.chain_start, np.uint16)
        self._put("chain_entity", entity, np.uint16)
        self._put("chain_copy", copy, np.uint16)
        self._put("run_residue", run_residue, np.uint16)
        self._put("run_values", run_values, np.int32)
        self._put("entry_atom", [len(entry.positions)], np.int32)
        self._put("entry_residue", [len(entry.template)], np.int32)
        self._put("entry_chain", [len(entry.chain_start)], np.int32)
        self._put("entry_run", [len(run_residue)], np.int32)
        self._put("entry_backbone", [entry.backbone], np.bool_)
        self._put("entry_antibody", [entry.antibody], np.bool_)
        self._put("entry_cluster", [cluster], np.float32)
        self._names.append(entry.name)
        self._metadata.append(entry.metadata)
        self._split_entries[split] += 1
        self._split_residues[split] += len(entry.template)
        return ""

    def _put(self, name: str, values: object, dtype: type) -> None:
        array = np.asarray(values)
        if np.issubdtype(dtype, np.integer) and array.size:
            limits = np.iinfo(dtype)
            if array.min() < limits.min or array.max() > limits.max:
                raise ValueError(f"{name} does not fit into {np.dtype(dtype)}")
        self._columns[name].append(array.astype(dtype))

    def write(self, out: str | Path, *, source: str, skipped: Sequence[str] = ()) -> SetSummary:
        """Writes the set to a folder that does not exist yet, is empty or holds an older set.

        Raises InputError when there is nothing to write or the folder holds something else.
        """
        if not self._names:
            first = f", beginning with: {skipped[0]}" if skipped else ""
            raise InputError(f"no usable structure was found, {len(skipped)} skipped{first}", path=source)
        arrays = {name: np.concatenate(parts) for name, parts in self._columns.items()}
        for name in ("entry_atom", "entry_residue", "entry_chain", "entry_run"):
            arrays[name] = np.concatenate([[0], np.cumsum(arrays[name])]).astype(np.int32)
        if len(self.templates.rows) <= np.iinfo(np.uint16).max:
            arrays["residue_template"] = arrays["residue_template"].astype(np.uint16)
        arrays.update(_template_bonds(self.templates, arrays))
        counts = [self._split_entries[split] for split in _ORDER]
        stops = np.cumsum(counts).tolist()
        description = {
            "format": FORMAT,
            "source": source,
            "splits": {split: [stop - count, stop] for split, count, stop in zip(_ORDER, counts, stops, strict=True)},
            "names": self._names,
            "metadata": self._metadata,
            "templates": [
                [int(row.polymer), row.name, " ".join(row.atoms), *_chemistry(row)] for row in self.templates.rows
            ],
        }
        size = _write_folder(Path(out), arrays, description)
        return SetSummary(
            path=Path(out),
            mebibytes=round(size / _MEBIBYTE, 2),
            entries=dict(self._split_entries),
            residues=dict(self._split_residues),
            atoms=len(arrays["atom_positions"]),
            skipped=tuple(skipped),
        )


def _write_folder(out: Path, arrays: dict[str, np.ndarray], description: dict[str, object]) -> int:
    """Writes beside the target, then takes its name; returns the size in bytes."""
    if out.exists() and not (out / "set.json").is_file() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("the output exists and is no training set; name a new folder", path=out)
    scratch: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        new, old = scratch / "new", scratch / "old"
        new.mkdir()
        for name, array in sorted(arrays.items()):
            np.save(new / f"{name}.npy", array, allow_pickle=False)
        text = json.dumps(description, separators=(",", ":"), ensure_ascii=False)
        (new / "set.json").write_text(text, encoding="utf-8")
        size = sum(path.stat().st_size for path in new.iterdir())
        if out.exists():
            out.rename(old)
        new.rename(out)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror or error}", path=out) from None
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
    return size


def _chemistry(template: ResidueTemplate) -> tuple[str, str]:
    """Elements and formal charges of the atoms of a residue; "" for a standard one, whose atoms are known.

    The CCD's word counts (some sources cut element symbols to one letter); where it has none the source's element is
    kept if there is such an element, and the charge is 0.
    """
    if template.standard:
        return "", ""
    found = None if template.example and not template.polymer else known_component(template.name)
    rows = {} if found is None else found.atom_index
    symbols, charges = [], []
    for atom, element in zip(template.atoms, template.elements, strict=True):
        if found is not None and atom in rows:
            symbols.append(SYMBOLS[found.elements[rows[atom]]])
            charges.append(str(found.charges[rows[atom]]))
        else:
            symbols.append(element if element.upper() in _SYMBOLS else "X")
            charges.append("0")
    return " ".join(symbols), " ".join(charges)


def _template_bonds(templates: TemplateList, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Bonds inside each kind of residue that is not standard: from the CCD, else by distance in its first example."""
    counts = templates.atom_count[arrays["residue_template"]]
    atom_start = np.cumsum(counts) - counts
    pairs: list[np.ndarray] = []
    number = np.zeros(len(templates.rows) + 1, np.int64)
    used, first = np.unique(arrays["residue_template"], return_index=True)
    for row, residue in zip(used.tolist(), first, strict=True):
        template = templates.rows[row]
        if template.standard:
            continue
        if template.example:
            place = arrays["atom_positions"][atom_start[residue] : atom_start[residue] + counts[residue]]
            bonds = near_bonds(place.astype(np.float64) / 100, template.elements)
        else:
            bonds = component_bonds(template.name, template.atoms)
        number[row + 1] = len(bonds)
        pairs.append(np.array(bonds, np.uint16).reshape(-1, 3))
    table = np.concatenate(pairs) if pairs else np.zeros((0, 3), np.uint16)
    return {"bond_start": np.cumsum(number).astype(np.int32), "bond_values": table}


def component_bonds(code: str, atoms: Sequence[str]) -> list[tuple[int, int, int]]:
    """Bonds (row, row, order) among some atoms of a CCD component, by their names."""
    found = known_component(code)
    if found is None:
        return []
    row = {atom: index for index, atom in enumerate(atoms)}
    names = found.atom_names.tolist()
    return [
        (row[names[one]], row[names[two]], order)
        for (one, two), order in zip(found.bonds.tolist(), found.bond_orders.tolist(), strict=True)
        if names[one] in row and names[two] in row
    ]


def near_bonds(positions: np.ndarray, elements: Sequence[str]) -> list[tuple[int, int, int]]:
    """Single bonds between atoms nearer (Å) than their covalent radii and 0.35 Å; metals are not bonded."""
    radius = np.array([_RADIUS.get(element.upper(), -9.0) for element in elements])
    distance = np.sqrt(((positions[:, None] - positions[None]) ** 2).sum(-1))
    one, two = np.nonzero(np.triu(distance < radius[:, None] + radius[None] + _BOND_SLACK, 1))
    return [(int(a), int(b), 1) for a, b in zip(one, two, strict=True)]
