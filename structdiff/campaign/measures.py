"""What is measured of a design: its backbone, and how it comes back from its sequence (columns of the results)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.interface import interface_pairs
from structdiff.evaluation.superposition import rmsd, superpose
from structdiff.evaluation.tm_score import tm_score
from structdiff.evaluation.validity import backbone_validity
from structdiff.likeness import MOTIF, MOTIF_PLACE
from structdiff.output.prediction import requested
from structdiff.structure.tables import ChainKind, Structure

#: A hotspot is touched when a heavy atom of it is within this distance (Å) of one of a designed chain.
TOUCH_DISTANCE = 5.0
_POLYMERS = (ChainKind.PROTEIN, ChainKind.DNA, ChainKind.RNA)
_BACKBONE = ("N", "CA", "C", "O")
#: What is taken over from the checks of backbones, under the same names.
_CHECKS = ("bond_rms", "chain_breaks", "backbone_clashes_per_100", "rama_outlier", "helix", "strand", "loop", "rg")

_Key = tuple[str, int, str]


def designed_chains(structure: Structure, residue_map: Mapping[str, Any]) -> list[str]:
    """The chains that hold new residues, by name."""
    kept = {str(each["chain"]) for each in residue_map.get("chains", ()) if each.get("kept")}
    protein = structure.chains.name[structure.chains.kind == ChainKind.PROTEIN].tolist()
    return [name for name in protein if name not in kept]


def backbone_columns(structure: Structure, residue_map: Mapping[str, Any]) -> dict[str, float | int | None]:
    """Checks of the designed chains alone, and how much of them lies against other chains."""
    designed = designed_chains(structure, residue_map)
    chosen = np.isin(structure.chains.name, designed)[structure.atom_chain]
    if not chosen.any():
        return {}
    part = structure.select(chosen & structure.atoms.resolved)
    checks = backbone_validity(Backbone.from_structure(part), name=structure.name)
    pairs = interface_pairs(structure, designed)
    return {name: _number(getattr(checks, name)) for name in _CHECKS} | (
        {} if pairs is None else {"interface_pairs": pairs}
    )


def verdict_columns(verdicts: Sequence[Mapping[str, Any]]) -> dict[str, float | int | None]:
    """How much of what was asked was met, and the motif's deviation."""
    found: dict[str, float | int | None] = {"verdicts_met": sum(bool(each["met"]) for each in requested(verdicts))}
    columns = {MOTIF: "motif_rmsd", MOTIF_PLACE: "motif_place_rmsd"}
    found |= {columns[each["name"]]: _leading_number(each["reached"]) for each in verdicts if each["name"] in columns}
    hotspots = [bool(each["met"]) for each in verdicts if str(each["name"]).startswith("hotspot")]
    if hotspots:
        found["hotspots_met"] = round(sum(hotspots) / len(hotspots), 4)
    return found


def refold_columns(
    design: Structure, refolded: Structure, residue_map: Mapping[str, Any], hotspots: tuple[_Key, ...] = ()
) -> dict[str, float | int | None]:
    """How like its design a structure is that was predicted from the sequence. Chains have the same names in both.

    hotspots: residues in the design's own chains and numbers.
    """
    chains = designed_chains(design, residue_map)
    ours, theirs = _atoms(design), _atoms(refolded, like=design)
    designed = [key for key in ours if key[0][0] in chains and key in theirs]
    alpha = [key for key in designed if key[1] == "CA"]
    found: dict[str, float | int | None] = {}
    if len(alpha) >= 3:
        first, second = _positions(theirs, alpha), _positions(ours, alpha)
        found["sc_rmsd"], found["sc_tm"] = rmsd(first, second), tm_score(first, second).score
    found |= _motif_columns(ours, theirs, residue_map, chains)
    target = [key for key in ours if key[0][0] not in chains and key[1] in ("CA", "C1'", "P") and key in theirs]
    if len(target) >= 3 and len(alpha) >= 3:
        found["target_aligned_rmsd"] = _aligned_rmsd(ours, theirs, on=target, of=alpha)
    if hotspots:
        touched = [_touched(theirs, spot, [name for name in chains if name != spot[0]]) for spot in hotspots]
        found["refold_hotspots_touched"] = sum(touched) / len(touched)
    return {key: _number(value) for key, value in found.items()}


def hotspot_residues(spec: Any, residue_map: Mapping[str, Any]) -> tuple[_Key, ...]:
    """The hotspots of a request in a design's own chains and numbers."""
    place = {
        (row["motif"]["chain"], row["motif"]["number"], row["motif"]["insertion_code"]): _key(row["design"])
        for row in residue_map.get("residues", ())
    }
    asked = [(spot.chain, spot.number, spot.insertion_code) for spot in spec.hotspots]
    return tuple(place[spot] for spot in asked if spot in place)


def _motif_columns(
    ours: Mapping, theirs: Mapping, residue_map: Mapping[str, Any], chains: list[str]
) -> dict[str, float | int | None]:
    """The motif's deviation after refolding: each group superposed by itself, the worst of them."""
    groups: dict[int, list] = {}
    for row in residue_map.get("residues", ()):
        place = _key(row["design"])
        if place[0] in chains:
            keys = [(place, name) for name in _BACKBONE]
            groups.setdefault(row["group"], []).extend(key for key in keys if key in ours and key in theirs)
    deviations = [rmsd(_positions(theirs, keys), _positions(ours, keys)) for keys in groups.values() if len(keys) >= 3]
    return {"refold_motif_rmsd": max(deviations)} if deviations else {}


def _aligned_rmsd(ours: Mapping, theirs: Mapping, *, on: list, of: list) -> float:
    """RMSD of some atoms where others were superposed."""
    mobile = np.concatenate([_positions(theirs, on), _positions(theirs, of)])
    target = np.concatenate([_positions(ours, on), _positions(ours, of)])
    weights = np.r_[np.ones(len(on)), np.zeros(len(of))]
    moved = superpose(mobile, target, weights)
    return rmsd(moved[len(on) :], target[len(on) :], superposed=False)


def _touched(atoms: Mapping, spot: _Key, chains: list[str]) -> bool:
    near = np.array([position for (residue, _), position in atoms.items() if residue == spot])
    others = np.array([position for (residue, _), position in atoms.items() if residue[0] in chains])
    if not len(near) or not len(others):
        return False
    return bool((np.linalg.norm(near[:, None] - others[None], axis=-1) <= TOUCH_DISTANCE).any())


def _atoms(structure: Structure, like: Structure | None = None) -> dict[tuple[_Key, str], np.ndarray]:
    """Resolved atoms of polymers by residue and name; residues are named as in ``like``, by their place in a chain."""
    named = structure if like is None else like
    keys: dict[tuple[str, int], _Key] = {}
    polymer = np.isin(named.chains.kind, _POLYMERS)[named.residues.chain]
    for residue in np.flatnonzero(polymer).tolist():
        table, chain = named.residues, str(named.chains.name[named.residues.chain[residue]])
        key = (chain, int(table.author_seq_id[residue]), str(table.insertion_code[residue]).strip())
        keys[chain, int(table.label_seq_id[residue])] = key
    residues = structure.residues
    places = [
        keys.get((str(structure.chains.name[chain]), int(number)))
        for chain, number in zip(residues.chain, residues.label_seq_id, strict=True)
    ]
    polymer = np.isin(structure.chains.kind, _POLYMERS)[structure.atom_chain]
    rows = np.flatnonzero(structure.atoms.resolved & polymer)
    return {
        (place, str(structure.atoms.name[row])): structure.atoms.positions[row].astype(np.float64)
        for row in rows
        if (place := places[structure.atoms.residue[row]]) is not None
    }


def _positions(atoms: Mapping, keys: list) -> np.ndarray:
    return np.array([atoms[key] for key in keys])


def _key(named: Mapping[str, Any]) -> _Key:
    return (str(named["chain"]), int(named["number"]), str(named.get("insertion_code") or "").strip())


def _leading_number(text: object) -> float:
    try:
        return float(str(text).split()[0])
    except (ValueError, IndexError):
        return float("nan")


def _number(value: Any) -> float | int | None:
    """Plain and short, None where it is not defined."""
    if value is None or value != value:
        return None
    return int(value) if isinstance(value, int | np.integer) else round(float(value), 4)
