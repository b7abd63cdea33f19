"""Which residues of a design come from its input, whatever made it: the residue map as the files beside it tell it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from structdiff.chemistry.residues import BACKBONE_ATOMS
from structdiff.errors import InputError
from structdiff.evaluation.foreign_maps import foreign_map, read_foreign_map
from structdiff.evaluation.motif import ResidueKey, residues_of_map
from structdiff.evaluation.structure_files import stem
from structdiff.structure.tables import ChainKind, Structure


def residue_map_beside(path: Path, structure: Structure) -> Mapping[str, Any] | None:
    """The residue map of a design: its own, NAME.residue_map.json, or what another program wrote; empty without one.

    None where another program's is of another structure: residues that it names are not there. Raises InputError for a
    file that cannot be read.
    """
    own = path.with_name(f"{stem(path)}.residue_map.json")
    if own.is_file():
        return _with_request(read_residue_map(own), path)
    foreign = foreign_map(path)
    return {} if foreign is None else with_kept_chains(foreign, structure)


def read_residue_map(path: Path) -> Mapping[str, Any]:
    """A residue map as `structdiff design` writes it, or a file of RFdiffusion; raises InputError for another."""
    if not path.is_file():
        raise InputError("no such file", path=path)
    if (foreign := read_foreign_map(path)) is not None:
        return foreign
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        residues_of_map(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        allowed = '{"residues": [{"design": {"chain", "number"}, "motif": {"chain", "number"}, "group"}, ...]}'
        raise InputError("this is no residue map", path=path, found=str(error)[:60], allowed=allowed) from None
    return content


def made_from(file: Path) -> Mapping[str, Any]:
    """The request that a structure was made from, as the confidence file beside it tells it.

    Raises OSError, ValueError, KeyError or TypeError where there is no such file, or it tells nothing.
    """
    return json.loads(file.with_name(f"{stem(file)}.confidence.json").read_text(encoding="utf-8"))["provenance"]["spec"]


def hotspots_of_map(residue_map: Mapping[str, Any]) -> list[ResidueKey]:
    """The hotspots that a design was asked to touch, in its own chains and numbers; those it lacks are left out."""
    places = {_name(row["motif"]): row["design"] for row in residue_map.get("residues", ())}
    found = [places[name] for name in map(str, residue_map.get("hotspots", ())) if name in places]
    return [(str(each["chain"]), int(each["number"]), str(each.get("insertion_code", ""))) for each in found]


def _name(residue: Mapping[str, Any]) -> str:
    return f"{residue['chain']}{residue['number']}{residue.get('insertion_code', '')}"


def chains_beside(designed: Sequence[str], structure: Structure) -> list[dict[str, Any]]:
    """The chains of a structure as a residue map has them, kept but for those that were designed.

    Raises InputError for a name that no chain has.
    """
    names = list(dict.fromkeys(structure.chains.name.tolist()))
    for name in designed:
        if name not in names:
            raise InputError("there is no chain of that name", key="designed", found=name, allowed=names)
    return [{"chain": name, "kept": name not in designed} for name in names]


def _with_request(own: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """A map with the hotspots of the request, and the atoms held where it named single ones (tip, held_atoms ...)."""
    try:
        spec = made_from(path)
        atoms = {name: ["TIP"] for name in spec.get("tip", ())}
        atoms |= {name: list(BACKBONE_ATOMS) for name in spec.get("backbone_only", ())}
        pairs = (each.split("=", 1) for each in spec.get("held_atoms", ()))
        atoms |= {name: named.split("/") for name, named in pairs}
        hotspots = list(spec.get("hotspots", ()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return own
    rows = []
    for row in own.get("residues", ()):
        held = atoms.get(_name(row["motif"]))
        rows.append(row if held is None else row | {"atoms": held})
    return {**own, "residues": rows, "hotspots": hotspots}


def with_kept_chains(foreign: Mapping[str, Any], structure: Structure) -> Mapping[str, Any] | None:
    """Another program's map with the chains that come whole from its input; None where it is another structure's."""
    chains = structure.chains.name[structure.residues.chain].tolist()
    numbers = structure.residues.author_seq_id.tolist()
    polymer = (structure.chains.kind != ChainKind.LIGAND)[structure.residues.chain].tolist()
    places = list(zip(chains, numbers, strict=True))
    mapped = {(str(row["design"]["chain"]), int(row["design"]["number"])) for row in foreign["residues"]}
    if not mapped <= set(places):
        return None
    kept: dict[str, bool] = {}
    for place, counts in zip(places, polymer, strict=True):
        if counts:
            kept[place[0]] = kept.get(place[0], True) and place in mapped
    return {**foreign, "chains": [{"chain": name, "kept": whole} for name, whole in kept.items()]}
