"""Scenes from structures and from files: heavy atoms without water, their bonds, models as frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np
from scipy.spatial import KDTree

from structdiff.errors import InputError
from structdiff.output.scene import Scene, SceneResidue
from structdiff.packed_files import plain_name
from structdiff.structure.files import parsed_file
from structdiff.structure.tables import ChainKind, Structure


def scene_of_structure(structure: Structure) -> Scene:
    """The atoms that were seen. Raises InputError where there is none."""
    water = structure.chains.kind[structure.atom_chain] == ChainKind.WATER
    shown = structure.select(structure.atoms.resolved & ~water & (structure.atoms.element > 1))
    if len(shown.atoms) == 0:
        raise InputError("the structure has no resolved atoms to draw")
    table, residues = shown.residues, shown.residues.chain
    rows = [
        SceneResidue(
            chain=int(residues[i]), kind=ChainKind(int(shown.chains.kind[residues[i]])), name=str(table.name[i]),
            number=int(table.author_seq_id[i]), insertion_code=str(table.insertion_code[i]).strip(),
        )
        for i in range(len(table))
    ]  # fmt: skip
    bonds = np.stack([shown.bonds.atom_1, shown.bonds.atom_2, np.minimum(shown.bonds.order, 3)], 1).astype(int)
    b_factor = shown.atoms.b_factor.astype(float)
    return Scene(
        name=shown.name,
        chains=tuple(map(str, shown.chains.name)),
        residues=tuple(rows),
        atom_residue=shown.atoms.residue.astype(int),
        atom_name=tuple(map(str, shown.atoms.name)),
        element=tuple(gemmi.Element(int(number)).name for number in shown.atoms.element),
        b_factor=b_factor,
        bonds=bonds,
        frames=shown.atoms.positions[None].astype(np.float32),
        confident=not shown.metadata.get("method") and _looks_like_confidence(b_factor, shown.atoms.residue),
    )


def scene_of_file(path: Path) -> Scene:
    """The atoms that all models share, each model as a frame. Raises InputError where there is none.

    Bonds are those that distances in the last model tell.
    """
    models, confident = read_models(path)
    last = models[-1]
    shared = set(last).intersection(*models[:-1])
    if not shared:
        raise InputError("the models have no atoms in common", path=path)
    keys = [key for key in last if key in shared]
    frames = np.array([[model[key][1] for key in keys] for model in models], np.float32)
    residue_keys = list(dict.fromkeys(key[:4] for key in keys))
    row = {key: i for i, key in enumerate(residue_keys)}
    chains = list(dict.fromkeys(key[0] for key in residue_keys))
    kinds = {key[:4]: last[key][0] for key in keys}
    residues = [
        SceneResidue(chain=chains.index(chain), kind=kinds[chain, number, icode, name], name=name, number=number,
                     insertion_code=icode)
        for chain, number, icode, name in residue_keys
    ]  # fmt: skip
    atom_residue = np.array([row[key[:4]] for key in keys])
    element = tuple(last[key][2] for key in keys)
    b_factor = np.array([last[key][3] for key in keys])
    return Scene(
        name=plain_name(path).rsplit(".", 1)[0],
        chains=tuple(chains),
        residues=tuple(residues),
        atom_residue=atom_residue,
        atom_name=tuple(key[4] for key in keys),
        element=element,
        b_factor=b_factor,
        bonds=_bonds_from_distances(frames[-1], element),
        frames=frames,
        confident=confident or (confident is None and _looks_like_confidence(b_factor, atom_residue)),
    )


_AtomKey = tuple[str, int, str, str, str]  # chain, number, insertion code, residue name, atom name
_AtomRecord = tuple[ChainKind, list[float], str, float]  # kind, position, element, B-factor


def read_models(path: Path) -> tuple[list[dict[_AtomKey, _AtomRecord]], bool | None]:
    """Atoms of each model, and whether the B-factors are confidences (None: the file does not say)."""
    parsed = parsed_file(path)
    structure = parsed.structure
    structure.remove_alternative_conformations()
    structure.remove_waters()
    models = [_model_atoms(model) for model in structure]
    if not any(models):
        raise InputError("the file holds no atoms to draw", path=path)
    measured = "_exptl.method" in structure.info
    return [model for model in models if model], parsed.confident or (False if measured else None)


def _model_atoms(model: gemmi.Model) -> dict[_AtomKey, _AtomRecord]:
    atoms: dict[_AtomKey, _AtomRecord] = {}
    for chain in model:
        kind = _polymer_kind(chain)
        for residue in chain:
            polymer = residue.entity_type == gemmi.EntityType.Polymer and len(chain.get_polymer()) > 1
            residue_kind = kind if polymer and kind is not None else ChainKind.LIGAND
            number, icode = residue.seqid.num, residue.seqid.icode.strip()
            for atom in residue:
                if not np.isfinite(atom.pos.tolist()).all():
                    continue
                key = (chain.name, number if number is not None else 0, icode, residue.name, atom.name)
                atoms.setdefault(key, (residue_kind, atom.pos.tolist(), atom.element.name, atom.b_iso))
    return atoms


def _polymer_kind(chain: gemmi.Chain) -> ChainKind | None:
    kind = chain.get_polymer().check_polymer_type()
    if kind in (gemmi.PolymerType.PeptideL, gemmi.PolymerType.PeptideD):
        return ChainKind.PROTEIN
    if kind in (gemmi.PolymerType.Dna, gemmi.PolymerType.DnaRnaHybrid):
        return ChainKind.DNA
    return ChainKind.RNA if kind == gemmi.PolymerType.Rna else None


def _looks_like_confidence(b_factor: np.ndarray, atom_residue: np.ndarray) -> bool:
    """Values in 0..100 that differ between residues but not within them, as prediction programs write them."""
    if b_factor.size == 0 or b_factor.min() < 0 or b_factor.max() > 100 or np.ptp(b_factor) == 0:
        return False
    if np.isin(b_factor, (0, 1)).all():  # RFdiffusion marks what it has drawn with 0, what it was given with 1
        return False
    several = np.bincount(atom_residue)[atom_residue] > 1
    first = np.searchsorted(atom_residue, atom_residue)
    return bool(several.any()) and bool(np.allclose(b_factor, b_factor[first], atol=0.011))


def _bonds_from_distances(positions: np.ndarray, element: Sequence[str]) -> np.ndarray:
    """Single bonds between atoms nearer than their covalent radii and 0.4 Å."""
    radius = np.array([gemmi.Element(name).covalent_r for name in element])
    metal = np.array([gemmi.Element(name).is_metal for name in element])
    pairs = KDTree(positions).query_pairs(3.0, output_type="ndarray")
    length = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)
    bonded = (length < radius[pairs].sum(1) + 0.4) & (length > 0.4) & ~metal[pairs].any(1)
    return np.concatenate([pairs[bonded], np.ones((int(bonded.sum()), 1), int)], 1)
