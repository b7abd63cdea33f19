"""Mean helices of natural base pairs: how a pair lies on the one before, and where sugar and phosphate are.

    python benchmarks/nucleic_helices.py DATA

DATA is a set made by ``structdiff prepare``. From the training split, over steps of two base pairs whose strands both
run on: the turn and shift from the frame of one pair to that of the next, and the places of the atoms of sugar and
phosphate in the frame of their own base; of RNA (A form) and of DNA in B form (slide over -1 Å, rise over 2.9). The
step is the median one. The atoms are those of one natural nucleotide, so that bonds and angles are whole: of the fifty
nearest to the medians of all, the one that best bonds to itself in the helix of such steps. Prints the tables of
``structdiff/chemistry/nucleic_helices.py``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from structdiff.chemistry.nucleic_helices import BASE_ATOMS
from structdiff.structure.base_pairs import base_letter, base_pairs
from structdiff.structure.tables import Structure
from structdiff.training.dataset import StructureSet

_FLIP = np.diag([1.0, -1.0, -1.0])
_SUGAR = ("P", "OP1", "OP2", "O5'", "C5'", "C4'", "O4'", "C3'", "O3'", "C2'", "O2'", "C1'")


def frame(structure: Structure, residue: int) -> tuple[np.ndarray, np.ndarray]:
    """Axes (columns) and origin of a base, from its ring laid on the standard one."""
    ideal = BASE_ATOMS[base_letter(str(structure.residues.name[residue]))]
    place = atoms(structure, residue)
    names = [name for name in ideal if name in place]
    x, y = np.array([ideal[name] for name in names]), np.array([place[name] for name in names])
    turn, _ = Rotation.align_vectors(y - y.mean(0), x - x.mean(0))
    return turn.as_matrix(), y.mean(0) - turn.apply(x.mean(0))


def atoms(structure: Structure, residue: int) -> dict[str, np.ndarray]:
    part = structure.residue_atoms(residue)
    table = structure.atoms
    return {
        str(table.name[row]): table.positions[row].astype(np.float64)
        for row in range(part.start, part.stop)
        if table.resolved[row]
    }


def pair_frame(structure: Structure, first: int, second: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the frames of two bases, that of the second turned over."""
    (one, here), (other, there) = frame(structure, first), frame(structure, second)
    return Rotation.from_matrix([one, other @ _FLIP]).mean().as_matrix(), (here + there) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    structures = StructureSet(parser.parse_args().data, "train")
    steps: dict[str, list] = {"A": [], "B": []}
    places: dict[str, list[dict[str, np.ndarray]]] = {form: [] for form in steps}
    for index in np.flatnonzero(structures.nucleic).tolist():
        structure = structures.structure(index)
        partner = {a: b for pair in base_pairs(structure).tolist() for a, b in (pair, pair[::-1])}
        chain = structure.residues.chain
        for i, j in partner.items():
            if partner.get(i + 1) != j - 1 or chain[i] != chain[i + 1] or chain[j] != chain[j - 1]:
                continue
            (turn, origin), (turn_2, origin_2) = pair_frame(structure, i, j), pair_frame(structure, i + 1, j - 1)
            relative = Rotation.from_matrix(turn.T @ turn_2)
            shift = turn.T @ (origin_2 - origin)
            rotation = relative.as_rotvec(degrees=True)
            if not 20 < np.linalg.norm(rotation) < 50 or rotation[2] < 0:
                continue
            middle = Rotation.from_rotvec(rotation / 2, degrees=True)
            own = middle.inv().apply(shift)  # in the frame half way, where the two strands say the same
            dna = str(structure.residues.name[i]) in ("DA", "DC", "DG", "DT")
            form = "B" if dna and own[1] > -1 and own[2] > 2.9 else "A" if not dna else ""
            if not form:
                continue
            steps[form].append(np.concatenate([rotation, own]))
            axes, at = frame(structure, i + 1)
            own_atoms = atoms(structure, i + 1)
            names = [name for name in _SUGAR if form == "A" or name != "O2'"]
            if set(names) <= own_atoms.keys():
                places[form].append({name: axes.T @ (own_atoms[name] - at) for name in names})
    for form, found in steps.items():
        middle = np.median(found, 0)
        middle[[0, 3]] = 0.0  # tilt and shift: a helix looks the same from both strands
        print(f"# {form}: {len(found)} steps; turn (degrees about x, y, z) and shift (Å) in the frame half way")
        print(np.round(middle, 3).tolist())
        for name, place in chosen(places[form], middle).items():
            print(f'    "{name}": {tuple(np.round(place, 3).tolist())},')


def chosen(found: list[dict[str, np.ndarray]], step: np.ndarray) -> dict[str, np.ndarray]:
    """The natural nucleotide that stands for all of its form."""
    table = np.array([list(each.values()) for each in found])
    far = np.sqrt((table - np.median(table, 0)) ** 2).sum((1, 2))
    nearest = np.argsort(far, kind="stable")[:50]
    return found[min(nearest.tolist(), key=lambda row: link_error(found[row], step))]


def link_error(place: dict[str, np.ndarray], step: np.ndarray) -> float:
    """How far (Å) the bond O3' to P and the distances across it are off, from one nucleotide to the next."""
    turn, half = (Rotation.from_rotvec(angle * step[:3], degrees=True) for angle in (1.0, 0.5))
    shift = half.apply(step[3:])
    wanted = {("O3'", "P"): 1.61, ("C3'", "P"): 2.60, ("O3'", "O5'"): 2.52, ("O3'", "OP1"): 2.52, ("O3'", "OP2"): 2.52}
    return sum(
        abs(float(np.linalg.norm(place[one] - shift - turn.apply(place[other]))) - length)
        for (one, other), length in wanted.items()
    )


if __name__ == "__main__":
    main()
