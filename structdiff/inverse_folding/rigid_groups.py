"""Side chains as rigid pieces on rotatable bonds: from torsions to atoms and back.

The pieces are AlphaFold 2's (Jumper et al. 2021, Nature 596, 583, supplementary table 2): where each atom is, in
Å, in the frame of the group it moves with. Group 0 is the backbone (N, CA, C, CB), 3 the oxygen, 4 to 7 turn with chi1
to chi4. The order of the atoms is that of the published side-chain weights.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from structdiff.geometry.frames import RigidTransform
from structdiff.geometry.torsions import torsion
from structdiff.inverse_folding.alphabet import NUM_AMINO_ACIDS, residue_name

#: Atoms of the largest residue.
NUM_SLOTS = 14
#: The torsions that place the atoms: psi for the oxygen, then chi1 to chi4.
NUM_TORSIONS = 5
_FIRST_GROUP = 3

_PIECES = {
    "ALA": (
        "N 0 -0.525 1.363 0.000; CA 0 0.000 0.000 0.000; C 0 1.526 0.000 0.000; O 3 0.627 1.062 0.000; "
        "CB 0 -0.529 -0.774 -1.205"
    ),
    "ARG": (
        "N 0 -0.524 1.362 0.000; CA 0 0.000 0.000 0.000; C 0 1.525 0.000 0.000; O 3 0.626 1.062 0.000; "
        "CB 0 -0.524 -0.778 -1.209; CG 4 0.616 1.390 0.000; CD 5 0.564 1.414 0.000; NE 6 0.539 1.357 0.000; "
        "CZ 7 0.758 1.093 0.000; NH1 7 0.206 2.301 0.000; NH2 7 2.078 0.978 0.000"
    ),
    "ASN": (
        "N 0 -0.536 1.357 0.000; CA 0 0.000 0.000 0.000; C 0 1.526 0.000 0.000; O 3 0.625 1.062 0.000; "
        "CB 0 -0.531 -0.787 -1.200; CG 4 0.584 1.399 0.000; OD1 5 0.633 1.059 0.000; "
        "ND2 5 0.593 -1.188 0.001"
    ),
    "ASP": (
        "N 0 -0.525 1.362 0.000; CA 0 0.000 0.000 0.000; C 0 1.527 0.000 0.000; O 3 0.626 1.062 0.000; "
        "CB 0 -0.526 -0.778 -1.208; CG 4 0.593 1.398 0.000; OD1 5 0.610 1.091 0.000; "
        "OD2 5 0.592 -1.101 -0.003"
    ),
    "CYS": (
        "N 0 -0.522 1.362 0.000; CA 0 0.000 0.000 0.000; C 0 1.524 0.000 0.000; O 3 0.625 1.062 0.000; "
        "CB 0 -0.519 -0.773 -1.212; SG 4 0.728 1.653 0.000"
    ),
    "GLN": (
        "N 0 -0.526 1.361 0.000; CA 0 0.000 0.000 0.000; C 0 1.526 0.000 0.000; O 3 0.626 1.062 0.000; "
        "CB 0 -0.525 -0.779 -1.207; CG 4 0.615 1.393 0.000; CD 5 0.587 1.399 0.000; OE1 6 0.634 1.060 0.000; "
        "NE2 6 0.593 -1.189 -0.001"
    ),
    "GLU": (
        "N 0 -0.528 1.361 0.000; CA 0 0.000 0.000 0.000; C 0 1.526 0.000 0.000; O 3 0.626 1.062 0.000; "
        "CB 0 -0.526 -0.781 -1.207; CG 4 0.615 1.392 0.000; CD 5 0.600 1.397 0.000; OE1 6 0.607 1.095 0.000; "
        "OE2 6 0.589 -1.104 -0.001"
    ),
    "GLY": "N 0 -0.572 1.337 0.000; CA 0 0.000 0.000 0.000; C 0 1.517 0.000 0.000; O 3 0.626 1.062 0.000",
    "HIS": (
        "N 0 -0.527 1.360 0.000; CA 0 0.000 0.000 0.000; C 0 1.525 0.000 0.000; O 3 0.625 1.063 0.000; "
        "CB 0 -0.525 -0.778 -1.208; CG 4 0.600 1.370 0.000; ND1 5 0.744 1.160 0.000; "
        "CD2 5 0.889 -1.021 0.003; CE1 5 2.030 0.851 0.002; NE2 5 2.145 -0.466 0.004"
    ),
    "ILE": (
        "N 0 -0.493 1.373 0.000; CA 0 0.000 0.000 0.000; C 0 1.527 0.000 0.000; O 3 0.627 1.062 0.000; "
        "CB 0 -0.536 -0.793 -1.213; CG1 4 0.534 1.437 0.000; CG2 4 0.540 -0.785 -1.199; "
        "CD1 5 0.619 1.391 0.000"
    ),
    "LEU": (
        "N 0 -0.520 1.363 0.000; CA 0 0.000 0.000 0.000; C 0 1.525 0.000 0.000; O 3 0.625 1.063 0.000; "
        "CB 0 -0.522 -0.773 -1.214; CG 4 0.678 1.371 0.000; CD1 5 0.530 1.430 0.000; "
        "CD2 5 0.535 -0.774 1.200"
    ),
    "LYS": (
        "N 0 -0.526 1.362 0.000; CA 0 0.000 0.000 0.000; C 0 1.526 0.000 0.000; O 3 0.626 1.062 0.000; "
        "CB 0 -0.524 -0.778 -1.208; CG 4 0.619 1.390 0.000; CD 5 0.559 1.417 0.000; CE 6 0.560 1.416 0.000; "
        "NZ 7 0.554 1.387 0.000"
    ),
    "MET": (
        "N 0 -0.521 1.364 0.000; CA 0 0.000 0.000 0.000; C 0 1.525 0.000 0.000; O 3 0.625 1.062 0.000; "
        "CB 0 -0.523 -0.776 -1.210; CG 4 0.613 1.391 0.000; SD 5 0.703 1.695 0.000; CE 6 0.320 1.786 0.000"
    ),
    "PHE": (
        "N 0 -0.518 1.363 0.000; CA 0 0.000 0.000 0.000; C 0 1.524 0.000 0.000; O 3 0.626 1.062 0.000; "
        "CB 0 -0.525 -0.776 -1.212; CG 4 0.607 1.377 0.000; CD1 5 0.709 1.195 0.000; "
        "CD2 5 0.706 -1.196 0.000; CE1 5 2.102 1.198 0.000; CE2 5 2.098 -1.201 0.000; "
        "CZ 5 2.794 -0.003 -0.001"
    ),
    "PRO": (
        "N 0 -0.566 1.351 0.000; CA 0 0.000 0.000 0.000; C 0 1.527 0.000 0.000; O 3 0.621 1.066 0.000; "
        "CB 0 -0.546 -0.611 -1.293; CG 4 0.382 1.445 0.000; CD 5 0.477 1.424 0.000"
    ),
    "SER": (
        "N 0 -0.529 1.360 0.000; CA 0 0.000 0.000 0.000; C 0 1.525 0.000 0.000; O 3 0.626 1.062 0.000; "
        "CB 0 -0.518 -0.777 -1.211; OG 4 0.503 1.325 0.000"
    ),
    "THR": (
        "N 0 -0.517 1.364 0.000; CA 0 0.000 0.000 0.000; C 0 1.526 0.000 0.000; O 3 0.626 1.062 0.000; "
        "CB 0 -0.516 -0.793 -1.215; OG1 4 0.472 1.353 0.000; CG2 4 0.550 -0.718 -1.228"
    ),
    "TRP": (
        "N 0 -0.521 1.363 0.000; CA 0 0.000 0.000 0.000; C 0 1.525 0.000 0.000; O 3 0.627 1.062 0.000; "
        "CB 0 -0.523 -0.776 -1.212; CG 4 0.609 1.370 0.000; CD1 5 0.824 1.091 0.000; "
        "CD2 5 0.854 -1.148 -0.005; CE2 5 2.186 -0.678 -0.007; CE3 5 0.622 -2.530 -0.007; "
        "NE1 5 2.140 0.690 -0.004; CZ2 5 3.283 -1.543 -0.011; CZ3 5 1.715 -3.389 -0.011; "
        "CH2 5 3.028 -2.890 -0.013"
    ),
    "TYR": (
        "N 0 -0.522 1.362 0.000; CA 0 0.000 0.000 0.000; C 0 1.524 0.000 0.000; O 3 0.627 1.062 0.000; "
        "CB 0 -0.522 -0.776 -1.213; CG 4 0.607 1.382 0.000; CD1 5 0.716 1.195 0.000; "
        "CD2 5 0.713 -1.194 -0.001; CE1 5 2.107 1.200 -0.002; CE2 5 2.104 -1.201 -0.003; "
        "CZ 5 2.791 -0.001 -0.003; OH 5 4.168 -0.002 -0.005"
    ),
    "VAL": (
        "N 0 -0.494 1.373 0.000; CA 0 0.000 0.000 0.000; C 0 1.527 0.000 0.000; O 3 0.627 1.062 0.000; "
        "CB 0 -0.533 -0.795 -1.213; CG1 4 0.540 1.429 0.000; CG2 4 0.533 -0.776 1.203"
    ),
}

#: The four atoms of chi1 to chi4.
_CHI_ATOMS = {
    "ARG": ("N CA CB CG", "CA CB CG CD", "CB CG CD NE", "CG CD NE CZ"),
    "ASN": ("N CA CB CG", "CA CB CG OD1"),
    "ASP": ("N CA CB CG", "CA CB CG OD1"),
    "CYS": ("N CA CB SG",),
    "GLN": ("N CA CB CG", "CA CB CG CD", "CB CG CD OE1"),
    "GLU": ("N CA CB CG", "CA CB CG CD", "CB CG CD OE1"),
    "HIS": ("N CA CB CG", "CA CB CG ND1"),
    "ILE": ("N CA CB CG1", "CA CB CG1 CD1"),
    "LEU": ("N CA CB CG", "CA CB CG CD1"),
    "LYS": ("N CA CB CG", "CA CB CG CD", "CB CG CD CE", "CG CD CE NZ"),
    "MET": ("N CA CB CG", "CA CB CG SD", "CB CG SD CE"),
    "PHE": ("N CA CB CG", "CA CB CG CD1"),
    "PRO": ("N CA CB CG", "CA CB CG CD"),
    "SER": ("N CA CB OG",),
    "THR": ("N CA CB OG1",),
    "TRP": ("N CA CB CG", "CA CB CG CD1"),
    "TYR": ("N CA CB CG", "CA CB CG CD1"),
    "VAL": ("N CA CB CG1",),
}

_ATOMS = {name: [item.split() for item in text.split(";")] for name, text in _PIECES.items()}
#: The atoms of each residue in their slots.
SLOT_ATOMS = {name: tuple(item[0] for item in items) for name, items in _ATOMS.items()}


def _tables() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """By letter (X is empty): atom there, group, position in it; frames of the groups in those before them."""
    exists = torch.zeros(NUM_AMINO_ACIDS + 1, NUM_SLOTS, dtype=torch.bool)
    group = torch.zeros(NUM_AMINO_ACIDS + 1, NUM_SLOTS, dtype=torch.int64)
    positions = torch.zeros(NUM_AMINO_ACIDS + 1, NUM_SLOTS, 3, dtype=torch.float64)
    rotation = torch.eye(3, dtype=torch.float64).repeat(NUM_AMINO_ACIDS + 1, NUM_TORSIONS, 1, 1)
    translation = torch.zeros(NUM_AMINO_ACIDS + 1, NUM_TORSIONS, 3, dtype=torch.float64)
    for letter in range(NUM_AMINO_ACIDS):
        name = residue_name(letter)
        for slot, (_, number, *place) in enumerate(_ATOMS[name]):
            exists[letter, slot], group[letter, slot] = True, max(0, int(number) - _FIRST_GROUP + 1)
            positions[letter, slot] = torch.tensor([float(value) for value in place], dtype=torch.float64)
        at = {item[0]: positions[letter, slot] for slot, item in enumerate(_ATOMS[name])}
        rotation[letter, 0], translation[letter, 0] = _frame(at["C"] - at["CA"], at["CA"] - at["N"]), at["C"]
        for chi, atoms in enumerate(_CHI_ATOMS.get(name, ()), start=1):
            first, second, third, _ = atoms.split()
            # Axes of chi2 to chi4 begin at the origin of the group before.
            axis, aside = (at[third] - at[second], at[first] - at[second]) if chi == 1 else (at[third], -_X)
            rotation[letter, chi], translation[letter, chi] = _frame(axis, aside), at[third]
    return exists, group, positions.float(), rotation.float(), translation.float()


_X = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)


def _frame(axis: Tensor, aside: Tensor) -> Tensor:
    """A rotation whose first axis is one vector, and whose second lies in the plane of both."""
    x = axis / axis.norm()
    y = aside - x * (x @ aside)
    y = y / y.norm()
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


_EXISTS, _GROUP, _POSITIONS, _ROTATION, _TRANSLATION = _tables()


def atoms_exist(letters: Int[Tensor, "residue"]) -> Bool[Tensor, "residue slot"]:
    """Which slots hold an atom."""
    return _EXISTS.to(letters.device)[letters]


def place_atoms(
    frames: RigidTransform, letters: Int[Tensor, "residue"], torsions: Float[Tensor, "residue torsion"]
) -> Float[Tensor, "residue slot 3"]:
    """All heavy atoms of residues (Å) from their backbone frames and torsions (radian); zeros where there is none.

    AlphaFold 2, Algorithm 24.
    """
    device = letters.device
    turns = _turn(torch.cat([torsions[:, :1] + torch.pi, torsions[:, 1:]], dim=1))
    rotation = _ROTATION.to(device)[letters] @ turns
    translation = _TRANSLATION.to(device)[letters]
    groups = [frames]
    for number in range(NUM_TORSIONS):
        before = frames if number < 2 else groups[-1]
        here = RigidTransform(rotation=rotation[:, number], translation=translation[:, number])
        groups.append(before.compose(here))
    chosen = _GROUP.to(device)[letters]
    rows = torch.arange(len(letters), device=device)[:, None]
    stacked_rotation = torch.stack([each.rotation for each in groups], dim=1)[rows, chosen]
    stacked_translation = torch.stack([each.translation for each in groups], dim=1)[rows, chosen]
    positions = _POSITIONS.to(device)[letters]
    placed = torch.einsum("nsij,nsj->nsi", stacked_rotation, positions) + stacked_translation
    return placed * atoms_exist(letters)[..., None]


def measure_chis(
    letters: Int[Tensor, "residue"], positions: Float[Tensor, "residue slot 3"]
) -> Float[Tensor, "residue 4"]:
    """chi1 to chi4 (radian) of residues from their atoms in slots; 0 where there is no such torsion."""
    slots = _CHI_SLOTS.to(letters.device)[letters]
    rows = torch.arange(len(letters), device=letters.device)[:, None, None]
    a, b, c, d = positions[rows, slots.clamp(min=0)].unbind(-2)
    return torch.where(slots[..., 0] >= 0, torsion(a, b, c, d), 0.0)


def chis_exist(letters: Int[Tensor, "residue"]) -> Bool[Tensor, "residue 4"]:
    """Which of chi1 to chi4 a residue has."""
    return _CHI_SLOTS.to(letters.device)[letters][..., 0] >= 0


def _turn(angles: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotations about the first axis."""
    sine, cosine = angles.sin(), angles.cos()
    one, zero = torch.ones_like(angles), torch.zeros_like(angles)
    return torch.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], dim=-1).unflatten(-1, (3, 3))


def _chi_slots() -> Int[Tensor, "letter 4 4"]:
    slots = torch.full((NUM_AMINO_ACIDS + 1, 4, 4), -1)
    for letter in range(NUM_AMINO_ACIDS):
        name = residue_name(letter)
        for chi, atoms in enumerate(_CHI_ATOMS.get(name, ())):
            slots[letter, chi] = torch.tensor([SLOT_ATOMS[name].index(atom) for atom in atoms.split()])
    return slots


_CHI_SLOTS = _chi_slots()
