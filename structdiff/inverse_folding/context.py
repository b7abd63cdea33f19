"""The atoms around a residue that are no backbone: ligands, ions, nucleic acids, and side chains that are given."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from structdiff.inverse_folding.graph import NUM_RADIAL, class_features, radial_features, smoothed_distance
from structdiff.inverse_folding.layers import Layers, NodeUpdate

#: Classes of elements, groups and periods, 0 being none.
NUM_ELEMENTS, _NUM_GROUPS, _NUM_PERIODS = 120, 19, 8
_PERIOD_SIZES = (2, 8, 8, 18, 18, 32, 32)
#: Given side chains are looked for among this many nearest residues.
_NEAREST_RESIDUES = 16
_TYPE_CHANNELS = 64
_NUM_LAYERS = 2
#: Each residue's surroundings are its own; all at once, and all distances to the atoms of a ribosome, need gigabytes.
_RESIDUES_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class NearbyAtoms:
    """The atoms nearest to each residue, by its CB; element 0 and mask 0 where there is none."""

    positions: Float[Tensor, "residue atom 3"]
    elements: Int[Tensor, "residue atom"]
    mask: Float[Tensor, "residue atom"]


def nearby_atoms(
    cb: Float[Tensor, "residue 3"], positions: Float[Tensor, "n 3"], elements: Int[Tensor, "n"], count: int
) -> NearbyAtoms:
    """The count atoms that are nearest to each CB; fewer where there are fewer."""
    every = NearbyAtoms(
        positions=positions.expand(len(cb), -1, -1),
        elements=elements.expand(len(cb), -1),
        mask=torch.ones(1, 1, device=cb.device).expand(len(cb), len(positions)),
    )
    return _nearest(cb, every, count)


def with_side_chains(
    near: NearbyAtoms,
    cb: Float[Tensor, "residue 3"],
    positions: Float[Tensor, "residue slot 3"],
    elements: Int[Tensor, "residue slot"],
    given: Bool[Tensor, "residue"],
    neighbours: Int[Tensor, "residue neighbour"],
    count: int,
) -> NearbyAtoms:
    """The same with the side chains of given residues among the atoms; positions and elements are all side chains'."""
    close = neighbours[:, :_NEAREST_RESIDUES]
    mask = ((elements > 0) & given[:, None]).float()
    every = NearbyAtoms(
        positions=torch.cat([positions[close].flatten(1, 2), near.positions], dim=1),
        elements=torch.cat([elements[close].flatten(1, 2), near.elements], dim=1),
        mask=torch.cat([mask[close].flatten(1, 2), near.mask], dim=1),
    )
    return _nearest(cb, every, count)


def _nearest(cb: Float[Tensor, "residue 3"], atoms: NearbyAtoms, count: int) -> NearbyAtoms:
    parts = (each.split(_RESIDUES_AT_ONCE) for each in (cb, atoms.positions, atoms.elements, atoms.mask))
    found = [
        _nearest_of_some(own, NearbyAtoms(positions=positions, elements=elements, mask=mask), count)
        for own, positions, elements, mask in zip(*parts, strict=True)
    ]
    return NearbyAtoms(
        positions=torch.cat([each.positions for each in found]),
        elements=torch.cat([each.elements for each in found]),
        mask=torch.cat([each.mask for each in found]),
    )


def _nearest_of_some(cb: Float[Tensor, "residue 3"], atoms: NearbyAtoms, count: int) -> NearbyAtoms:
    distances = (cb[:, None] - atoms.positions).square().sum(-1)
    distances = torch.where(atoms.mask > 0, distances, torch.inf)
    rows = torch.topk(distances, min(count, distances.shape[1]), dim=-1, largest=False).indices
    mask = torch.gather(atoms.mask, 1, rows)
    elements = torch.gather(atoms.elements, 1, rows) * (mask > 0)
    positions = torch.gather(atoms.positions, 1, rows[..., None].expand(-1, -1, 3)) * mask[..., None]
    return NearbyAtoms(positions=positions, elements=elements, mask=mask)


def _groups_and_periods() -> tuple[Tensor, Tensor]:
    """Group and period of each atomic number; 0 for number 0. Lanthanides and actinides are group 3."""
    groups, periods = [0], [0]
    for period, size in enumerate(_PERIOD_SIZES, start=1):
        for place in range(size):
            from_end = size - place
            group = place + 1 if place < 2 else max(3, 19 - from_end)
            groups.append(18 if size == 2 and place == 1 else group)
            periods.append(period)
    fill = [0] * (NUM_ELEMENTS - len(groups))
    return torch.tensor(groups + fill), torch.tensor(periods + fill)


_GROUPS, _PERIODS = _groups_and_periods()


class ContextEncoder(nn.Module):
    """What the atoms around a residue tell it (LigandMPNN, Dauparas et al. 2025, Nature Methods 22, 717).

    The atoms first learn of each other, then the residue of them.
    """

    def __init__(self, width: int, *, radial_range: tuple[float, float] = (2.0, 22.0)) -> None:
        super().__init__()
        self.radial_range = radial_range
        num_types = NUM_ELEMENTS + _NUM_GROUPS + _NUM_PERIODS
        self.type_embedding = nn.Linear(num_types, _TYPE_CHANNELS)
        self.pair_embedding = nn.Linear(5 * NUM_RADIAL + _TYPE_CHANNELS + 4, width)
        self.pair_norm = nn.LayerNorm(width)
        self.atom_embedding = nn.Linear(num_types, width, bias=False)
        self.atom_norm = nn.LayerNorm(width)
        self.bond_embedding = nn.Linear(NUM_RADIAL, width, bias=False)
        self.bond_norm = nn.LayerNorm(width)
        self.to_pairs = nn.Linear(width, width)
        self.to_context = nn.Linear(width, width)
        self.to_atoms = nn.Linear(width, width)
        self.to_bonds = nn.Linear(width, width)
        self.residue_layers = Layers(NodeUpdate(width, 3) for _ in range(_NUM_LAYERS))
        self.atom_layers = Layers(NodeUpdate(width, 2) for _ in range(_NUM_LAYERS))
        self.out = nn.Linear(width, width, bias=False)
        self.out_norm = nn.LayerNorm(width)

    def forward(
        self, nodes: Float[Tensor, "residue c"], atoms: Float[Tensor, "residue 5 3"], near: NearbyAtoms
    ) -> Float[Tensor, "residue c"]:
        """The residues with what they have learnt. atoms: N, CA, C, O, CB in Å."""
        parts = (each.split(_RESIDUES_AT_ONCE) for each in (nodes, atoms, near.positions, near.elements, near.mask))
        return torch.cat(
            [
                self._learnt(some, where, NearbyAtoms(positions=positions, elements=elements, mask=mask))
                for some, where, positions, elements, mask in zip(*parts, strict=True)
            ]
        )

    def _learnt(
        self, nodes: Float[Tensor, "residue c"], atoms: Float[Tensor, "residue 5 3"], near: NearbyAtoms
    ) -> Float[Tensor, "residue c"]:
        types = self._types(near.elements)
        pairs = self.to_pairs(self.pair_norm(self._pair_features(atoms, near, types)))
        between = smoothed_distance(near.positions[:, :, None] - near.positions[:, None])
        bonds = self.to_bonds(self.bond_norm(self.bond_embedding(radial_features(between, *self.radial_range))))
        around = self.to_atoms(self.atom_norm(linear(types, self.atom_embedding.weight)))
        context, mask = self.to_context(nodes), near.mask
        both = mask[:, :, None] * mask[:, None, :]
        for residue_layer, atom_layer in zip(self.residue_layers, self.atom_layers, strict=True):
            around = atom_layer(around, atom_layer.message.part(1, bonds), both) * mask[..., None]
            message = residue_layer.message
            context = residue_layer(context, message.part(1, pairs) + message.part(2, around), mask)
        return nodes + self.out_norm(self.out(context))

    def _types(self, elements: Int[Tensor, "residue atom"]) -> Float[Tensor, "residue atom c"]:
        groups, periods = _GROUPS.to(elements.device)[elements], _PERIODS.to(elements.device)[elements]
        parts = ((elements, NUM_ELEMENTS), (groups, _NUM_GROUPS), (periods, _NUM_PERIODS))
        return torch.cat([class_features(values, count) for values, count in parts], dim=-1)

    def _pair_features(
        self, atoms: Float[Tensor, "residue 5 3"], near: NearbyAtoms, types: Float[Tensor, "residue atom c"]
    ) -> Float[Tensor, "residue atom width"]:
        distances = smoothed_distance(atoms[:, None] - near.positions[:, :, None])
        radial = radial_features(distances, *self.radial_range).flatten(-2)
        parts = [radial, self.type_embedding(types), _direction_features(atoms, near.positions)]
        return self.pair_embedding(torch.cat(parts, dim=-1))


def _direction_features(
    atoms: Float[Tensor, "residue 5 3"], positions: Float[Tensor, "residue atom 3"]
) -> Float[Tensor, "residue atom 4"]:
    """Where atoms lie in the frame of N, CA and C: cosine and sine of the azimuth, sine and cosine of the elevation."""
    n, ca, c = atoms[:, 0], atoms[:, 1], atoms[:, 2]
    x = normalize(n - ca, dim=-1)
    y = normalize((c - ca) - x * (x * (c - ca)).sum(-1, keepdim=True), dim=-1)
    frame = torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)
    local = (positions - ca[:, None]) @ frame
    in_plane = torch.sqrt(local[..., 0] ** 2 + local[..., 1] ** 2 + 1e-8)
    length = torch.linalg.norm(local, dim=-1) + 1e-8
    return torch.stack(
        [local[..., 0] / in_plane, local[..., 1] / in_plane, in_plane / length, local[..., 2] / length], dim=-1
    )
