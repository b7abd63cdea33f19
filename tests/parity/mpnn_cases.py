"""What is asked of our inverse folding networks and of the published packages alike (benchmarks/parity_mpnn.py)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from structdiff.geometry.frames import backbone_frames
from structdiff.geometry.torsions import torsion
from structdiff.inverse_folding.backbone import Backbone, protein_backbone
from structdiff.inverse_folding.context import nearby_atoms
from structdiff.inverse_folding.decoding import Decoder, Lane
from structdiff.inverse_folding.graph import with_virtual_cb
from structdiff.inverse_folding.library import load_network
from structdiff.inverse_folding.network import Encoding
from structdiff.inverse_folding.packer import NUM_CONTEXT_ATOMS
from structdiff.inverse_folding.packing import load_packer
from structdiff.inverse_folding.rigid_groups import atoms_exist, place_atoms
from structdiff.structure.files import read_structure
from structdiff.structure.tables import Structure

DATA = Path(__file__).parents[1] / "data"
#: Rows of large outputs that the golden file keeps.
KEPT = 5


@dataclass(frozen=True, kw_only=True)
class Case:
    """One network on one structure. Half of the residues (at random) have their letters and side chains given."""

    model: str
    file: str
    side_chain_context: bool = False

    @property
    def name(self) -> str:
        return f"{self.model}.{self.file.split('.')[0]}" + ".side_chains" * self.side_chain_context

    @cached_property
    def structure(self) -> Structure:
        return read_structure(DATA / self.file)

    @cached_property
    def backbone(self) -> Backbone:
        return protein_backbone(self.structure, ca_only="_ca" in self.model)

    @cached_property
    def order(self) -> np.ndarray:
        """The order in which residues are read: the given ones first."""
        order = np.random.default_rng(7).permutation(len(self.backbone))
        return np.concatenate([order[self.given[order]], order[~self.given[order]]])

    @cached_property
    def given(self) -> np.ndarray:
        return np.random.default_rng(5).random(len(self.backbone)) < 0.5

    @cached_property
    def membrane(self) -> np.ndarray:
        labels = np.random.default_rng(3).integers(0, 3, len(self.backbone))
        return np.minimum(labels, 1) if "global" in self.model else labels

    def encoding(self) -> Encoding:
        network = load_network(self.model)
        return network.encode(
            self.backbone,
            given_side_chains=torch.from_numpy(self.given) if self.side_chain_context else None,
            membrane=torch.from_numpy(self.membrane),
        )

    @torch.no_grad()
    def outputs(self) -> dict[str, np.ndarray]:
        """Log-probabilities of the structure's own sequence, and the most likely sequence with its own."""
        decoder = Decoder(load_network(self.model), self.encoding())
        letters = torch.from_numpy(self.backbone.letters)
        ranks = torch.from_numpy(np.argsort(self.order))
        designed = self.order[~self.given[self.order]]
        lane = Lane(
            backbone=0,
            known=torch.from_numpy(self.order[self.given[self.order]]),
            steps=[torch.tensor([row]) for row in designed],
            letters=letters,
            bias=torch.zeros(len(letters), 20),
            gumbel=torch.zeros(len(designed), 20),
        )
        drawn = decoder.sample([lane], 0.0)[0]
        return {
            "own": decoder.score(0, letters, ranks[None])[0].numpy()[::KEPT],
            "greedy_letters": drawn.letters.numpy(),
            "greedy": drawn.log_probabilities.numpy()[np.sort(designed)][::KEPT],
        }


CASES = {
    case.name: case
    for case in (
        *(
            Case(model=model, file="1orc.pdb.gz")
            for model in (
                "proteinmpnn_v_48_002", "proteinmpnn_v_48_010", "proteinmpnn_v_48_020", "proteinmpnn_v_48_030",
                "solublempnn_v_48_020", "proteinmpnn_ca_v_48_002", "proteinmpnn_ca_v_48_020", "ligandmpnn_v_32_010_25",
                "global_label_membrane_mpnn_v_48_020", "per_residue_label_membrane_mpnn_v_48_020",
            )
        ),
        *(
            Case(model=model, file="5ugo.pdb.gz")
            for model in ("proteinmpnn_v_48_020", "ligandmpnn_v_32_010_25", "ligandmpnn_v_32_030_25")
        ),
        Case(model="ligandmpnn_v_32_010_25", file="5ugo.pdb.gz", side_chain_context=True),
    )
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PackerCase:
    """The side-chain packer on one structure, its side chains turned at random."""

    file: str

    @cached_property
    def backbone(self) -> Backbone:
        return protein_backbone(read_structure(DATA / self.file))

    @cached_property
    def chis(self) -> np.ndarray:
        """(residue, 4), radian."""
        return np.random.default_rng(1).uniform(-3, 3, (len(self.backbone), 4)).astype(np.float32)

    @torch.no_grad()
    def outputs(self) -> dict[str, np.ndarray]:
        """Where the atoms are, and where the network would turn the side chains."""
        backbone, packer = self.backbone, load_packer()
        seen, letters = torch.from_numpy(backbone.positions), torch.from_numpy(backbone.letters)
        psi = torsion(*seen.unbind(1))[:, None]
        frames = backbone_frames(*seen[:, :3].unbind(1))
        positions = place_atoms(frames, letters, torch.cat([psi, torch.from_numpy(self.chis)], dim=1))
        around = torch.from_numpy(backbone.context_positions), torch.from_numpy(backbone.context_elements)
        near = nearby_atoms(with_virtual_cb(seen)[:, 4], *around, NUM_CONTEXT_ATOMS)
        place = torch.from_numpy(backbone.residue_index), torch.from_numpy(backbone.chain)
        context = packer.encode(positions[:, :4], letters, *place, near)
        found = packer.decode(context, positions, atoms_exist(letters))
        return {
            "positions": positions.numpy()[::KEPT],
            "means": found.means.numpy()[::KEPT],
            "concentrations": found.concentrations.numpy()[::KEPT],
            "logits": found.logits.numpy()[::KEPT],
        }


PACKER_CASES = {"1orc": PackerCase(file="1orc.pdb.gz"), "5ugo": PackerCase(file="5ugo.pdb.gz")}
