"""Fold plans from a training set: what `structdiff.spec.fold_plans` draws from.

python -m structdiff.training.fold_plans DATA structdiff/spec/data/fold_plans.json.gz
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from structdiff.errors import InputError
from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.descriptors import radius_of_gyration_score
from structdiff.evaluation.fold import block_pairs
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.spec.fold import blocks_of
from structdiff.spec.fold_plans import FoldPlan
from structdiff.structure.files import write_atomically
from structdiff.structure.tables import Structure
from structdiff.training.command import run_command
from structdiff.training.dataset import StructureSet

#: Residues of a chain, of a helix, of a strand.
_SHORTEST, _LONGEST = 30, 200
_SHORTEST_HELIX, _SHORTEST_STRAND = 5, 3
#: Loops at the ends are cut to this length; a plan with a longer loop inside is left out.
_LONGEST_END, _LONGEST_LOOP = 5, 14
#: Rg at most this far from what is usual for the length, in standard deviations; loops at most this share.
_COMPACT, _MOST_LOOP = 1.5, 0.5


def natural_plans(structures: StructureSet) -> Iterator[FoldPlan]:
    """A plan for each usable chain, of entries as drawn: about one of each cluster, no antibodies, equal plans once."""
    seen: set[tuple] = set()
    rng = np.random.default_rng(0)
    for index, name in enumerate(structures.names):
        drawn = rng.random() < 1 / structures.cluster[index]
        if structures.antibody[index] or not drawn or structures.num_residues[index] > 4 * _LONGEST:
            continue
        for chain, backbone in _chains(structures.structure(index)):
            plan = plan_of(backbone, origin=f"{name}_{chain}")
            if plan is not None and (key := (plan.letters, plan.adjacent)) not in seen:
                seen.add(key)
                yield plan


def _chains(structure: Structure) -> Iterator[tuple[str, Backbone]]:
    """The first chain of each protein sequence, of a length to learn from."""
    whole = Backbone.from_structure(structure)
    known = set()
    for chain in np.unique(whole.chain):
        rows = whole.chain == chain
        entity = int(structure.chains.entity_id[chain])
        if _SHORTEST <= int(rows.sum()) <= _LONGEST and entity not in known:
            known.add(entity)
            yield (
                str(structure.chains.name[chain]),
                Backbone.from_arrays(
                    whole.positions[rows], residue_index=whole.residue_index[rows], restype=whole.restype[rows]
                ),
            )


def plan_of(backbone: Backbone, *, origin: str = "") -> FoldPlan | None:
    """The plan of a chain: its helices and strands, and which of them lie side by side.

    None for a chain with gaps or long loops, one that is not compact, one with a strand that pairs with none, and one
    whose strands pair otherwise than a plan can say (those with one block between them run the same way).
    """
    if not backbone.complete.all() or not backbone.bonded[1:].all() or len(backbone) < _SHORTEST:
        return None
    letters = _tidy("".join(secondary_structure(backbone)))
    blocks = blocks_of(letters)
    inside = letters.strip("L")
    if len(blocks) < 2 or "L" * (_LONGEST_LOOP + 1) in inside or inside.count("L") > _MOST_LOOP * len(inside):
        return None
    if abs(radius_of_gyration_score(backbone)) > _COMPACT:
        return None
    pairs = block_pairs(backbone, blocks)
    if any(high - low == 2 for low, high in pairs.antiparallel):
        return None
    strands = {number for number, block in enumerate(blocks, start=1) if block.letter == "E"}
    paired = {number for pair in pairs.adjacent if strands.issuperset(pair) for number in pair}
    start, stop = max(0, blocks[0].start - _LONGEST_END), blocks[-1].stop + _LONGEST_END
    if strands != paired:
        return None
    alphas = backbone.positions[start:stop, CA]
    size = float(np.sqrt(np.square(alphas - alphas.mean(0)).sum(-1).mean()))
    return FoldPlan(
        letters=letters[start:stop],
        adjacent=pairs.adjacent,
        parallel=pairs.parallel,
        radius_of_gyration=round(size, 1),
        origin=origin,
    )


def _tidy(letters: str) -> str:
    """Helices and strands too short to plan become loop."""
    for letter, shortest in (("H", _SHORTEST_HELIX), ("E", _SHORTEST_STRAND)):
        letters = re.sub(rf"(?<!{letter}){letter}{{1,{shortest - 1}}}(?!{letter})", lambda m: "L" * len(m[0]), letters)
    return letters


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the training split and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder made by structdiff prepare")
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args(arguments)

    def run() -> str:
        found = natural_plans(StructureSet(chosen.data, "train"))
        plans = sorted(found, key=lambda plan: (len(plan.letters), plan.origin))
        if not plans:
            raise InputError("no chain of the training split makes a plan", path=chosen.data)
        rows = [plan.to_row() for plan in plans]
        write_atomically(chosen.out, gzip.compress(json.dumps(rows, separators=(",", ":")).encode(), mtime=0))
        return f"{chosen.out}: {len(rows)} fold plans of {len(plans[0].letters)} to {len(plans[-1].letters)} residues"

    return run_command(run, again="nothing was written")


if __name__ == "__main__":
    sys.exit(main())
