"""ProteinMPNN, its CA-only, membrane and ligand kinds: from a backbone to what the decoder needs of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from structdiff.inverse_folding.alphabet import LETTERS
from structdiff.inverse_folding.backbone import Backbone
from structdiff.inverse_folding.context import ContextEncoder, nearby_atoms, with_side_chains
from structdiff.inverse_folding.graph import (
    AlphaCarbonEdges,
    BackboneEdges,
    class_features,
    nearest_neighbours,
    with_virtual_cb,
)
from structdiff.inverse_folding.layers import EncoderLayer, Layers, NodeUpdate

WIDTH = 128
NUM_LAYERS = 3
#: What a membrane network is told of a residue: outside, at the interface, buried.
NUM_MEMBRANE_LABELS = 3

Kind = Literal["backbone", "ca", "ligand", "membrane"]


@dataclass(frozen=True, kw_only=True)
class InverseFoldingConfig:
    """kind: what the network sees. num_neighbours: of each residue. num_context_atoms: around each residue (ligand)."""

    kind: Kind
    num_neighbours: int
    num_context_atoms: int = 0


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """One or several backbones as the encoder sees them, residues of all in one row after another.

    neighbours: rows of residues; mask is 0 where a residue has fewer neighbours than others, None if nowhere.
    starts: row of the first residue of each backbone, and their number in the end.
    """

    nodes: Float[Tensor, "residue c"]
    edges: Float[Tensor, "residue neighbour c"]
    neighbours: Int[Tensor, "residue neighbour"]
    mask: Float[Tensor, "residue neighbour"] | None
    starts: tuple[int, ...]


class InverseFoldingNetwork(nn.Module):
    """A message-passing network that gives each residue of a backbone the probabilities of the twenty amino acids."""

    def __init__(self, config: InverseFoldingConfig) -> None:
        super().__init__()
        self.config = config
        self.edge_features = AlphaCarbonEdges(WIDTH) if config.kind == "ca" else BackboneEdges(WIDTH)
        self.embed_edges = nn.Linear(WIDTH, WIDTH)
        self.encoder = Layers(EncoderLayer(WIDTH) for _ in range(NUM_LAYERS))
        if config.kind == "ligand":
            self.context = ContextEncoder(WIDTH)
        if config.kind == "membrane":
            self.embed_label = nn.Linear(NUM_MEMBRANE_LABELS, WIDTH, bias=False)
            self.label_norm = nn.LayerNorm(WIDTH)
            self.embed_nodes = nn.Linear(WIDTH, WIDTH)
        self.letters = nn.Embedding(len(LETTERS), WIDTH)
        self.decoder = Layers(NodeUpdate(WIDTH, 4) for _ in range(NUM_LAYERS))
        self.logits = nn.Linear(WIDTH, len(LETTERS))

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.logits.weight.device

    def encode(
        self,
        backbone: Backbone,
        *,
        given_side_chains: Bool[Tensor, "residue"] | None = None,
        membrane: Int[Tensor, "residue"] | None = None,
        noise: Float[Tensor, "residue 4 3"] | None = None,
    ) -> Encoding:
        """Encodes one backbone. given_side_chains: residues whose side chains are shown (ligand networks).

        membrane: label of each residue (membrane networks), 0 outside if None. noise: Å, added to the backbone.
        """
        positions = self._tensor(backbone.positions)
        positions = positions if noise is None else positions + noise.to(self.device)
        neighbours = nearest_neighbours(positions[:, 1], self.config.num_neighbours)
        place = self.edge_features.separation(
            self._tensor(backbone.residue_index), self._tensor(backbone.chain), neighbours
        )
        atoms = with_virtual_cb(positions)
        seen = positions[:, 1] if self.config.kind == "ca" else atoms
        edges = self.embed_edges(self.edge_features(seen, place, neighbours))
        nodes = self._first_nodes(len(backbone), membrane)
        for layer in self.encoder:
            nodes, edges = layer.encode(nodes, edges, neighbours)
        if self.config.kind == "ligand":
            nodes = self._with_context(nodes, backbone, atoms, neighbours, given_side_chains)
        return Encoding(nodes=nodes, edges=edges, neighbours=neighbours, mask=None, starts=(0, len(backbone)))

    def _first_nodes(self, count: int, membrane: Int[Tensor, "residue"] | None) -> Float[Tensor, "residue c"]:
        if self.config.kind != "membrane":
            return torch.zeros(count, WIDTH, device=self.device)
        labels = torch.zeros(count, dtype=torch.int64) if membrane is None else membrane
        known = class_features(labels.to(self.device), NUM_MEMBRANE_LABELS)
        return self.embed_nodes(self.label_norm(self.embed_label(known)))

    def _with_context(
        self,
        nodes: Float[Tensor, "residue c"],
        backbone: Backbone,
        atoms: Float[Tensor, "residue 5 3"],
        neighbours: Int[Tensor, "residue neighbour"],
        given_side_chains: Bool[Tensor, "residue"] | None,
    ) -> Float[Tensor, "residue c"]:
        around = self._tensor(backbone.context_positions), self._tensor(backbone.context_elements)
        near = nearby_atoms(atoms[:, 4], *around, self.config.num_context_atoms)
        if given_side_chains is not None:
            side_chains = self._tensor(backbone.side_chain_positions), self._tensor(backbone.side_chain_elements)
            near = with_side_chains(
                near, atoms[:, 4], *side_chains, given_side_chains.to(self.device), neighbours,
                self.config.num_context_atoms,
            )  # fmt: skip
        return self.context(nodes, atoms, near)

    def _tensor(self, values: object) -> Tensor:
        return torch.as_tensor(values, device=self.device)


def join_encodings(encodings: Sequence[Encoding]) -> Encoding:
    """Several encodings as one."""
    if len(encodings) == 1:
        return encodings[0]
    widest = max(each.neighbours.shape[1] for each in encodings)
    starts = [0]
    neighbours, edges, masks = [], [], []
    for each in encodings:
        missing = widest - each.neighbours.shape[1]
        neighbours.append(nn.functional.pad(each.neighbours, (0, missing)) + starts[-1])
        edges.append(nn.functional.pad(each.edges, (0, 0, 0, missing)))
        masks.append(nn.functional.pad(torch.ones_like(each.edges[..., 0]), (0, missing)))
        starts.append(starts[-1] + len(each.nodes))
    mask = torch.cat(masks)
    return Encoding(
        nodes=torch.cat([each.nodes for each in encodings]),
        edges=torch.cat(edges),
        neighbours=torch.cat(neighbours),
        mask=None if bool(mask.all()) else mask,
        starts=tuple(starts),
    )
