"""Folds of new chains as trRosetta makes them up, around a motif too: told to the network, and held at first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE
from structdiff.errors import InputError, ResourceError
from structdiff.evaluation.backbone import CA, Backbone, C, N
from structdiff.features.chain_folds import (
    ChainFold,
    check_folding_weights,
    fold_seconds,
    laid_on,
    main_chain,
    one_thread,
    told_atoms,
)
from structdiff.features.condition import Condition
from structdiff.features.motif_anchors import FEWEST_NEW, motif_anchors
from structdiff.features.requests import LIGAND_DISTANCE
from structdiff.features.tokens import TokenTable
from structdiff.published_weights.cache import weights_sha256
from structdiff.spec.design import DesignSpec
from structdiff.spec.fold import HALLUCINATED
from structdiff.spec.layout import Layout
from structdiff.spec.layout_residue import LayoutResidue
from structdiff.spec.lengths import format_length
from structdiff.spec.segments import ResidueId
from structdiff.structure.held_parts import retyped
from structdiff.structure.motif_residues import ligand_residues, motif_residues
from structdiff.structure.tables import ChainKind, Structure
from structdiff.trrosetta.alignment import ALPHABET, alone
from structdiff.trrosetta.folding import THOROUGH, Held, fold
from structdiff.trrosetta.hallucination import MAKERS, STEPS, STEPS_AROUND_MOTIF, OnStep, Site, hallucinate
from structdiff.trrosetta.network import NETWORKS, expect_each, mean_expectation
from structdiff.typing import Bool, Float

#: Residues of chains that are made up.
SHORTEST, LONGEST = 28, 200
_STEP_SECONDS = 1.5e-4  # for a squared residue, on one core of 2023
#: How often a fold is made up until it has so much room (Å) beside what is kept with its motif, and reaches ligands.
_TRIES, _ROOM = 4, 4.0
_BYTES = 85_000  # of memory, for a squared residue (50_000 with native kernels)


def hallucinates(spec: DesignSpec) -> bool:
    """Whether folds are made up for this request."""
    return spec.fold_plan == HALLUCINATED


def makers_sha256() -> dict[str, str]:
    """Checksums of the weights that make folds up, by their names. Raises InputError where they are not here."""
    check_folding_weights("fold_plan", HALLUCINATED)
    return {name: weights_sha256(name) for name in MAKERS}


def check_hallucination(spec: DesignSpec, layout: Layout, motif: Structure | None) -> None:
    """Raises InputError where folds are to be made up for what they cannot be, or trRosetta's weights are not here."""
    placed = spec.symmetry is not None and spec.symmetry.motif_placed
    asked = {"fold_of": spec.fold_of or spec.fold_from, "secondary_structure": spec.secondary_structure,
             "noise": spec.noise, "burial": spec.burial, "symmetry whose motif has its place": placed,
             "cyclic": spec.cyclic, "disulfides": spec.disulfides, "unindexed": spec.unindexed, "tip": spec.tip,
             "held_atoms": spec.held_atoms, "inpaint": spec.inpaint}  # fmt: skip
    with_it = next((key for key, value in asked.items() if value), None)
    if with_it is not None:
        _refuse(f"{HALLUCINATED} beside {with_it}", f"{HALLUCINATED} without {with_it}, or another fold_plan")
    # Of lengths that are drawn all are to do, and not only this design's.
    ranges = spec.contigs.chain_length_ranges(spec.length)
    for name, (least, most) in ranges.items():
        if not SHORTEST <= least <= most <= LONGEST:
            _refuse(f"{format_length((least, most))} residues in chain {name}", f"{SHORTEST} to {LONGEST} residues")
    anchors = {} if motif is None else motif_anchors(spec, layout, motif, of_shape=True)
    for name, chain in _designed(layout).items():
        if held := sum(residue.origin is not None for residue in chain):
            fewest = ranges[name][0] - held
            if fewest < FEWEST_NEW:
                _refuse(f"{fewest} new residues or more in chain {name}, beside its motif", f"{FEWEST_NEW} or more")
            if name not in anchors:
                _refuse(f"chain {name}", "all new, or one motif with its whole backbone, with neither hotspots nor "
                        "keep_away")  # fmt: skip
    check_folding_weights("fold_plan", HALLUCINATED)


def check_hallucination_memory(layout: Layout, free: float) -> None:
    """Raises ResourceError where the folds of a layout need more than so many bytes."""
    needed = hallucination_memory(layout)
    if needed > free:
        raise ResourceError(f"hallucinating a fold needs about {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are "
                            "free: ask for a shorter chain")  # fmt: skip


def hallucination_memory(layout: Layout) -> int:
    """Bytes that the folds of a design need, one after another."""
    return _BYTES * max(map(len, _designed(layout).values()), default=0) ** 2


def _refuse(found: str, allowed: str) -> None:
    raise InputError("folds cannot be hallucinated for this", key="fold_plan", found=found, allowed=allowed)


def hallucination_seconds(layout: Layout) -> float:
    """About how long the folds of one design take on one core."""
    found = 0.0
    for chain in _designed(layout).values():
        steps = STEPS if all(residue.origin is None for residue in chain) else STEPS_AROUND_MOTIF
        found += _STEP_SECONDS * steps * len(chain) ** 2 + fold_seconds(len(chain))
    return found


def hallucination_tries(layout: Layout) -> int:
    """How often a fold is made up at most: anew, where it has no room beside what is kept with its motif."""
    beside = any(residue.chain_is_fixed for residue in layout.residues)
    around = any(residue.origin is not None for chain in _designed(layout).values() for residue in chain)
    return _TRIES if beside and around else 1


def hallucinated_folds(
    spec: DesignSpec, layout: Layout, motif: Structure | None, seeds: Sequence[int], on_step: OnStep | None = None
) -> tuple[ChainFold, ...]:
    """A fold for each chain with new residues, in the frame of its motif where it has one.

    seeds: of the random numbers. on_step: called with steps done and all. Raises InputError as `check_hallucination`
    does.
    """
    check_hallucination(spec, layout, motif)
    found, open_, chains = [], retyped(spec, layout), _designed(layout)
    anchors = {} if motif is None else motif_anchors(spec, layout, motif, of_shape=True)
    for place, (name, chain) in enumerate(chains.items()):
        kept = None if motif is None else _motif(chain, motif, open_)
        report = None if on_step is None else _of_several(on_step, place, len(chains))
        beside = _Beside()
        if motif is not None and kept is not None:
            beside = _Beside(atoms=anchors[name].obstacles, ligands=_ligands(spec, layout, motif))
        found.append(_fitting(name, len(chain), kept, beside, (*seeds, place), report))
    return tuple(found)


def _of_several(on_step: OnStep, done: int, count: int) -> OnStep:
    """Reports steps of one chain as such of all."""
    return lambda step, steps: on_step(done * steps + step, count * steps)


def _designed(layout: Layout) -> dict[str, tuple[LayoutResidue, ...]]:
    return {name: chain for name, chain in layout.chains.items() if not chain[0].chain_is_fixed}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Motif:
    """The part of a chain that is kept: which residues, their letters, N, CA, C and CB (Å)."""

    places: Bool[np.ndarray, " residue"]
    letters: str
    atoms: Float[np.ndarray, "held 4 3"]

    def site(self) -> Site:
        """What a sequence is made up around."""
        n, ca, _, cb = torch.from_numpy(self.atoms).float().unbind(1)
        return Site(places=torch.from_numpy(self.places), letters=self.letters, n=n, ca=ca, cb=cb)

    def held(self) -> Held:
        """What a fold keeps."""
        return Held(places=torch.from_numpy(self.places), backbone=torch.from_numpy(self.atoms[:, :3]).float())


def _motif(chain: Sequence[LayoutResidue], motif: Structure, open_: Collection[ResidueId]) -> _Motif | None:
    """What a chain keeps of the motif's file. open_: residues of it whose amino acid is not kept."""
    places = np.array([residue.origin is not None for residue in chain])
    if not places.any():
        return None
    origins = [origin for residue in chain if (origin := residue.origin) is not None]
    rows = motif_residues(motif)
    own = [rows[origin] for origin in origins]
    backbone = Backbone.from_structure(motif)
    protein = np.flatnonzero(motif.chains.kind[motif.residues.chain] == ChainKind.PROTEIN)
    at = np.searchsorted(protein, own)
    # What is no amino acid of the twenty is as good as unknown.
    names = [PROTEIN_THREE_TO_ONE.get(str(motif.residues.name[row]), "X") for row in own]
    letters = "".join("X" if origin in open_ else name for origin, name in zip(origins, names, strict=True))
    atoms = np.concatenate([backbone.positions[at][:, [N, CA, C]], backbone.cb_or_ideal[at][:, None]], 1)
    return _Motif(places=places, letters=letters, atoms=atoms)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Beside:
    """What is kept beside a motif: all of its atoms (Å), and those of each ligand that the chain is to touch."""

    atoms: Float[np.ndarray, "atom 3"] = field(default_factory=lambda: np.zeros((0, 3)))
    ligands: Sequence[Float[np.ndarray, "atom 3"]] = ()

    @property
    def asks(self) -> bool:
        """Whether a fold may fail to fit."""
        return len(self.atoms) > 0 or len(self.ligands) > 0

    def misfit(self, made: ChainFold) -> float:
        """0 where the new main chain of a fold has room for side chains beside the atoms, and comes near each ligand.

        Otherwise the atoms that it is too near to, and how far (Å) it is from what it is to touch.
        """
        own = made.positions[made.told].reshape(-1, 3).astype(np.float64)
        own = own[np.isfinite(own).all(-1)]  # the last O of a chain has no place
        crowded = int((cdist(self.atoms, own).min(1) < _ROOM).sum()) if len(self.atoms) else 0
        return crowded + sum((max(0.0, cdist(each, own).min() - LIGAND_DISTANCE) for each in self.ligands), start=0.0)


def _ligands(spec: DesignSpec, layout: Layout, motif: Structure) -> list[Float[np.ndarray, "atom 3"]]:
    """The atoms (Å) of each ligand that is kept, where it is seen."""
    rows, atoms = ligand_residues(motif), motif.atoms
    kept = [residue.origin for residue in layout.residues if residue.origin and str(residue.origin) in spec.ligands]
    each = [atoms.positions[atoms.resolved & (atoms.residue == rows[origin])].astype(np.float64) for origin in kept]
    return [positions for positions in each if len(positions)]


def _fitting(
    name: str, residues: int, motif: _Motif | None, beside: _Beside, seeds: Sequence[int], on_step: OnStep | None
) -> ChainFold:
    """A fold that fits what stands beside its motif: of several, if need be, the one that does best.

    The networks know of one chain alone.
    """
    best, least = None, float("inf")
    for again in range(_TRIES):
        report = on_step if on_step is None or not beside.asks else _of_tries(on_step, again)
        made = _made_up(name, residues, motif, (*seeds, again) if again else seeds, report)
        misfit = beside.misfit(made)
        if misfit < least:
            best, least = made, misfit
        if not misfit:
            break
    assert best is not None
    return best


def _of_tries(on_step: OnStep, again: int) -> OnStep:
    """Reports steps of one of several tries as half of those that are left, of the last one as all of these."""
    whole = 2 ** (_TRIES - 1)
    left = whole >> again
    own = left if again == _TRIES - 1 else left // 2
    return lambda step, steps: on_step((whole - left) * steps + own * step, whole * steps)


def _made_up(name: str, residues: int, motif: _Motif | None, seeds: Sequence[int], on_step: OnStep | None) -> ChainFold:
    """The fold of a chain whose sequence is made up."""
    first, second = np.random.SeedSequence(seeds).generate_state(2).tolist()
    site, held = (None, None) if motif is None else (motif.site(), motif.held())
    with one_thread():
        sequence = hallucinate(residues, torch.Generator().manual_seed(first), site, on_step)
        each = dict(zip(NETWORKS, expect_each(sequence), strict=True))
        expected = mean_expectation([each[name] for name in MAKERS])
        made = fold(expected, descent=THOROUGH, seed=second, held=held)
    positions, kept = main_chain(made.backbone), np.zeros(residues, bool) if motif is None else motif.places
    return ChainFold(
        chains=(name,),
        alignment=alone(sequence),
        distance=mean_expectation(list(each.values())).distance,
        positions=positions if motif is None else laid_on(positions, motif.places, motif.atoms[:, :3]),
        told=~kept,
        kept=kept,
    )


def letters_of(made: ChainFold) -> str:
    """The sequence that was made up."""
    return "".join(ALPHABET[place] for place in made.alignment.letters[0].tolist())


def told_folds(
    folds: Sequence[ChainFold], structure: Structure, tokens: TokenTable, condition: Condition
) -> tuple[Structure, Condition]:
    """The structure with new residues where their folds have them, and the condition that tells the network so.

    A fold and the motif in it are one group, of which the motif alone is held.
    """
    positions, resolved = structure.atoms.positions.copy(), structure.atoms.resolved.copy()
    group = condition.motif_group.copy()
    for own in folds:
        here = tokens.chain == _row(own, structure)
        number = int(group[here].max()) or int(group.max()) + 1
        rows, known = told_atoms(own, structure, own.chains[0])
        positions[rows], resolved[rows] = known, True
        first = structure.chain_residues(_row(own, structure)).start
        group[here & np.isin(tokens.residue, first + np.flatnonzero(own.told))] = number
    return structure.with_positions(positions, resolved=resolved), condition.replace(motif_group=group)


def held_folds(
    folds: Sequence[ChainFold], structure: Structure, visible: np.ndarray
) -> tuple[list[Tensor], list[Tensor]]:
    """Rows, among visible atoms, and places (Å) of the atoms of each fold and of the motif in it."""
    place, rows, places = np.cumsum(visible) - 1, [], []
    for own in folds:
        new, known = told_atoms(own, structure, own.chains[0])
        kept = np.flatnonzero((structure.atom_chain == _row(own, structure)) & structure.atoms.resolved)
        every, points = np.concatenate([new, kept]), np.concatenate([known, structure.atoms.positions[kept]])
        rows.append(torch.from_numpy(place[every[visible[every]]]))
        places.append(torch.from_numpy(points[visible[every]]).float())
    return rows, places


def _row(own: ChainFold, structure: Structure) -> int:
    return int(np.flatnonzero(structure.chains.name == own.chains[0])[0])
