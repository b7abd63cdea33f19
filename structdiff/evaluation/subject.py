"""One structure that is judged, and what its maker says of it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.ligand_pose import LigandPose
from structdiff.evaluation.motif import MotifResidue, ResidueKey, residues_of_map
from structdiff.evaluation.residue_maps import (
    chains_beside,
    hotspots_of_map,
    made_from,
    residue_map_beside,
    with_kept_chains,
)
from structdiff.evaluation.structure_files import stem
from structdiff.structure.files import read_structure
from structdiff.structure.tables import ChainKind, Structure


@dataclass(frozen=True, kw_only=True)
class Given:
    """What is said of all structures of a run.

    motif: its structure; without it the one that each design names. residue_map: for all structures; without it each
    one's own, NAME.residue_map.json beside it, or what RFdiffusion wrote. designed: chains that were designed; without
    them those that the residue map does not call kept. hotspots: in the designs' chains and numbers. references: true
    structures, by name, or one under "" for all.
    """

    motif: Structure | None = None
    residue_map: Mapping[str, Any] | None = None
    designed: Sequence[str] = ()
    hotspots: Sequence[ResidueKey] = ()
    references: Mapping[str, Path] = field(default_factory=dict)

    def reference_of(self, name: str) -> Path | None:
        """The true structure that belongs to a name."""
        return self.references.get(name, self.references.get(""))


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A structure as read from its file, with its residue map and the motif where there are any.

    notes: what its measures have to say beside their values; ligands: those of its reference, and whether the means are
    taken over them; failures: why something could not be judged. The measures add to these.
    """

    name: str
    path: Path
    structure: Structure
    given: Given = field(default_factory=Given)
    residue_map: Mapping[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    ligands: list[tuple[LigandPose, bool]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @cached_property
    def backbone(self) -> Backbone:
        """All protein residues."""
        return Backbone.from_structure(self.structure)

    @cached_property
    def designed(self) -> Backbone:
        """The chain that stands for the structure in comparisons of folds: the longest that was not kept whole.

        Without a protein it has no residues.
        """
        free = self.backbone.complete & ~self._in_kept_chain
        chosen = free if free.any() else self.backbone.complete
        chains, sizes = np.unique(self.backbone.chain[chosen], return_counts=True)
        if not len(chains):
            return self.backbone.select(chosen)
        return self.backbone.select(chosen & (self.backbone.chain == chains[sizes.argmax()]))

    @property
    def _in_kept_chain(self) -> np.ndarray:
        kept = {str(each["chain"]) for each in self.residue_map.get("chains", ()) if each.get("kept")}
        return np.isin(self.structure.chains.name[self.backbone.chain], list(kept))

    @property
    def is_new(self) -> np.ndarray:
        """Which residues of the backbone come from no motif and no chain that was kept whole."""
        residues = self.structure.residues
        protein = np.flatnonzero(self.structure.chains.kind[residues.chain] == ChainKind.PROTEIN)
        names = self.structure.chains.name[residues.chain[protein]].tolist()
        keys = zip(
            names, residues.author_seq_id[protein].tolist(), residues.insertion_code[protein].tolist(), strict=True
        )
        motif = {each.design for each in self.motif_residues}
        return np.array([key not in motif for key in keys], bool) & ~self._in_kept_chain

    @property
    def trace(self) -> np.ndarray:
        """CA positions (residue, 3) of that chain."""
        return self.designed.positions[:, CA]

    @cached_property
    def motif(self) -> Structure | None:
        """The motif's structure: what was given for all, else what the design names; None where there is neither.

        Raises InputError where the file cannot be read.
        """
        if self.given.motif is not None:
            return self.given.motif
        named = _found(self.path, self.motif_name)
        return None if named is None else _motif_structure(named.resolve(), named.stat().st_mtime_ns)

    @property
    def motif_residues(self) -> list[MotifResidue]:
        """Which residues come from the motif."""
        return residues_of_map(self.residue_map)

    @property
    def motif_name(self) -> str | None:
        """The path of the motif as the design's files name it, whether it is there or not."""
        return _motif_name(self.path) or self.residue_map.get("input")

    @property
    def hotspots(self) -> Sequence[ResidueKey]:
        """Residues to be touched, in its own chains and numbers: those given, else those that its makers asked for."""
        return self.given.hotspots or hotspots_of_map(self.residue_map)

    @property
    def has_given_parts(self) -> bool:
        """Whether it is a design around, beside or from a known structure, as far as the files beside it tell."""
        named = bool(self.residue_map.get("residues")) or self.motif_name is not None
        return named or self.given.motif is not None or bool(self._in_kept_chain.any())


def read_subject(path: Path, name: str, given: Given) -> Subject:
    """Reads a structure and what lies beside it; raises InputError where one of these files cannot be read."""
    structure, notes = read_structure(path), []
    residue_map = given.residue_map
    if residue_map is None:
        residue_map = residue_map_beside(path, structure)
    elif "input" in residue_map and "chains" not in residue_map:
        residue_map = with_kept_chains(residue_map, structure)
    if residue_map is None:
        notes.append(f"{name} has a map of residues that names some it does not have, and that is not used")
    if given.designed:
        residue_map = {**(residue_map or {}), "chains": chains_beside(given.designed, structure)}
    return Subject(
        name=name, path=path, structure=structure, given=given, residue_map=residue_map or {}, notes=notes
    )  # fmt: skip


def _found(file: Path, name: str | None) -> Path | None:
    """A motif that the files of a design name, where it is still there."""
    if name is None:
        return None
    named = Path(name)
    places = (named, file.parent / named, file.parent.parent / named)
    return next((place for place in places if place.is_file()), None)


def _motif_name(file: Path) -> str | None:
    """The path of the motif as a design's confidence file names it."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return str(made_from(file)["motif"])
    return None


@lru_cache(maxsize=8)
def _motif_structure(path: Path, _changed: int) -> Structure:
    """A motif that many designs share, read once as long as its file is the same."""
    return read_structure(path)


def subject_names(paths: Sequence[Path]) -> list[str]:
    """A short name for each file: its own where these differ, else with what tells them apart: folders, the ending."""
    short = [stem(path) for path in paths]
    if len(set(short)) == len(short):
        return short
    folders = [path.absolute().parent.parts for path in paths]
    is_twice = len(set(zip(folders, short, strict=True))) < len(short)  # one structure as mmCIF and as PDB
    parts = [(*folder, path.name if is_twice else stem(path)) for folder, path in zip(folders, paths, strict=True)]
    common = 0
    while len({part[: common + 1] for part in parts}) == 1 < len(parts):
        common += 1
    return ["/".join(part[common:]) for part in parts]
