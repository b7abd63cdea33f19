"""One structure that is judged, and what its maker says of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from structdiff.errors import InputError
from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.ligand_pose import LigandPose
from structdiff.evaluation.motif import MotifResidue, ResidueKey, residues_of_map
from structdiff.evaluation.structure_files import stem
from structdiff.structure.files import read_structure
from structdiff.structure.tables import ChainKind, Structure


@dataclass(frozen=True, kw_only=True)
class Given:
    """What is said of all structures of a run.

    motif: its structure; without it the one that each design names. residue_map: for all structures; without it each
    one's own, NAME.residue_map.json beside it. hotspots: in the designs' chains and numbers. references: true
    structures, by name, or one under "" for all.
    """

    motif: Structure | None = None
    residue_map: Mapping[str, Any] | None = None
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
        named = _named_motif(self.path)
        return None if named is None else _motif_structure(named.resolve(), named.stat().st_mtime_ns)

    @property
    def motif_residues(self) -> list[MotifResidue]:
        """Which residues come from the motif."""
        return residues_of_map(self.residue_map)

    @property
    def has_given_parts(self) -> bool:
        """Whether it is a design around, beside or from a known structure, as far as the files beside it tell."""
        return bool(self.motif_residues) or self.given.motif is not None or _motif_name(self.path) is not None


def read_subject(path: Path, name: str, given: Given) -> Subject:
    """Reads a structure and what lies beside it; raises InputError where one of these files cannot be read."""
    residue_map = given.residue_map
    own = path.with_name(f"{stem(path)}.residue_map.json")
    if residue_map is None:
        residue_map = read_residue_map(own) if own.is_file() else {}
    return Subject(name=name, path=path, structure=read_structure(path), given=given, residue_map=residue_map)


def read_residue_map(path: Path) -> Mapping[str, Any]:
    """A residue map (JSON) as `structdiff design` writes it; raises InputError where it is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        residues_of_map(content)
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        allowed = '{"residues": [{"design": {"chain", "number"}, "motif": {"chain", "number"}, "group"}, ...]}'
        raise InputError("this is no residue map", path=path, found=str(error)[:60], allowed=allowed) from None
    return content


def made_from(file: Path) -> Mapping[str, Any]:
    """The request that a structure was made from, as the confidence file beside it tells it.

    Raises OSError, ValueError, KeyError or TypeError where there is no such file, or it tells nothing.
    """
    return json.loads(file.with_name(f"{stem(file)}.confidence.json").read_text(encoding="utf-8"))["provenance"]["spec"]


def _named_motif(file: Path) -> Path | None:
    """The motif that a design was made around, as its confidence file names it, where that file is still there."""
    name = _motif_name(file)
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
