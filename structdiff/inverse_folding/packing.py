"""Side chains built onto backbones."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from structdiff.arguments import check_kind, check_whole_number, checked_names
from structdiff.chemistry.residues import BACKBONE_ATOMS
from structdiff.geometry.frames import backbone_frames
from structdiff.geometry.torsions import torsion
from structdiff.inverse_folding.alphabet import NUM_AMINO_ACIDS, UNKNOWN, residue_name
from structdiff.inverse_folding.backbone import Backbone, protein_backbone
from structdiff.inverse_folding.clash_relief import TurningSideChains, relieved
from structdiff.inverse_folding.columns import flags
from structdiff.inverse_folding.context import NearbyAtoms, nearby_atoms
from structdiff.inverse_folding.graph import with_virtual_cb
from structdiff.inverse_folding.library import RENAMED, fill, renamed
from structdiff.inverse_folding.mutation import with_residues
from structdiff.inverse_folding.packer import NUM_CONTEXT_ATOMS, SideChainPacker, TorsionDistribution, log_density
from structdiff.inverse_folding.rigid_groups import SLOT_ATOMS, atoms_exist, measure_chis
from structdiff.published_weights import full_names, weights_path
from structdiff.published_weights.conversion import read_safetensors
from structdiff.structure.tables import Structure

PACKER = "side_chain_packer"
_PACKER_RENAMED = (
    (r"^features\.positional_embeddings\.linear\.", "edge_features.separation.linear."),
    (r"^features\.enc_edge_embedding\.", "edge_features.embedding."),
    (r"^features\.enc_norm_edges\.", "edge_features.norm."),
    (r"^features\.enc_node_embedding\.", "embed_letter."),
    (r"^features\.enc_norm_nodes\.", "letter_norm."),
    (r"^features\.dec_edge_embedding1\.", "atom_edges."),
    (r"^features\.dec_norm_edges1\.", "atom_edge_norm."),
    (r"^features\.W_XY_project_down1\.", "contact."),
    (r"^features\.dec_node_embedding1\.", "contact_nodes."),
    (r"^features\.dec_norm_nodes1\.", "contact_norm."),
    (r"^features\.norm_nodes\.", "context.pair_norm."),
    (r"^W_e\.", "embed_edges."),
    (r"^W_v\.", "embed_nodes."),
    (r"^W_f\.", "embed_atom_edges."),
    (r"^W_v_sc\.", "embed_contacts."),
    (r"^linear_down\.", "join_nodes."),
    (r"^W_torsions\.", "torsions."),
    (r"^W_e_context\.", "context.to_pairs."),
)


@checked_names
@dataclass(frozen=True, kw_only=True)
class PackingConfig:
    """How side chains are packed.

    num_steps: times that all side chains are turned. num_samples: torsions that are drawn each time, of which the most
    likely is taken. ligands: they are seen. relieve_clashes: in the end all are turned out of each other; without, they
    stay as the packer drew them. seed: of all draws.
    """

    num_steps: int = 3
    num_samples: int = 16
    ligands: bool = True
    relieve_clashes: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("num_steps", 1), ("num_samples", 1), ("seed", 0)):
            check_whole_number(getattr(self, name), name, least)
        for name in ("ligands", "relieve_clashes"):
            check_kind(getattr(self, name), bool, name, "True or False")


@checked_names
def pack_side_chains(
    structure: Structure,
    *,
    only: np.ndarray | None = None,
    num_steps: int = 3,
    num_samples: int = 16,
    ligands: bool = True,
    relieve_clashes: bool = True,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Structure:
    """The structure with the side chains of its proteins built anew, in view of each other and of ligands.

    only: residues to pack, (residue,) bool, all standard ones if None; the others stay as they are, and so do those
    whose side chain is bonded to another residue. The backbone stays.
    The options are those of ``PackingConfig``. Raises InputError when the weights have not been fetched.
    """
    check_kind(structure, Structure, "structure", "a Structure: read_structure(file), or a design's .structure")
    config = PackingConfig(
        num_steps=num_steps, num_samples=num_samples, ligands=ligands, relieve_clashes=relieve_clashes, seed=seed
    )
    count = len(structure.residues)
    chosen = np.ones(count, bool) if only is None else flags(only, count, "only")
    return pack_structures([(structure, chosen)], config, device=device)[0]


@torch.no_grad()
def pack_structures(
    structures: Sequence[tuple[Structure, np.ndarray]],
    config: PackingConfig,
    *,
    indices: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
) -> list[Structure]:
    """``pack_side_chains`` for several structures, each with the residues to pack. indices: numbers of their draws."""
    packer = load_packer(device=device)
    numbers = range(len(structures)) if indices is None else indices
    return [
        _packed(packer, structure, chosen, config, number)
        for (structure, chosen), number in zip(structures, numbers, strict=True)
    ]


def load_packer(*, device: torch.device | str = "cpu") -> SideChainPacker:
    """The packer with its published weights. Raises InputError when they have not been fetched."""
    path = weights_path(full_names(PACKER)[0])
    return _loaded(path, path.stat().st_mtime_ns, str(device))


@lru_cache(maxsize=2)
def _loaded(path: Path, modified: int, device: str) -> SideChainPacker:
    tensors, _ = read_safetensors(path)
    packer = SideChainPacker()
    fill(packer, renamed(tensors, (*_PACKER_RENAMED, *RENAMED)), path)
    return packer.to(device)


def _packed(
    packer: SideChainPacker, structure: Structure, chosen: np.ndarray, config: PackingConfig, number: int
) -> Structure:
    backbone = protein_backbone(structure)
    own = slot_positions(structure, backbone)
    standard = backbone.letters != UNKNOWN
    built = ~np.isnan(own).any(axis=(1, 2))
    movable = chosen & ~_side_chain_is_bound(structure)
    turned = standard & (movable[backbone.rows] | ~built) & backbone.standard
    side_chains, chis, likely = _pack(packer, backbone, own, turned, config, number)
    built = turned & movable[backbone.rows]
    packed = _built(structure, backbone, built, side_chains.place(chis))
    if not config.relieve_clashes:
        return packed
    chis = relieved(chis, side_chains, built, likely, packed, backbone.rows, ligands=config.ligands)
    return _built(structure, backbone, built, side_chains.place(chis))


def _built(structure: Structure, backbone: Backbone, built: np.ndarray, atoms: Tensor) -> Structure:
    """The structure with these residues' side chains where atoms (residue, slot, 3) are, in Å."""
    names, side_chains, positions = {}, {}, atoms.cpu().numpy()
    for place in np.flatnonzero(built).tolist():
        row = int(backbone.rows[place])
        names[row] = residue_name(int(backbone.letters[place]))
        slots = enumerate(SLOT_ATOMS[names[row]])
        side_chains[row] = {atom: positions[place, slot] for slot, atom in slots if slot >= 4}
    return with_residues(structure, names, side_chains)


def _side_chain_is_bound(structure: Structure) -> np.ndarray:
    """(residue,): a side chain that is bonded to another residue, as in disulfides and glycans, stays where it is."""
    bonds, atoms = structure.bonds, structure.atoms
    ends = np.concatenate([bonds.atom_1, bonds.atom_2])
    between = np.tile(atoms.residue[bonds.atom_1] != atoms.residue[bonds.atom_2], 2)
    bound = np.zeros(len(structure.residues), bool)
    bound[atoms.residue[ends[between & ~np.isin(atoms.name[ends], BACKBONE_ATOMS)]]] = True
    return bound


def slot_positions(structure: Structure, backbone: Backbone) -> np.ndarray:
    """(residue, slot, 3) in Å: where the atoms of standard residues were seen, NaN where not, 0 in empty slots."""
    positions = np.zeros((len(backbone), 14, 3), np.float32)
    for place, row in enumerate(backbone.rows.tolist()):
        letter = int(backbone.letters[place])
        if letter >= NUM_AMINO_ACIDS or not backbone.standard[place]:
            continue
        span = structure.residue_atoms(row)
        seen = structure.atoms.resolved[span]
        found = dict(zip(structure.atoms.name[span][seen].tolist(), structure.atoms.positions[span][seen], strict=True))
        for slot, atom in enumerate(SLOT_ATOMS[residue_name(letter)]):
            positions[place, slot] = found.get(atom, np.nan)
    return positions


def _pack(
    packer: SideChainPacker,
    backbone: Backbone,
    own: np.ndarray,
    turned: np.ndarray,
    config: PackingConfig,
    number: int,
) -> tuple[TurningSideChains, Tensor, TorsionDistribution]:
    """What turns, the torsions (radian) that it has turned to, and what they were drawn from."""
    device = packer.device
    letters = torch.from_numpy(np.where(backbone.standard, backbone.letters, UNKNOWN)).to(device)
    n, ca, c, o = torch.from_numpy(backbone.positions).to(device).unbind(1)
    frames = backbone_frames(n, ca, c)
    rng = np.random.default_rng([config.seed, number, zlib.crc32(backbone.letters.tobytes())])
    chis = _measured(letters, own, turned, rng)
    side_chains = TurningSideChains(frames=frames, letters=letters, psi=torsion(n, ca, c, o)[:, None])
    exists = atoms_exist(letters)
    positions = side_chains.place(chis)
    seen = torch.from_numpy(backbone.positions).to(device)
    context = packer.encode(
        _ideal_backbone(positions, exists, seen),
        letters,
        torch.from_numpy(backbone.residue_index).to(device),
        torch.from_numpy(backbone.chain).to(device),
        _near(backbone, seen, ligands=config.ligands),
    )
    moving = torch.from_numpy(turned).to(device)[:, None]
    for _ in range(config.num_steps):
        likely = packer.decode(context, positions, exists)
        chis = torch.where(moving, most_likely_draw(likely, config.num_samples, rng), chis)
        positions = side_chains.place(chis)
    return side_chains, chis, likely


def _near(backbone: Backbone, seen: Float[Tensor, "residue 4 3"], *, ligands: bool) -> NearbyAtoms:
    """The atoms that are no protein nearest to each residue."""
    kept = slice(None if ligands else 0)
    positions = torch.from_numpy(backbone.context_positions[kept]).to(seen.device)
    elements = torch.from_numpy(backbone.context_elements[kept]).to(seen.device)
    return nearby_atoms(with_virtual_cb(seen)[:, 4], positions, elements, NUM_CONTEXT_ATOMS)


def _measured(letters: Tensor, own: np.ndarray, turned: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Torsions to begin with: those that are there, and any for residues that are to be turned."""
    start = torch.from_numpy(rng.uniform(0, 2 * np.pi, (len(own), 4)).astype(np.float32)).to(letters.device)
    there = measure_chis(letters, torch.from_numpy(np.nan_to_num(own)).to(letters.device))
    return torch.where(torch.from_numpy(turned).to(letters.device)[:, None], start, there)


def _ideal_backbone(positions: Tensor, exists: Tensor, seen: Tensor) -> Tensor:
    """N, CA, C, O of the ideal pieces; as they were seen where the residue is no standard one."""
    return torch.where(exists[:, :4, None], positions[:, :4], seen)


def most_likely_draw(
    distribution: TorsionDistribution, num_samples: int, rng: np.random.Generator
) -> Float[Tensor, "residue 4"]:
    """Of several draws of each torsion (radian) the most likely one."""
    means, concentrations, logits = (
        values.cpu().double().numpy()
        for values in (distribution.means, distribution.concentrations, distribution.logits)
    )
    shares = torch.softmax(torch.from_numpy(logits), -1).numpy()
    uniform = rng.random((num_samples, *shares.shape[:-1], 1))
    picked = (uniform > shares.cumsum(-1)[..., :-1]).sum(-1)
    chosen = [np.take_along_axis(values[None], picked[..., None], -1)[..., 0] for values in (means, concentrations)]
    drawn = torch.from_numpy(rng.vonmises(np.remainder(chosen[0] + np.pi, 2 * np.pi) - np.pi, chosen[1]))
    likely = log_density(distribution, drawn.to(distribution.means)).argmax(0)
    return torch.gather(drawn.to(distribution.means), 0, likely[None])[0]
