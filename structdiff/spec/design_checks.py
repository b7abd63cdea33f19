"""What cannot be asked of a design, each with one clear line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from structdiff.arguments import check_seed
from structdiff.errors import InputError
from structdiff.spec.contigs import Contigs, is_fixed
from structdiff.spec.file_name import check_file_name
from structdiff.spec.fold import FOLD_PLANS, check_block_pairs
from structdiff.spec.lengths import format_length
from structdiff.spec.segments import CHAIN_NAME

if TYPE_CHECKING:
    from structdiff.spec.design import DesignSpec

_LIGAND = re.compile(rf"[A-Za-z0-9]{{1,5}}|[A-Za-z]+\d+[A-Za-z]?|{CHAIN_NAME}:-?\d+[A-Za-z]?")


def check_design(spec: DesignSpec) -> None:
    """Everything that can be checked before the motif is read; raises InputError."""
    _check_plain(spec)
    _check_sources(spec)
    _check_chains(spec)
    _check_symmetry(spec)
    _check_rebuilding(spec)
    said = spec.secondary_structure is not None or spec.adjacent or spec.apart or spec.parallel
    if spec.fold_of is not None and said:
        raise InputError("the fold is taken from a structure already", key="fold_of",
                         allowed="fold_of alone, or secondary_structure with adjacent and apart")  # fmt: skip
    if spec.fold_plan not in FOLD_PLANS:
        raise InputError("unknown fold plan", key="fold_plan", found=spec.fold_plan, allowed=FOLD_PLANS,
                         suggest_from=FOLD_PLANS)  # fmt: skip
    if spec.fold_of is None:
        check_block_pairs(spec.secondary_structure, spec.adjacent, spec.apart, spec.parallel)
    _check_residues(spec)
    if all(segment.residues for segment in spec.contigs.fixed):
        _check_against_contigs(spec)


def _check_plain(spec: DesignSpec) -> None:
    for energy in spec.energies:
        file = getattr(energy, "file", None)
        if file is not None and not Path(file).is_file():
            raise InputError("no such file", key=f"energies.{energy.kind}.file", found=file)
    check_file_name(spec.name)
    if spec.length is not None and not 1 <= spec.length[0] <= spec.length[1]:
        raise InputError("a length is the least and the greatest number of residues", key="length",
                         found=format_length(spec.length), allowed="40-60, say")  # fmt: skip
    if spec.num_designs < 1:
        raise InputError("there must be at least one design", key="num_designs", found=spec.num_designs)
    if spec.draws < 1:
        raise InputError("a design is drawn at least once", key="draws", found=spec.draws)
    check_seed(spec.seed)


def _check_sources(spec: DesignSpec) -> None:
    taken = [("contigs", segment.name) for segment in spec.contigs.fixed]
    taken += [("unindexed", segment.name) for segment in spec.unindexed] + [("ligands", name) for name in spec.ligands]
    if taken and spec.motif is None:
        key, first = taken[0]
        if spec.noise is not None or spec.inpaint:  # their contigs are everything, unless some are given
            asked = "noise" if spec.noise is not None else "inpaint"
            raise InputError(f"{asked} is for a structure that is there, and none is given", key="motif")
        raise InputError(f"the {key} name {first}, but no structure is given to take it from", key="motif")
    if spec.motif is not None and not taken and not spec.rebuilds:
        raise InputError("a structure is given, but the contigs take nothing from it", key="contigs",
                         found=str(spec.contigs), allowed="stretches such as A163-181, or ligands")  # fmt: skip
    nothing_new = all(is_fixed(chain) for chain in spec.contigs.chains)
    if spec.fixed_sequence and not spec.redesign and nothing_new and not spec.rebuilds:
        raise InputError("there is nothing to design: the contigs hold no new residues", key="contigs",
                         found=str(spec.contigs))  # fmt: skip
    if spec.unindexed and nothing_new:
        raise InputError("there are no new residues among which to place it", key="unindexed",
                         found=str(spec.contigs), allowed="contigs such as 80-100")  # fmt: skip
    if spec.target_crop.isdigit() and not any(is_fixed(chain) for chain in spec.contigs.chains):
        raise InputError("a target is cropped, and the contigs hold none", key="target_crop", found=spec.target_crop,
                         allowed="contigs such as '70-90 B1-100', where a chain is kept whole")  # fmt: skip
    for name in spec.ligands:
        if not _LIGAND.fullmatch(name):
            raise InputError("a ligand is named by its component or its residue", key="ligands", found=name,
                             allowed="HEM or A301, say")  # fmt: skip


def _check_chains(spec: DesignSpec) -> None:
    if spec.rebuilds and all(is_fixed(chain) for chain in spec.contigs.chains):
        return  # which chains change is known once the structure has been read
    designed = spec.contigs.designed_chain_ids
    for chain in spec.cyclic:
        if chain not in designed:
            raise InputError("only a chain with new residues can be made cyclic", key="cyclic", found=chain,
                             allowed=designed)  # fmt: skip
    for bond in spec.disulfides:
        for chain, _ in bond:
            if chain not in designed:
                raise InputError("only a chain with new residues can be given a disulfide", key="disulfides",
                                 found=chain, allowed=designed)  # fmt: skip
        if bond[0] == bond[1]:
            raise InputError("a disulfide joins two residues", key="disulfides", found=f"{bond[0][0]}{bond[0][1]}")
    if spec.epitope and not spec.contigs.fixed:
        raise InputError("an epitope is that of a target, and the contigs hold none", key="epitope",
                         found=", ".join(spec.epitope), allowed="contigs such as '70-90 B1-100'")  # fmt: skip


def _check_rebuilding(spec: DesignSpec) -> None:
    if spec.noise is None and (spec.hold or spec.keep_sequence):
        key = "hold" if spec.hold else "keep_sequence"
        raise InputError("this is said of partial diffusion, and no noise is asked for", key=key,
                         allowed="noise: 8, say, beside it")  # fmt: skip
    if spec.rebuilds and spec.motif is None:
        key = "noise" if spec.noise is not None else "inpaint"
        raise InputError("there is no structure to change", key=key, allowed="the structure as motif")
    if spec.noise is not None and spec.unindexed:
        raise InputError("partial diffusion begins with all residues in their places", key="unindexed",
                         found=str(spec.unindexed[0]))  # fmt: skip
    if spec.noise is not None and spec.inpaint:
        raise InputError("loops built anew have no place to begin in", key="inpaint", found=str(spec.inpaint[0]),
                         allowed="inpaint or noise; design the loop first, then vary the whole")  # fmt: skip


def _check_symmetry(spec: DesignSpec) -> None:
    if spec.symmetry is None or not spec.symmetry.motif_placed:
        return
    if spec.motif is None:
        raise InputError("there is no motif to be placed", key="symmetry.motif", allowed="free")
    other = [segment for segment in (*spec.contigs.fixed, *spec.unindexed) if segment.group != 1]
    if other:
        raise InputError("a placed motif is one rigid piece, without groups that move", key="symmetry.motif",
                         found=str(other[0]), allowed="free, or all stretches in group 1")  # fmt: skip


def _check_residues(spec: DesignSpec) -> None:
    both = set(spec.hotspots) & set(spec.keep_away)
    if both:
        raise InputError("the residue is a hotspot too", key="keep_away", found=str(min(both)))
    named = tuple(residue for residue, _ in spec.held_atoms)
    for key, chosen, other in (("backbone_only", spec.backbone_only, spec.tip), ("held_atoms", named, spec.tip),
                               ("held_atoms", named, spec.backbone_only)):  # fmt: skip
        both = set(chosen) & set(other)
        if both:
            what = "its backbone" if other is spec.backbone_only else "the tip atoms"
            raise InputError(f"of the residue only {what} are held already", key=key, found=str(min(both)))
    for key, chosen in (("tip", spec.tip), ("held_atoms", named)):
        if chosen and not spec.fixed_sequence:
            raise InputError(f"{key.replace('_', ' ')} need their residue types", key=key, found=str(chosen[0]),
                             allowed="fixed_sequence: true; redesign the others by name")  # fmt: skip
        both = set(chosen) & set(spec.redesign)
        if both:
            raise InputError(f"the residue's {key.replace('_', ' ')} are held, so its type stays", key="redesign",
                             found=str(min(both)))  # fmt: skip


def _check_against_contigs(spec: DesignSpec) -> None:
    """What can be checked only when every stretch of the contigs knows its residues.

    Before the structure is read, there may be more of them than the numbers of a stretch, under insertion codes.
    """
    stretches = (*spec.contigs.fixed, *spec.unindexed)
    is_read = all(segment.is_read for segment in stretches)
    known = {residue for segment in stretches for residue in segment.residues}
    numbers = {(residue.chain, residue.number) for residue in known}
    for key in ("hotspots", "keep_away", "tip", "backbone_only", "held_atoms", "redesign"):
        for each in getattr(spec, key):
            residue = each[0] if key == "held_atoms" else each
            # A ligand's residue is known once the motif has been read.
            inserted = not is_read and residue.insertion_code and (residue.chain, residue.number) in numbers
            if residue not in known and not inserted and not (spec.ligands and key in ("hotspots", "keep_away")):
                raise InputError("the residue is not part of the contigs", key=key, found=str(residue),
                                 allowed="residues that the contigs keep")  # fmt: skip
    low, high = spec.contigs.length_range()
    if spec.length is not None and (spec.length[1] < low or (is_read and spec.length[0] > high)):
        raise InputError("the contigs cannot reach this length", key="length", found=format_length(spec.length),
                         allowed=f"{format_length((low, high))} residues in the designed chains")  # fmt: skip
    if spec.chain_lengths is not None:
        _check_letters(spec, spec.chain_lengths, is_read=is_read)


def _check_letters(spec: DesignSpec, lengths: tuple[int, ...], *, is_read: bool) -> None:
    key = "secondary_structure" if spec.secondary_structure is not None else "burial"
    key, what = (key, "letters") if spec.fold_from is None else ("fold_of", f"residues of {spec.fold_from}")
    designed = [chain for chain in spec.contigs.chains if not is_fixed(chain)]
    if len(designed) != len(lengths):
        message = "every chain with new residues needs its letters, with '/' between chains"
        raise InputError(message if spec.fold_from is None else f"{spec.fold_from} has another number of chains",
                         key=key, found=f"{len(lengths)} chains", allowed=f"{len(designed)} chains")  # fmt: skip
    for place, (name, chain) in enumerate(zip(spec.contigs.designed_chain_ids, designed, strict=True)):
        least, most = Contigs(chains=(chain,)).length_range()
        if lengths[place] < least or (is_read and lengths[place] > most):
            raise InputError(f"the number of {what} does not fit chain {name}", key=key, found=_counted(spec, place),
                             allowed=format_length((least, most)))  # fmt: skip
    if spec.length is not None and not spec.length[0] <= sum(lengths) <= spec.length[1]:
        raise InputError(f"the number of {what} does not fit the length", key=key, found=sum(lengths),
                         allowed=format_length(spec.length))  # fmt: skip
    if spec.burial is not None and tuple(map(len, spec.burial.split("/"))) != lengths:
        other = "secondary_structure" if spec.fold_from is None else key
        raise InputError(f"burial and {other} must have the same lengths", key="burial")


def _counted(spec: DesignSpec, place: int) -> int | str:
    """How many letters a chain was given, and how many of them a structure does not tell."""
    letters = (spec.secondary_structure or spec.burial or "").split("/")[place]
    unseen = letters.count("?") if spec.fold_from is not None else 0
    return f"{len(letters)}, of which {unseen} without coordinates" if unseen else len(letters)
