"""Helices of base pairs as they are in the mean: A form (RNA, hybrids) and B form (DNA)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

Form = Literal["A", "B"]
Place = tuple[float, float, float]

#: Atoms of each base in its standard reference frame (Å): Olson et al., J. Mol. Biol. 313, 229 (2001), table 1. The
#: pair's partner has the same frame turned over about x.
BASE_ATOMS: Mapping[str, Mapping[str, Place]] = {
    "A": {
        "N9": (-1.291, 4.498, 0.0), "C8": (0.024, 4.897, 0.0), "N7": (0.877, 3.902, 0.0), "C5": (0.071, 2.771, 0.0),
        "C6": (0.369, 1.398, 0.0), "N6": (1.611, 0.909, 0.0), "N1": (-0.668, 0.532, 0.0), "C2": (-1.912, 1.023, 0.0),
        "N3": (-2.320, 2.290, 0.0), "C4": (-1.267, 3.124, 0.0),
    },
    "G": {
        "N9": (-1.289, 4.551, 0.0), "C8": (0.023, 4.962, 0.0), "N7": (0.870, 3.969, 0.0), "C5": (0.071, 2.833, 0.0),
        "C6": (0.424, 1.460, 0.0), "O6": (1.554, 0.955, 0.0), "N1": (-0.700, 0.641, 0.0), "C2": (-1.999, 1.087, 0.0),
        "N2": (-2.949, 0.139, 0.0), "N3": (-2.342, 2.364, 0.0), "C4": (-1.265, 3.177, 0.0),
    },
    "T": {
        "N1": (-1.284, 4.500, 0.0), "C2": (-1.462, 3.135, 0.0), "O2": (-2.562, 2.608, 0.0), "N3": (-0.298, 2.407, 0.0),
        "C4": (0.994, 2.897, 0.0), "O4": (1.944, 2.119, 0.0), "C5": (1.106, 4.338, 0.0), "C7": (2.466, 4.961, 0.0),
        "C6": (-0.024, 5.057, 0.0),
    },
    "U": {
        "N1": (-1.284, 4.500, 0.0), "C2": (-1.462, 3.131, 0.0), "O2": (-2.563, 2.608, 0.0), "N3": (-0.302, 2.397, 0.0),
        "C4": (0.989, 2.884, 0.0), "O4": (1.935, 2.094, 0.0), "C5": (1.089, 4.311, 0.0), "C6": (-0.024, 5.053, 0.0),
    },
    "C": {
        "N1": (-1.285, 4.542, 0.0), "C2": (-1.472, 3.158, 0.0), "O2": (-2.628, 2.709, 0.0), "N3": (-0.391, 2.344, 0.0),
        "C4": (0.837, 2.868, 0.0), "N4": (1.875, 2.027, 0.0), "C5": (1.056, 4.275, 0.0), "C6": (-0.023, 5.068, 0.0),
    },
}  # fmt: skip

#: Sugar and phosphate in the frame of their base (Å), and the step from one pair to the next: its turn (degrees about
#: x, y, z) and shift (Å) in the frame half way. Of 1057 and 902 natural steps, `benchmarks/nucleic_helices.py`.
_BACKBONE: Mapping[Form, Mapping[str, Place]] = {
    "A": {
        "P": (1.137, 9.211, 1.034), "OP1": (0.93, 10.473, 1.791), "OP2": (2.326, 8.368, 1.328),
        "O5'": (-0.17, 8.299, 1.163), "C5'": (-1.452, 8.777, 0.744), "C4'": (-2.463, 7.653, 0.687),
        "O4'": (-2.144, 6.733, -0.384), "C3'": (-2.5, 6.757, 1.916), "O3'": (-3.253, 7.347, 2.961),
        "C2'": (-3.141, 5.485, 1.373), "O2'": (-4.555, 5.552, 1.248), "C1'": (-2.484, 5.408, -0.006),
    },
    "B": {
        "P": (-0.094, 9.626, -1.624), "OP1": (-0.939, 10.783, -1.981), "OP2": (1.068, 9.783, -0.739),
        "O5'": (-1.052, 8.486, -1.077), "C5'": (-2.104, 8.096, -1.958), "C4'": (-3.144, 7.198, -1.319),
        "O4'": (-2.712, 5.844, -1.345), "C3'": (-3.371, 7.561, 0.134), "O3'": (-4.741, 7.345, 0.472),
        "C2'": (-2.417, 6.609, 0.864), "C1'": (-2.523, 5.358, -0.017),
    },
}  # fmt: skip
_STEP: Mapping[Form, tuple[Place, Place]] = {
    "A": ((0.0, 7.005, 30.977), (0.0, -1.662, 3.225)),
    "B": ((0.0, 3.374, 33.883), (0.0, -0.17, 3.3)),
}
_TURNED_OVER = np.array([1.0, -1.0, -1.0])


def helix_axis(form: Form, steps: int) -> np.ndarray:
    """Both ends of the axis (Å) of a helix that begins with step 0 and ends with so many further ones."""
    turn, shift = (np.array(each) for each in _STEP[form])
    move = Rotation.from_rotvec(turn / 2, degrees=True).apply(shift)
    along = turn / np.linalg.norm(turn)
    # What the turn leaves where it is but for the way along: (1 - R) x = move across the axis.
    turned = np.eye(3) - Rotation.from_rotvec(turn, degrees=True).as_matrix()
    point = np.linalg.lstsq(turned, move - (move @ along) * along, rcond=None)[0]
    point -= (point @ along) * along
    return np.stack([point, point + steps * (move @ along) * along])


def helix(
    first: Sequence[str], second: Sequence[str], form: Form, *, steps: Sequence[int] | None = None
) -> tuple[list[dict[str, np.ndarray]], list[dict[str, np.ndarray]]]:
    """Places (Å) of the atoms of two strands of bases, ``first[i]`` paired with ``second[i]`` (A, C, G, T or U).

    The first strand runs on from 5' to 3', the second back. steps: where each pair stands, by default 0, 1, 2 and so
    on; between pairs that are several steps apart there is room for others. Every nucleotide has the atoms of ribose
    (O2' in A form alone) and of a phosphate; what a nucleotide does not have is to be left out.
    """
    turn, shift = _STEP[form]
    whole, half = (Rotation.from_rotvec(np.array(turn) * share, degrees=True) for share in (1.0, 0.5))
    axes, origin, here = Rotation.identity(), np.zeros(3), 0
    strands: tuple[list, list] = ([], [])
    for pair, step in zip(zip(first, second, strict=True), steps or range(len(first)), strict=True):
        for _ in range(step - here):
            origin = origin + axes.apply(half.apply(shift))
            axes = axes * whole
        here = step
        for strand, base, sides in zip(strands, pair, (np.ones(3), _TURNED_OVER), strict=True):
            places = {**_BACKBONE[form], **BASE_ATOMS[base]}
            strand.append({name: axes.apply(np.array(place) * sides) + origin for name, place in places.items()})
    return strands
