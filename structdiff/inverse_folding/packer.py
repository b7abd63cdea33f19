"""LigandMPNN's side-chain packer: from a backbone with its sequence to the distributions of chi1 to chi4.

Dauparas et al. 2025, Nature Methods 22, 717. The encoder sees backbone, sequence and ligands; the decoder sees all
atoms where they are now, and says where the side chains should turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear, pad, softplus

from structdiff.inverse_folding.alphabet import LETTERS
from structdiff.inverse_folding.context import NUM_ELEMENTS, ContextEncoder, NearbyAtoms
from structdiff.inverse_folding.graph import (
    NUM_RADIAL,
    BackboneEdges,
    class_features,
    nearest_neighbours,
    radial_features,
    smoothed_distance,
    with_virtual_cb,
)
from structdiff.inverse_folding.layers import EncoderLayer, Layers, NodeUpdate
from structdiff.inverse_folding.rigid_groups import NUM_SLOTS

WIDTH = 128
NUM_LAYERS = 3
NUM_NEIGHBOURS = 32
NUM_CONTEXT_ATOMS = 16
NUM_MIXED = 3
_RADIAL_RANGE = (0.0, 20.0)


@dataclass(frozen=True, kw_only=True)
class PackingContext:
    """What does not change while side chains turn: residues, edges and neighbours as encoded, and nearby atoms."""

    nodes: Float[Tensor, "residue c"]
    edges: Float[Tensor, "residue neighbour c"]
    neighbours: Int[Tensor, "residue neighbour"]
    letters: Int[Tensor, "residue"]
    near: NearbyAtoms


@dataclass(frozen=True, kw_only=True)
class TorsionDistribution:
    """Mixtures of von Mises distributions of chi1 to chi4; means in radian."""

    means: Float[Tensor, "residue 4 mixed"]
    concentrations: Float[Tensor, "residue 4 mixed"]
    logits: Float[Tensor, "residue 4 mixed"]


class SideChainPacker(nn.Module):
    """The network that packs side chains."""

    def __init__(self) -> None:
        super().__init__()
        pairs = torch.arange(25)
        self.edge_features = BackboneEdges(WIDTH, radial_range=_RADIAL_RANGE, pair_columns=pairs)
        self.embed_edges = nn.Linear(WIDTH, WIDTH)
        self.embed_letter = nn.Linear(len(LETTERS), WIDTH, bias=False)
        self.letter_norm = nn.LayerNorm(WIDTH)
        self.embed_nodes = nn.Linear(WIDTH, WIDTH)
        self.encoder = Layers(EncoderLayer(WIDTH) for _ in range(NUM_LAYERS))
        self.context = ContextEncoder(WIDTH, radial_range=_RADIAL_RANGE)
        self.atom_edges = nn.Linear(NUM_SLOTS**2 * NUM_RADIAL + 2 * len(LETTERS), WIDTH, bias=False)
        self.atom_edge_norm = nn.LayerNorm(WIDTH)
        self.embed_atom_edges = nn.Linear(WIDTH, WIDTH)
        self.contact = nn.Linear(NUM_RADIAL + NUM_ELEMENTS, NUM_RADIAL)
        self.contact_nodes = nn.Linear(NUM_SLOTS * NUM_CONTEXT_ATOMS * NUM_RADIAL, WIDTH, bias=False)
        self.contact_norm = nn.LayerNorm(WIDTH)
        self.embed_contacts = nn.Linear(WIDTH, WIDTH)
        self.join_nodes = nn.Linear(2 * WIDTH, WIDTH)
        self.decoder = Layers(NodeUpdate(WIDTH, 4) for _ in range(NUM_LAYERS))
        self.torsions = nn.Linear(WIDTH, 4 * 3 * NUM_MIXED)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.torsions.weight.device

    def encode(
        self,
        backbone: Float[Tensor, "residue 4 3"],
        letters: Int[Tensor, "residue"],
        residue_index: Int[Tensor, "residue"],
        chain: Int[Tensor, "residue"],
        near: NearbyAtoms,
    ) -> PackingContext:
        """Encodes a backbone (N, CA, C, O in Å) with its sequence and the atoms around that are no protein."""
        atoms = with_virtual_cb(backbone)
        neighbours = nearest_neighbours(atoms[:, 1], NUM_NEIGHBOURS)
        place = self.edge_features.separation(residue_index, chain, neighbours)
        edges = self.embed_edges(self.edge_features(atoms, place, neighbours))
        nodes = self.embed_nodes(self.letter_norm(self.embed_letter(class_features(letters, len(LETTERS)))))
        for layer in self.encoder:
            nodes, edges = layer.encode(nodes, edges, neighbours)
        return PackingContext(
            nodes=self.context(nodes, atoms, near), edges=edges, neighbours=neighbours, letters=letters, near=near
        )

    def decode(
        self,
        context: PackingContext,
        positions: Float[Tensor, "residue slot 3"],
        exists: Bool[Tensor, "residue slot"],
    ) -> TorsionDistribution:
        """Where the side chains should turn, given where all atoms are now (Å)."""
        atom_edges = self.embed_atom_edges(self.atom_edge_norm(self._atom_edges(context, positions, exists)))
        contacts = self.embed_contacts(self.contact_norm(self._contacts(context.near, positions, exists)))
        nodes = self.join_nodes(torch.cat([context.nodes, contacts], dim=-1))
        for layer in self.decoder:
            message = layer.message
            edges = message.part(1, context.edges) + message.part(2, atom_edges)
            nodes = layer(nodes, edges + message.part(3, nodes)[context.neighbours])
        torsions = self.torsions(nodes).unflatten(-1, (4, NUM_MIXED, 3))
        return TorsionDistribution(
            means=torsions[..., 0], concentrations=0.1 + softplus(torsions[..., 1]), logits=torsions[..., 2]
        )

    def _atom_edges(
        self, context: PackingContext, positions: Float[Tensor, "residue slot 3"], exists: Bool[Tensor, "residue slot"]
    ) -> Float[Tensor, "residue neighbour c"]:
        """The first map of the distances of all atoms of two residues; slot by slot, since most slots are empty."""
        split = NUM_SLOTS**2 * NUM_RADIAL
        of_centre, of_neighbour = self.atom_edges.weight[:, split:].split(len(LETTERS), dim=1)
        found = of_centre.T[context.letters][:, None] + of_neighbour.T[context.letters][context.neighbours]
        weights = self.atom_edges.weight[:, :split].unflatten(1, (NUM_SLOTS, NUM_SLOTS * NUM_RADIAL))
        for slot in range(NUM_SLOTS):
            rows = torch.nonzero(exists[:, slot])[:, 0]
            neighbours = context.neighbours[rows]
            distances = smoothed_distance(positions[rows, slot][:, None, None] - positions[neighbours])
            radial = radial_features(distances, *_RADIAL_RANGE) * exists[neighbours][..., None]
            found[rows] += linear(radial.flatten(-2), weights[:, slot])
        return found

    def _contacts(
        self, near: NearbyAtoms, positions: Float[Tensor, "residue slot 3"], exists: Bool[Tensor, "residue slot"]
    ) -> Float[Tensor, "residue c"]:
        """The first map of the distances between a residue's atoms and those that are no protein."""
        missing = NUM_CONTEXT_ATOMS - near.mask.shape[1]
        around = pad(near.positions, (0, 0, 0, missing))
        elements, mask = pad(near.elements, (0, missing)), pad(near.mask, (0, missing))
        distances = smoothed_distance(positions[:, :, None] - around[:, None])
        radial = radial_features(distances, *_RADIAL_RANGE) * (exists[:, :, None] * mask[:, None])[..., None]
        of_distance, of_element = self.contact.weight.split((NUM_RADIAL, NUM_ELEMENTS), dim=1)
        contacts = linear(radial, of_distance, self.contact.bias) + of_element.T[elements][:, None]
        return self.contact_nodes(contacts.flatten(1))


def log_density(
    distribution: TorsionDistribution, torsions: Float[Tensor, "draw residue 4"]
) -> Float[Tensor, "draw residue 4"]:
    """The logarithm of the density of torsions (radian)."""
    k = distribution.concentrations
    shifted = torsions[..., None] - distribution.means
    normaliser = torch.log(2 * torch.pi * torch.special.i0e(k)) + k
    parts = k * torch.cos(shifted) - normaliser + torch.log_softmax(distribution.logits, dim=-1)
    return torch.logsumexp(parts, dim=-1)
