"""A design's request made whole: what only the structures it names can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
from scipy.spatial import KDTree

from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.fold import block_pairs
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.features.reach import alpha, gaps, reaching
from structdiff.spec.contigs import Contigs, is_fixed
from structdiff.spec.design import DesignSpec
from structdiff.spec.fold import blocks_of
from structdiff.spec.segments import FixedSegment, ResidueId
from structdiff.structure.files import read_structure
from structdiff.structure.motif_residues import ligand_residues, motif_residues
from structdiff.structure.tables import Structure

#: Residues of a target that the network sees at most, unless it is told otherwise, and how far (Å) from a hotspot.
CROPPED_TARGET, CROP_REACH = 150, 25.0
_SHORTEST_STRETCH, _BRIDGED_GAP = 6, 3  # residues of a cropped target
_EPITOPE_DISTANCE, _EPITOPE_RESIDUES = 5.0, 6  # Å between heavy atoms; hotspots taken from a bound reference


def completed(spec: DesignSpec, motif: Structure | None) -> DesignSpec:
    """The request with its stretches, ligands, epitope, fold and crop looked up. Raises InputError."""
    rows = {} if motif is None else motif_residues(motif)
    if spec.fold_of is not None:
        spec = _with_fold(spec, read_structure(spec.fold_of))
    if motif is not None and spec.ligands:
        spec = replace(spec, ligands=_ligands(spec.ligands, motif))
    if motif is not None and spec.epitope:
        spec = replace(spec, hotspots=_epitope(spec, motif, rows), epitope=())
    spec = spec.resolve(rows)
    if motif is None:
        return spec
    spec = _without_unknown_types(reaching(spec, motif, rows), motif, rows)
    if spec.unindexed:
        spec = replace(spec, unindexed_gaps=gaps(spec, motif, rows))
    return _cropped(spec, motif, rows)


def _without_unknown_types(spec: DesignSpec, motif: Structure, rows: Mapping[ResidueId, int]) -> DesignSpec:
    """The request in which residues of a motif that have no type to keep (UNK) get one, in chains that are designed."""
    if not spec.fixed_sequence:
        return spec
    chains = [chain for chain in spec.contigs.chains if not is_fixed(chain)]
    parts = [each for chain in chains for each in chain if isinstance(each, FixedSegment)] + [*spec.unindexed]
    named = {*spec.redesign, *spec.tip, *dict(spec.held_atoms)}
    unknown = [residue for part in parts for residue in part.residues if motif.residues.name[rows[residue]] == "UNK"]
    return replace(spec, redesign=(*spec.redesign, *(residue for residue in unknown if residue not in named)))


def _with_fold(spec: DesignSpec, reference: Structure) -> DesignSpec:
    """Secondary structure and adjacency as in a structure's protein chains.

    What was not seen of a chain counts where it lies inside, as residues whose letters are open; not at its ends.
    """
    backbone = Backbone.from_structure(reference)
    if not len(backbone):
        raise InputError("the structure holds no protein", path=spec.fold_of, key="fold_of")
    seen = np.isfinite(backbone.positions).any((1, 2))
    letters = np.where(seen, secondary_structure(backbone), "?")
    parts = ["".join(letters[backbone.chain == chain]) for chain in dict.fromkeys(backbone.chain.tolist())]
    # Single letters are where DSSP's rules end, not elements that could be laid out.
    text = "/".join(_without_specks(part) for part in parts)
    pairs = block_pairs(backbone, blocks_of(text))
    told = {"adjacent": pairs.adjacent, "apart": pairs.apart, "parallel": pairs.parallel}
    shown = "/".join(filter(None, (part.strip("?") for part in text.split("/"))))
    return replace(spec, fold_of=None, fold_from=spec.fold_of, secondary_structure=shown, **told)


def _without_specks(letters: str) -> str:
    least = {"H": 4, "E": 2, "L": 1, "?": 1}
    runs = [(letter, len(list(run))) for letter, run in groupby(letters)]
    return "".join((letter if length >= least[letter] else "L") * length for letter, length in runs)


def _ligands(names: Sequence[str], motif: Structure) -> tuple[str, ...]:
    """Every ligand residue that the names mean, by chain and number."""
    known = ligand_residues(motif)
    codes = {str(motif.residues.name[row]) for row in known.values()}
    found: dict[str, None] = {}
    for name in names:
        matches = [str(each) for each, row in known.items() if name in (str(each), str(motif.residues.name[row]))]
        if not matches:
            allowed = sorted(codes | {str(each) for each in known})
            raise InputError("the motif's file has no such ligand", key="ligands", found=name,
                             allowed=allowed[:20] or "nothing, for it holds none", suggest_from=allowed)  # fmt: skip
        found.update(dict.fromkeys(matches))
    return tuple(found)


def _epitope(spec: DesignSpec, motif: Structure, rows: Mapping[ResidueId, int]) -> tuple[ResidueId, ...]:
    """Hotspots given, and the residues of the contigs' chains that the bound chains touch most."""
    partner = np.isin(motif.chains.name[motif.atom_chain], spec.epitope) & motif.atoms.resolved
    missing = [name for name in spec.epitope if name not in motif.chains.name.tolist()]
    if missing:
        raise InputError("the motif's file has no such chain", key="epitope", found=missing[0],
                         allowed=sorted(set(motif.chains.name.tolist())))  # fmt: skip
    kept = {residue for segment in spec.contigs.resolve(rows).fixed for residue in segment.residues}
    if any(residue.chain in spec.epitope for residue in kept):
        raise InputError("the chain belongs to the contigs: an epitope is what a chain outside of them touches",
                         key="epitope", found=", ".join(spec.epitope))  # fmt: skip
    tree = KDTree(motif.atoms.positions[partner])
    counts = {}
    for residue in sorted(kept):
        atoms = motif.residue_atoms(rows[residue])
        own = motif.atoms.positions[atoms][motif.atoms.resolved[atoms]]
        touched = tree.query_ball_point(own, _EPITOPE_DISTANCE, return_length=True)
        if touched.any():
            counts[residue] = int(touched.sum())
    if not counts:
        raise InputError(f"touches nothing of the contigs within {_EPITOPE_DISTANCE:g} Å", key="epitope",
                         found=", ".join(spec.epitope))  # fmt: skip
    most = sorted(counts, key=lambda each: (-counts[each], each))[:_EPITOPE_RESIDUES]
    return tuple(dict.fromkeys([*spec.hotspots, *sorted(set(most) - set(spec.keep_away))]))


def _cropped(spec: DesignSpec, motif: Structure, rows: Mapping[ResidueId, int]) -> DesignSpec:
    """Targets cut down to what lies around the hotspots."""
    fixed = [chain for chain in spec.contigs.chains if is_fixed(chain)]
    target = [residue for chain in fixed for segment in chain if isinstance(segment, FixedSegment)
              for residue in segment.residues]  # fmt: skip
    named = set(target) & set(spec.hotspots)
    limit = CROPPED_TARGET if spec.target_crop == "auto" else int(spec.target_crop) if spec.target_crop != "none" else 0
    if not limit or len(target) <= limit or len(fixed) == len(spec.contigs.chains):
        return spec
    ligands = ligand_residues(motif)
    bound = [ligands[residue] for residue in spec.hotspots if residue in ligands]
    if not named and not bound:
        if spec.target_crop == "auto":
            return spec
        raise InputError("a target is cropped around its hotspots, and none are given", key="target_crop",
                         found=spec.target_crop, allowed="hotspots, an epitope, or target_crop: none")  # fmt: skip
    places = np.array([alpha(motif, rows[residue]) for residue in target])
    atoms = motif.atoms.positions[np.isin(motif.atoms.residue, bound) & motif.atoms.resolved]
    centres = np.array([*(alpha(motif, rows[residue]) for residue in sorted(named)), *atoms])
    distance = np.linalg.norm(places[:, None] - centres[None], axis=-1).min(1)
    near = np.argsort(distance, kind="stable")[:limit]
    asked = named | (set(target) & set(spec.keep_away))
    kept = {target[place] for place in near if distance[place] <= CROP_REACH} | asked
    chains = tuple(_cut(chain, kept, asked) if is_fixed(chain) else chain for chain in spec.contigs.chains)
    names = tuple(name for name, chain in zip(spec.contigs.chain_ids, spec.contigs.chains, strict=True)
                  if is_fixed(chain))  # fmt: skip
    # A chain of which nothing is drawn keeps its name all the same: it is in the finished design.
    contigs = Contigs(chains=tuple(chain for chain in chains if chain), reserved=names)
    still = {residue for segment in contigs.fixed for residue in segment.residues}
    left_out = tuple(residue for residue in target if residue not in still)
    whole = spec.contigs if left_out else None
    return replace(spec, contigs=contigs, left_out=left_out, whole_contigs=whole)


def _cut(chain: Sequence, kept: set[ResidueId], named: set[ResidueId]) -> tuple[FixedSegment, ...]:
    """The stretches of a chain that are kept; short gaps are kept too, stretches too short to matter are not."""
    found = []
    for segment in chain:
        residues = segment.residues
        inside = [residue in kept for residue in residues]
        runs = [(value, list(run)) for value, run in groupby(range(len(residues)), key=lambda each: inside[each])]
        for place, (value, run) in enumerate(runs):
            if not value and len(run) <= _BRIDGED_GAP and 0 < place < len(runs) - 1:
                for each in run:
                    inside[each] = True
        for value, run in groupby(range(len(residues)), key=lambda each: inside[each]):
            own = [residues[each] for each in run]
            if value and (len(own) >= _SHORTEST_STRETCH or named & set(own)):
                found.append(_stretch(own, segment.group))
    return tuple(found)


def _stretch(residues: Sequence[ResidueId], group: int) -> FixedSegment:
    first, last = residues[0], residues[-1]
    return FixedSegment(
        chain=first.chain, start=first.number, stop=last.number, start_insertion_code=first.insertion_code,
        stop_insertion_code=last.insertion_code, group=group, residues=tuple(residues),
    )  # fmt: skip
