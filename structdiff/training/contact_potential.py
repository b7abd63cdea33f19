"""Learns the potential of beads by which chains are docked (`structdiff.docking.contact_potential`).

    python -m structdiff.training.contact_potential DATA OUT.npz [--pairs 140 --epochs 10 --seed 5]

DATA is a set made by ``structdiff prepare``; its training split is what is learnt from. It begins with how often kinds
of beads are so far apart in complexes, over how often they are in poses that touch at random (a statistical potential).
Then of each pair of chains poses near to the truth and others are laid beside each other: those that the table at hand
likes best, and some at random. The table is changed until the near ones have the lower sums, and kept near to what it
was. All poses come from approaches, so that they touch as poses do that are docked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn.functional import softplus

from structdiff.docking.approaches import approaches, come_down, frame_of
from structdiff.docking.beads import BEAD_KINDS, Beads
from structdiff.docking.chain_search import rigid_landscape
from structdiff.docking.contact_potential import FARTHEST, KNOTS, STEP, pair_table, potential_maps
from structdiff.docking.rigid_poses import RigidPoses
from structdiff.errors import InputError
from structdiff.geometry.rotations import rotation_from_vector
from structdiff.geometry.superposition import superposition
from structdiff.structure.files import write_atomically
from structdiff.structure.tables import ChainKind, Structure
from structdiff.training.command import run_command
from structdiff.training.dataset import StructureSet
from structdiff.typing import Float, Int

_KINDS = len(BEAD_KINDS)
_FEWEST_RESIDUES, _NEAR, _FEWEST, _ENTWINED, _MOST_RESIDUES = 20, 8.0, 20, 1.2, 450  # Å; pairs of CA atoms; of both
_MOST_OF_ENTRY = 600  # residues
_RANDOM = (20, 5)  # directions and turns of poses that are counted
_KNOWN = 5.0  # times that a pair of kinds is taken to have been seen as all are
_DECOYS = (100, 100)  # directions and turns of poses that others are taken from
_BEST, _OTHERS, _CLOSE = 300, 150, 60  # of these the best and some at random; poses near to the truth
_DIRECTIONS_NEAR, _TURNS_NEAR = 40, 12  # about the true pose
_RIGHT, _WRONG = 7.0, 12.0  # Å from the truth
_AT_ONCE = 4096  # poses that are looked at together
_SCALE, _KEPT, _SMOOTH = 0.2, 0.001, 0.003  # of the table; weights of its change, and of steps in that
_RATE, _BATCH, _SHARE = 0.02, 4, 0.25  # of near poses, the best of which are to be better than others


@dataclass(frozen=True, kw_only=True, eq=False)
class TouchingPair:
    """Beads of two chains that touch."""

    name: str
    still: Beads
    body: Beads


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """Poses of one pair: of each the entries of the table that it sums (``count`` in a row).

    near: how many come first that are near to the truth. weight: how many poses each of the others stands for.
    """

    entry: Int[Tensor, " pair"]
    count: Int[Tensor, " pose"]
    near: int
    weight: Float[Tensor, " other"]


def touching_pairs(structure: Structure) -> Iterator[TouchingPair]:
    """Every two protein chains of a structure that touch and are bodies by themselves, the larger first."""
    trace = (structure.atoms.name == "CA") & structure.atoms.resolved
    trees = {
        row: KDTree(structure.atoms.positions[trace & (structure.atom_chain == row)])
        for row in np.flatnonzero(structure.chains.kind == ChainKind.PROTEIN).tolist()
    }
    for one, tree in trees.items():
        for other, second in trees.items():
            sizes = (tree.n, second.n)
            if one >= other or min(sizes) < _FEWEST_RESIDUES or sum(sizes) > _MOST_RESIDUES:
                continue
            if _FEWEST <= tree.count_neighbors(second, _NEAR) <= _ENTWINED * min(sizes):
                still, body = (one, other) if sizes[0] >= sizes[1] else (other, one)
                yield TouchingPair(name=structure.name, still=_beads(structure, still), body=_beads(structure, body))


def _beads(structure: Structure, chain: int) -> Beads:
    return Beads.of(structure, (structure.atom_chain == chain) & structure.atoms.resolved)


def _entries(pair: TouchingPair, positions: Float[Tensor, "pose bead 3"]) -> tuple[Tensor, Tensor]:
    """Of each pose the entries of the table that its pairs of beads have (pose after pose), and how many."""
    kinds = torch.from_numpy(pair.still.kind)[:, None] * _KINDS + torch.from_numpy(pair.body.kind)
    entries, counts = [], []
    for some in positions.split(64):
        distance = torch.cdist(torch.from_numpy(pair.still.positions).expand(len(some), -1, -1), some)
        near = distance < FARTHEST - STEP / 2
        entries.append((kinds * KNOTS + (distance / STEP).round().long())[near].to(torch.int16))
        counts.append(near.flatten(1).sum(1))
    return torch.cat(entries), torch.cat(counts)


def _centred(pair: TouchingPair) -> tuple[Tensor, Tensor, Tensor]:
    """Beads of the body about their middle (Å), that middle, and beads of the other."""
    own = torch.from_numpy(pair.body.positions)
    return own - own.mean(0), own.mean(0), torch.from_numpy(pair.still.positions)


def statistical_potential(
    pairs: Sequence[TouchingPair], generator: torch.Generator
) -> Float[np.ndarray, "kind kind knot"]:
    """Minus the logarithm of how often kinds are so far apart, over how often they are in random poses that touch."""
    seen, chance = (torch.zeros(_KINDS * _KINDS * KNOTS) for _ in range(2))
    contacts = round(8.0 / STEP)
    for pair in pairs:
        own, _, still = _centred(pair)
        true, _ = _entries(pair, torch.from_numpy(pair.body.positions)[None])
        drawn, _ = _entries(pair, approaches(still, own, *_RANDOM, generator).placed(own))
        here, there = (torch.bincount(each.long(), minlength=len(seen)).float() for each in (true, drawn))
        touching, others = (each.view(-1, KNOTS)[:, :contacts].sum() for each in (here, there))
        weight = 1 / max(float(touching), 1.0) ** 0.5
        seen += weight * here
        chance += weight * float(touching) / max(float(others), 1.0) * there
    seen, chance = (each.view(_KINDS, _KINDS, KNOTS) for each in (seen, chance))
    seen, chance = seen + seen.transpose(0, 1), chance + chance.transpose(0, 1)
    usual = (seen.sum((0, 1)) + 20) / (chance.sum((0, 1)) + 20)
    ratio = -((seen + _KNOWN * usual) / (chance + _KNOWN)).log()
    return (_SCALE * ratio.clamp(-1.5, 4.0)).numpy()


def _truths(pair: TouchingPair) -> list[RigidPoses]:
    """Right poses of the body: where it is, and of equal chains the one in which the pair is named the other way."""
    own, middle, still = _centred(pair)
    body = own + middle
    found = [RigidPoses(turn=torch.eye(3)[None], middle=middle[None])]
    if len(still) == len(own) and (pair.still.kind == pair.body.kind).all():
        found.append(RigidPoses.of(own, superposition(body, still).apply(still)[None]))
    return found


def examples_of(
    pair: TouchingPair, table: Float[np.ndarray, "kind kind knot"], generator: torch.Generator
) -> Examples | None:
    """Poses of a pair to learn from; None where hardly any that touch are near to the truth."""
    own, middle, still = _centred(pair)
    truths = RigidPoses.joined(*_truths(pair)).coordinates(own)

    def off(poses: RigidPoses) -> Tensor:
        return torch.cdist(poses.coordinates(own), truths).amin(1)

    near = _near_poses(still, own, middle, generator)
    near = near[(off(near) < _RIGHT).nonzero().flatten()[:_CLOSE]]
    far = approaches(still, own, *_DECOYS, generator)
    far = far[off(far) > _WRONG]
    if len(near) < 5 or len(far) <= _BEST + _OTHERS:
        return None
    landscape = rigid_landscape(potential_maps(pair.still, table), pair.body.kind)
    values = torch.cat([landscape(some)[0] for some in far.placed(own).split(_AT_ONCE)])
    order = values.argsort(stable=True)
    others = order[_BEST:][torch.randperm(len(far) - _BEST, generator=generator)[:_OTHERS]]
    chosen = far[torch.cat([order[:_BEST], others])]
    entry, count = _entries(pair, torch.cat([near.placed(own), chosen.placed(own)]))
    weight = torch.ones(len(chosen))
    weight[_BEST:] = (len(far) - _BEST) / _OTHERS
    return Examples(entry=entry, count=count, near=len(near), weight=weight)


def _near_poses(
    still: Float[Tensor, "bead 3"], own: Float[Tensor, "own_bead 3"], middle: Float[Tensor, " 3"],
    generator: torch.Generator,
) -> RigidPoses:  # fmt: skip
    """Poses that touch and are turned a little from the true one, from directions about where it is."""
    way = middle - still.mean(0)
    found = []
    for _ in range(_DIRECTIONS_NEAR):
        direction = way / way.norm().clamp(min=1e-3) + 0.2 * torch.randn(3, generator=generator)
        direction = direction / direction.norm()
        turns = rotation_from_vector(0.22 * torch.randn(_TURNS_NEAR, 3, generator=generator))
        aside = (frame_of(direction) @ way)[:2] + 2.0 * torch.randn(_TURNS_NEAR, 2, generator=generator)
        found.append(come_down(still, own, direction, turns, aside))
    return RigidPoses.joined(*found)


def learnt_table(
    examples: Sequence[Examples], begun: Float[np.ndarray, "kind kind knot"], epochs: int, seed: int = 0
) -> Float[np.ndarray, "kind kind knot"]:
    """A table by which the best near poses have lower sums than the others, near to the one that it began with."""
    first = torch.from_numpy(begun).float()
    table = torch.nn.Parameter(first.clone())
    optimiser = torch.optim.Adam([table], lr=_RATE * _SCALE)
    order = np.random.default_rng(seed)
    for epoch in range(epochs):
        for group in optimiser.param_groups:
            group["lr"] = _SCALE * (_RATE * (1 - epoch / epochs) + 0.001)
        rows, total = order.permutation(len(examples)), 0.0
        for start in range(0, len(rows), _BATCH):
            chosen = [examples[row] for row in rows[start : start + _BATCH].tolist()]
            loss = torch.stack([_loss(table, each) for each in chosen]).mean()
            change = (table - first) / _SCALE
            kept = _KEPT * change.square().sum() + _SMOOTH * change.diff(dim=-1).square().sum()
            optimiser.zero_grad()
            (loss + kept).backward()
            optimiser.step()
            total += float(loss.detach()) * len(chosen)
        print(f"epoch {epoch + 1} of {epochs}: loss {total / len(examples):.3f}", file=sys.stderr)
    return pair_table(table).detach().numpy()


def _loss(table: Tensor, own: Examples) -> Tensor:
    """How little surely a near pose is told from all others, of those near poses that are told best."""
    pose = torch.repeat_interleave(torch.arange(len(own.count)), own.count)
    sums = torch.zeros(len(own.count)).index_add(0, pose, pair_table(table).flatten()[own.entry.long()])
    near = (-sums[: own.near]).topk(max(int(_SHARE * own.near), 1)).values
    others = torch.logsumexp(own.weight.log() - sums[own.near :], 0)
    return softplus(others - near).mean()


def write_table(table: Float[np.ndarray, "kind kind knot"], out: Path) -> None:
    """Writes a table as the docking reads it."""
    file = BytesIO()
    np.savez_compressed(file, table=table.astype(np.float16), kinds=np.array(BEAD_KINDS))
    write_atomically(out, file.getvalue())


def learn(arguments: argparse.Namespace) -> str:
    """Everything from the set of structures to the table; says what came of it."""
    for name in ("pairs", "epochs"):
        if getattr(arguments, name) < 1:
            raise InputError("is too small", key=f"--{name}", found=getattr(arguments, name), allowed="1 and more")
    if not arguments.out.parent.is_dir():
        raise InputError("there is no such folder to write to", path=arguments.out.parent)
    structures = StructureSet(arguments.data, "train")
    fit = (structures.atoms_kind == "all") & ~structures.nucleic & ~structures.antibody
    generator, found = torch.Generator().manual_seed(arguments.seed), []
    for number in np.flatnonzero(fit & (structures.num_residues <= _MOST_OF_ENTRY)).tolist():
        found.append(list(touching_pairs(structures.structure(number))))
    pairs = [pair for own in found for pair in own]
    begun = statistical_potential(pairs, generator)
    print(f"{len(pairs)} pairs of chains", file=sys.stderr)
    examples: list[Examples] = []
    for number in np.random.default_rng(arguments.seed).permutation(len(found)).tolist():
        own = examples_of(found[number][0], begun, generator) if found[number] else None
        if own is not None:
            examples.append(own)
            print(f"{len(examples)} of {arguments.pairs}: {found[number][0].name}", file=sys.stderr)
        if len(examples) == arguments.pairs:
            break
    if not examples:
        raise InputError("no pair of chains to learn from in the training split", path=arguments.data)
    write_table(learnt_table(examples, begun, arguments.epochs), arguments.out)
    return f"{arguments.out}: learnt from {len(examples)} pairs of chains, begun with {len(pairs)}"


def main(given: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pairs", type=int, default=140, help="pairs of chains that the table is changed by")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args(given)
    return run_command(lambda: learn(arguments), again="the same command begins anew")


if __name__ == "__main__":
    sys.exit(main())
