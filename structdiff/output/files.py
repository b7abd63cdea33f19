"""Files of a run: structures, confidences, residue maps, sequences and a table, each written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from structdiff.arguments import check_kind, checked_names
from structdiff.docking.placement import DockedLigand
from structdiff.errors import InputError
from structdiff.features.tokens import tokenise
from structdiff.output.prediction import AMINO_ACIDS, Design, Prediction, Provenance, polymer_kinds
from structdiff.output.tables import (
    DESIGNS_TABLE,
    PREDICTIONS_TABLE,
    read_if_there,
    read_table,
    table_row,
    tables_alone,
    write_row,
    write_table,
)
from structdiff.spec.file_name import check_spelling, folded
from structdiff.structure.files import read_structure, write_atomically, write_structure
from structdiff.structure.ligand_sdf import LIGANDS_SUFFIX, write_ligands
from structdiff.structure.pdb_text import pdb_text
from structdiff.structure.tables import Structure

SEQUENCES_FILE = "sequences.fasta"
FORMATS = ("cif", "pdb")
_SUFFIXES = (".cif", ".pdb", LIGANDS_SUFFIX, ".confidence.json", ".residue_map.json", ".trajectory.cif")
_FASTA_WIDTH = 80


@dataclass(frozen=True, kw_only=True)
class WrittenFiles:
    """Paths of the files of one structure.

    structure: mmCIF, or PDB where only that was wanted. pdb is None where it is not wanted or cannot hold the
    structure, ligands where there are none; note says what could not be written, and why.
    """

    structure: Path
    pdb: Path | None
    confidence: Path
    residue_map: Path | None
    sequences: Path | None
    table: Path | None
    ligands: Path | None = None
    note: str = ""


@checked_names
def write_prediction(
    prediction: Prediction, folder: str | Path, name: str, *, formats: Collection[str] = FORMATS
) -> WrittenFiles:
    """Writes a prediction as NAME.cif, NAME.pdb and NAME.confidence.json, and its row of predictions.csv.

    Ligands are in NAME.ligands.sdf too. B-factors are pLDDT (0 to 100). The same prediction gives the same bytes. Files
    of the same name are replaced, rows of other names are kept. The row of the table is written last. Raises InputError
    for a name that is no file name or differs from one of the folder in case only, a folder that cannot be written, and
    a structure that PDB cannot hold when that is the only one of the formats.
    """
    check_kind(prediction, Prediction, "prediction", "a Prediction (write_structure writes a Structure)")
    folder = ready_folder(folder, name)
    check_spellings(folder, [name])
    structure, pdb, ligands, note = _write_structures(prediction, folder, name, formats)
    confidence = _write_confidence(prediction, folder, name)
    table = write_row(folder / PREDICTIONS_TABLE, table_row(prediction, name))
    return WrittenFiles(
        structure=structure, pdb=pdb, confidence=confidence, residue_map=None, sequences=None, table=table,
        ligands=ligands, note=note,
    )  # fmt: skip


@checked_names
def write_design(
    design: Design, folder: str | Path, name: str, residue_map: Mapping[str, Any] | None = None
) -> WrittenFiles:
    """Writes a design as a prediction is, with NAME.residue_map.json, its record of sequences.fasta and of designs.csv.

    residue_map: the design's own if None. The same design gives the same bytes; records of other names are kept. The
    row of the table is written last, so a design is listed only when all of its files are there.
    Raises InputError for a name that is no file name or differs from one of the folder in case only, and for a folder
    that cannot be written.
    """
    check_kind(design, Design, "design", "a Design (write_prediction writes a Prediction, write_structure a Structure)")
    folder = ready_folder(folder, name)
    check_spellings(folder, [name])
    written = write_design_files(design, folder, name, residue_map)
    sequences = _write_sequences(folder / SEQUENCES_FILE, name, design)
    table = write_row(folder / DESIGNS_TABLE, table_row(design, name))
    return dataclasses.replace(written, sequences=sequences, table=table)


def write_design_files(
    design: Design, folder: str | Path, name: str, residue_map: Mapping[str, Any] | None = None
) -> WrittenFiles:
    """Writes the files of a design that are its alone: all but its rows of ``sequences.fasta`` and ``designs.csv``.

    Raises InputError for a name that is no file name and a folder that cannot be written.
    """
    folder = ready_folder(folder, name)
    structure, pdb, ligands, note = _write_structures(design, folder, name, FORMATS)
    more: dict[str, Any] = {}
    if design.sequence_probabilities is not None:
        more = {"amino_acids": AMINO_ACIDS, "sequence_probabilities": _rounded(design.sequence_probabilities, 4)}
    confidence = _write_confidence(design, folder, name, more)
    content = dict(design.residue_map if residue_map is None else residue_map)
    map_path = write_atomically(folder / f"{name}.residue_map.json", json_text(content))
    return WrittenFiles(
        structure=structure, pdb=pdb, confidence=confidence, residue_map=map_path, sequences=None, table=None,
        ligands=ligands, note=note,
    )  # fmt: skip


def write_design_tables(
    folder: str | Path, rows: Sequence[Mapping[str, str]], sequences: Mapping[str, Mapping[str, tuple[str, str]]]
) -> None:
    """Writes ``designs.csv`` and ``sequences.fasta`` anew.

    rows: of the table, each with its name. sequences: of each design by its name, for each chain its kind and letters.
    """
    folder = Path(folder)
    blocks = [
        _fasta_block(f"{name}_{chain}|{kind}", letters)
        for name, chains in sequences.items()
        for chain, (kind, letters) in chains.items()
    ]
    write_atomically(folder / SEQUENCES_FILE, "".join(blocks))
    write_table(folder / DESIGNS_TABLE, rows)


def ready_folder(folder: str | Path, name: str) -> Path:
    """Makes a folder for files of that name; raises InputError where it or the name will not do."""
    folder = Path(folder)
    if not name or name != Path(name).name or name.startswith(".") or not name.isprintable():
        raise InputError("this cannot be the name of a file", key="name", found=name, allowed="letters, digits, - _ .")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"this folder cannot be made: {error.strerror or error}", path=folder) from None
    return folder


def finish_formats(
    folder: str | Path, name: str, provenance: Mapping[str, Any], formats: Collection[str] = FORMATS
) -> str:
    """Writes NAME.pdb from the NAME.cif of a finished structure where it is wanted and not there; why not, in words.

    It has the bytes that it would have had at once. provenance: as ``NAME.confidence.json`` has it.
    """
    cif, pdb = (Path(folder) / f"{name}{suffix}" for suffix in (".cif", ".pdb"))
    if "pdb" not in formats or pdb.is_file():
        return ""
    structure = dataclasses.replace(read_structure(cif, keep_waters=True), name=name)
    try:
        write_atomically(pdb, pdb_text(structure, provenance=Provenance(**provenance).as_text()))
    except InputError as error:
        return f"no {pdb.name}: {error}"
    return ""


def finished_names(folder: str | Path) -> set[str]:
    """The structures of a folder of which all files were written: those that its tables list."""
    tables = (Path(folder) / PREDICTIONS_TABLE, Path(folder) / DESIGNS_TABLE)
    return {row["name"] for table in tables for row in read_table(table)}


def check_spellings(folder: str | Path, names: Iterable[str]) -> None:
    """Raises InputError where a finished structure of a folder has one of these names but for upper and lower case.

    On disks that ignore case both would be one file, and folders are carried from one machine to another.
    """
    there = {folded(each): each for each in finished_names(folder)}
    for name in names:
        check_spelling(name, [there.get(folded(name), name)], folder)


def remove_structures(folder: str | Path, names: Collection[str]) -> None:
    """Removes all that runs wrote under these names: their files, their rows of the tables, their sequences."""
    folder = Path(folder)
    with tables_alone(folder):
        for path in (folder / PREDICTIONS_TABLE, folder / DESIGNS_TABLE):
            rows = read_table(path)
            kept = [row for row in rows if row["name"] not in names]
            if len(kept) < len(rows):
                write_table(path, kept)
        blocks = _sequence_blocks(folder / SEQUENCES_FILE)
        kept_blocks = [block for block in blocks if _design_of(block) not in names]
        if len(kept_blocks) < len(blocks):
            write_atomically(folder / SEQUENCES_FILE, "".join(f">{block}\n" for block in kept_blocks))
    for name in names:
        for suffix in _SUFFIXES:
            _remove(folder / f"{name}{suffix}")


def _write_structures(
    prediction: Prediction, folder: Path, name: str, formats: Collection[str]
) -> tuple[Path, Path | None, Path | None, str]:
    """Paths of the structure, of PDB and of ligands where these were written, and what could not be."""
    unknown = set(formats) - set(FORMATS)
    if unknown or not formats:
        raise InputError("unknown format", key="format", found=min(unknown, default=""), allowed=FORMATS)
    structure = dataclasses.replace(prediction.structure, name=name)
    path, pdb, note = _write_formats(prediction, structure, folder, name, formats)
    ligands, lacking = write_ligands(structure, folder, name)
    return path, pdb, ligands, "; ".join(filter(None, (note, lacking)))


def _write_formats(
    prediction: Prediction, structure: Structure, folder: Path, name: str, formats: Collection[str]
) -> tuple[Path, Path | None, str]:
    provenance = prediction.provenance.as_text()
    cif, pdb = folder / f"{name}.cif", folder / f"{name}.pdb"
    if "cif" in formats:
        mean_plddt = prediction.confidence.mean_plddt
        write_structure(structure, cif, provenance=provenance, confidence=True, mean_plddt=mean_plddt)
    if "pdb" not in formats:
        _remove(pdb)  # one of an earlier run would tell of another structure
        return cif, None, ""
    try:
        text = pdb_text(structure, provenance=provenance)
    except InputError as error:
        if "cif" not in formats:
            raise
        _remove(pdb)
        return cif, None, f"no {pdb.name}: {error}"
    write_atomically(pdb, text)
    if "cif" in formats:
        return cif, pdb, ""
    _remove(cif)
    return pdb, pdb, ""


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot be replaced: {error.strerror or error}", path=path) from None


def _ligand_scores(prediction: Prediction) -> dict[str, Any]:
    """What the scoring function says of each free ligand, and docking; nothing where there is none."""
    found = [
        {"chains": each.chains, "components": each.components, "heavy_atoms": each.atoms, "torsions": each.torsions,
         "vinardo_kcal_per_mol": round(each.affinity, 3)}
        for each in prediction.ligand_scores
    ]  # fmt: skip
    return ({"ligands": found} if found else {}) | _docked(prediction)


def _docked(prediction: Prediction) -> dict[str, Any]:
    """How sure docking is of the ligands, ions and chains that it laid; nothing where it laid none."""
    structure, found = prediction.structure, []
    for each in prediction.docked.ligands:
        residues = np.unique(structure.atoms.residue[each.rows])
        chains = dict.fromkeys(structure.chains.name[structure.residues.chain[residues]].tolist())
        found.append(
            {"chains": list(chains), "components": structure.residues.name[residues].tolist(),
             "margin_kcal_per_mol": round(each.margin, 3), "site_was_asked_for": each.told,
             "chance_within_2_angstrom": round(each.chance, 3), **_pose_scores(each)}
        )  # fmt: skip
    return ({"docked": found} if found else {}) | _docked_chains(prediction)


def _pose_scores(docked: DockedLigand) -> dict[str, float]:
    """What GNINA's networks say of a pose, where they chose it."""
    scores = docked.scores
    if scores is None:
        return {}
    return {"gnina_pose_probability": round(float(scores.probability[0]), 3),
            "gnina_affinity_pk": round(float(scores.affinity[0]), 2),
            "gnina_affinity_pk_spread": round(float(scores.affinity_spread[0]), 2)}  # fmt: skip


def _docked_chains(prediction: Prediction) -> dict[str, Any]:
    """How sure docking is of how chains stand; nothing where it laid none."""
    structure = prediction.structure
    found = [
        {"chains": structure.chains.name[np.unique(structure.atom_chain[each.rows])].tolist(),
         "vinardo_kcal_per_mol": round(each.energy, 3), "margin_kcal_per_mol": round(each.margin, 3),
         "contacts_were_asked_for": each.told, "chance_acceptable": round(each.chance, 3)}
        for each in prediction.docked.chains
    ]  # fmt: skip
    return {"docked_chains": found} if found else {}


def _write_confidence(prediction: Prediction, folder: Path, name: str, more: Mapping[str, Any] | None = None) -> Path:
    confidence = prediction.confidence
    data = {
        "name": name,
        **confidence.summary(),
        "verdicts": [verdict.as_data() for verdict in prediction.verdicts],
        **_ligand_scores(prediction),
        **({} if prediction.affinity is None else {"affinity": prediction.affinity.as_data()}),
        "provenance": prediction.provenance.as_data(),
        **_token_columns(prediction.judged),
        "token_plddt_0_to_100": _rounded(confidence.plddt, 2),
        "pae_angstrom_row_aligned": _rounded(confidence.pae, 1),
        "pde_angstrom": _rounded(confidence.pde, 1),
        **(more or {}),
    }
    return write_atomically(folder / f"{name}.confidence.json", json_text(data))


def _token_columns(structure: Structure) -> dict[str, list]:
    tokens = tokenise(structure)
    return {
        "token_chain": structure.chains.name[tokens.chain].tolist(),
        "token_number": structure.residues.author_seq_id[tokens.residue].tolist(),
        "token_insertion_code": structure.residues.insertion_code[tokens.residue].tolist(),
        "token_component": structure.residues.name[tokens.residue].tolist(),
    }


def _rounded(values: np.ndarray, digits: int) -> list:
    if values.ndim > 1:
        return [_rounded(row, digits) for row in values]
    return [None if value != value else value for value in np.round(values.astype(np.float64), digits).tolist()]


def json_text(data: Mapping[str, Any]) -> str:
    """JSON with an entry a line, and long tables a row a line, so that it can be read and compared."""
    lines = [f"  {json.dumps(key)}: {_json_value(value)}" for key, value in data.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _json_value(value: object) -> str:
    if isinstance(value, list | tuple) and value and isinstance(value[0], list | tuple | Mapping):
        return "[\n" + ",\n".join(f"    {_compact(row)}" for row in value) + "\n  ]"
    return _compact(value)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str, allow_nan=False, separators=(", ", ": "))


def _write_sequences(path: Path, name: str, design: Design) -> Path:
    """The FASTA file with this design's chains; headers read ``NAME_CHAIN|kind``."""
    kinds = polymer_kinds(design.structure)
    mine = {f"{name}_{chain}" for chain in design.sequences}
    with tables_alone(path.parent):
        kept = [block for block in _sequence_blocks(path) if block.split("|")[0].split()[0] not in mine]
        text = "".join(f">{block}\n" for block in kept)
        for chain, sequence in design.sequences.items():
            text += _fasta_block(f"{name}_{chain}|{kinds[chain].name.lower()}", sequence)
        return write_atomically(path, text)


def _fasta_block(header: str, sequence: str) -> str:
    lines = [sequence[start : start + _FASTA_WIDTH] for start in range(0, len(sequence), _FASTA_WIDTH)]
    return "\n".join([f">{header}", *lines, ""])


def _sequence_blocks(path: Path) -> list[str]:
    return [block.rstrip() for block in read_if_there(path).split(">") if block.strip()]


def _design_of(block: str) -> str:
    """The name of the design whose chain a record of the FASTA file holds."""
    return block.split("|")[0].strip().rpartition("_")[0]
