"""The graph of a backbone: who neighbours whom, and what the networks are told of each pair."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot, pad

from structdiff.geometry.virtual_cb import virtual_cb

#: Sequence separations are told apart up to this many residues.
_MAX_SEPARATION = 32
_NUM_SEPARATION_FEATURES = 16
NUM_RADIAL = 16
#: All features of all edges at once would need gigabytes.
_RESIDUES_AT_ONCE = 32
#: Which pairs of N, CA, C, O, CB have their distances told, in the order of the published weights.
_ATOM_PAIRS = (
    "CA-CA N-N C-C O-O CB-CB CA-N CA-C CA-O CA-CB N-C N-O N-CB CB-C CB-O O-C N-CA C-CA O-CA CB-CA C-N O-N CB-N C-CB "
    "O-CB C-O"
)
_ATOMS = ("N", "CA", "C", "O", "CB")
_PAIR_COLUMNS = torch.tensor(
    [5 * _ATOMS.index(first) + _ATOMS.index(second) for first, second in (p.split("-") for p in _ATOM_PAIRS.split())]
)
#: The same of the CA before, this CA and the CA after.
_CA_PAIR_COLUMNS = torch.tensor([4, 0, 8, 1, 2, 3, 5, 6, 7])


def with_virtual_cb(positions: Float[Tensor, "residue 4 3"]) -> Float[Tensor, "residue 5 3"]:
    """N, CA, C, O and a CB where an ideal alanine has it, in Å."""
    cb = virtual_cb(positions[:, 0], positions[:, 1], positions[:, 2])
    return torch.cat([positions, cb[:, None]], dim=1)


def nearest_neighbours(ca: Float[Tensor, "residue 3"], count: int) -> Int[Tensor, "residue neighbour"]:
    """Rows of the nearest residues by CA, itself first; fewer than count in a smaller protein."""
    distances = torch.cdist(ca, ca, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.topk(distances, min(count, len(ca)), dim=-1, largest=False).indices


def radial_features(
    distances: Float[Tensor, "*batch"], first: float = 2.0, last: float = 22.0
) -> Float[Tensor, "*batch radial"]:
    """A distance in Å as sixteen Gaussians whose centres lie between first and last."""
    centres = torch.linspace(first, last, NUM_RADIAL, device=distances.device)
    return torch.exp(-(((distances[..., None] - centres) / ((last - first) / NUM_RADIAL)) ** 2))


def smoothed_distance(difference: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch"]:
    """The length of a vector in Å, 0.001 for a vector of none."""
    return torch.sqrt((difference**2).sum(-1) + 1e-6)


class SeparationEmbedding(nn.Module):
    """How far two residues are apart along their chain, or that they are in different ones."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * _MAX_SEPARATION + 2, _NUM_SEPARATION_FEATURES)

    def forward(
        self,
        residue_index: Int[Tensor, "residue"],
        chain: Int[Tensor, "residue"],
        neighbours: Int[Tensor, "residue neighbour"],
    ) -> Float[Tensor, "residue neighbour c"]:
        """The features of each pair."""
        offset = residue_index[:, None] - residue_index[neighbours]
        clipped = (offset + _MAX_SEPARATION).clamp(0, 2 * _MAX_SEPARATION)
        same = chain[:, None] == chain[neighbours]
        return self.linear.weight.T[torch.where(same, clipped, 2 * _MAX_SEPARATION + 1)] + self.linear.bias


class BackboneEdges(nn.Module):
    """Distances between the backbone atoms of two residues and their place along the chain, as an edge.

    radial_range: Å; pair_columns: the order of the 25 pairs of atoms.
    """

    def __init__(
        self, width: int, *, radial_range: tuple[float, float] = (2.0, 22.0), pair_columns: Tensor = _PAIR_COLUMNS
    ) -> None:
        super().__init__()
        self.radial_range, self.pair_columns = radial_range, pair_columns
        self.separation = SeparationEmbedding()
        self.embedding = nn.Linear(_NUM_SEPARATION_FEATURES + 25 * NUM_RADIAL, width, bias=False)
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        atoms: Float[Tensor, "residue 5 3"],
        separation: Float[Tensor, "residue neighbour c"],
        neighbours: Int[Tensor, "residue neighbour"],
    ) -> Float[Tensor, "residue neighbour width"]:
        """The edges. atoms: N, CA, C, O, CB in Å."""
        columns = self.pair_columns.to(atoms.device)
        found = []
        for own, place, others in zip(
            *(x.split(_RESIDUES_AT_ONCE) for x in (atoms, separation, neighbours)), strict=True
        ):
            difference = own[:, None, :, None] - atoms[others][:, :, None]
            distances = smoothed_distance(difference).flatten(-2)[..., columns]
            radial = radial_features(distances, *self.radial_range).flatten(-2)
            found.append(self.norm(self.embedding(torch.cat([place, radial], dim=-1))))
        return torch.cat(found)


class AlphaCarbonEdges(nn.Module):
    """The edge of two residues of which only the CA atoms are known: distances and how the chains run there."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.separation = SeparationEmbedding()
        self.embedding = nn.Linear(_NUM_SEPARATION_FEATURES + 9 * NUM_RADIAL + 7, width, bias=False)
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        ca: Float[Tensor, "residue 3"],
        separation: Float[Tensor, "residue neighbour c"],
        neighbours: Int[Tensor, "residue neighbour"],
    ) -> Float[Tensor, "residue neighbour width"]:
        """The edges. ca: Å, in the order of the chain."""
        before, after = pad(ca[:-1], (0, 0, 1, 0)), pad(ca[1:], (0, 0, 0, 1))
        three = torch.stack([before, ca, after], dim=1)
        distances = smoothed_distance(three[:, None, :, None] - three[neighbours][:, :, None]).flatten(-2)
        radial = radial_features(distances[..., _CA_PAIR_COLUMNS.to(ca.device)]).flatten(-2)
        orientation = _relative_orientation(ca, neighbours)
        return self.norm(self.embedding(torch.cat([separation, radial, orientation], dim=-1)))


def _relative_orientation(
    ca: Float[Tensor, "residue 3"], neighbours: Int[Tensor, "residue neighbour"]
) -> Float[Tensor, "residue neighbour 7"]:
    """Direction to a neighbour in a residue's own frame, and the rotation between the frames as a quaternion."""
    frames = _chain_frames(ca)
    towards = (ca[neighbours] - ca[:, None])[..., None]
    direction = normalize((frames[:, None] @ towards)[..., 0], dim=-1)
    return torch.cat([direction, _quaternion(frames[:, None].transpose(-1, -2) @ frames[neighbours])], dim=-1)


def _chain_frames(ca: Float[Tensor, "residue 3"]) -> Float[Tensor, "residue 3 3"]:
    """A frame at each residue of the two steps before it; zeros at the ends, jumps of the chain are no steps."""
    if len(ca) < 4:
        return ca.new_zeros(len(ca), 3, 3)
    steps = ca[1:] - ca[:-1]
    lengths = torch.linalg.norm(steps, dim=-1, keepdim=True)
    steps = normalize(steps * ((lengths > 3.6) & (lengths < 4.0)), dim=-1)
    first, second = steps[:-2], steps[1:-1]
    normal = normalize(torch.linalg.cross(first, second), dim=-1)
    bisector = normalize(first - second, dim=-1)
    frames = torch.stack([bisector, normal, torch.linalg.cross(bisector, normal)], dim=1)
    return pad(frames, (0, 0, 0, 0, 1, 2))


def _quaternion(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """The quaternion (x, y, z, w) of a rotation, in the form the published weights were trained with.

    ``geometry.rotations`` has the sound one; this one takes the signs of x, y, z one by one and knows zero matrices.
    """
    xx, yy, zz = torch.diagonal(rotation, dim1=-2, dim2=-1).unbind(-1)
    squares = torch.stack([xx - yy - zz, yy - xx - zz, zz - xx - yy], dim=-1)
    signs = torch.sign(
        torch.stack([rotation[..., i, j] - rotation[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0))], dim=-1)
    )
    xyz = signs * 0.5 * torch.sqrt(torch.abs(1 + squares))
    w = torch.sqrt(torch.relu(1 + xx + yy + zz))[..., None] / 2
    return normalize(torch.cat([xyz, w], dim=-1), dim=-1)


def class_features(labels: Int[Tensor, "*batch"], count: int) -> Float[Tensor, "*batch c"]:
    """Numbers as one-hot vectors."""
    return one_hot(labels, count).float()
