"""A tiny Boltz-2 with inputs on which it is compared with Boltz's own; needs no boltz.

Hyperparameters are as checkpoints have them, of a tiny network and of Boltz-2's widths with fewer blocks. Parameters
and inputs are drawn from seeded generators, so that the golden file holds Boltz's outputs only.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from structdiff.model.boltz.config import BoltzConfig
from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.model.boltz.network import BoltzNetwork
from tests.parity.boltz_cases import fill_parameters


def hyper_parameters(*, full: bool = False) -> dict[str, Any]:
    """What ``Boltz2`` is built with; full: its widths, with two blocks each."""
    c_s, c_z, c_atom, c_pair, heads = (384, 128, 128, 16, 16) if full else (32, 16, 16, 8, 2)
    triangles = {"pairwise_head_width": 32 if full else 8, "pairwise_num_heads": 4 if full else 2}
    return {
        "atom_s": c_atom, "atom_z": c_pair, "token_s": c_s, "token_z": c_z, "num_bins": 64,
        "training_args": {}, "validation_args": {}, "diffusion_loss_args": {}, "validate_structure": False,
        "embedder_args": {
            "atom_encoder_depth": 3 if full else 2, "atom_encoder_heads": 4 if full else 2,
            "add_method_conditioning": True, "add_modified_flag": True, "add_cyclic_flag": True,
            "add_mol_type_feat": True,
        },
        "msa_args": {"msa_s": 64 if full else 8, "msa_blocks": 2, "msa_dropout": 0.0, "z_dropout": 0.0, **triangles},
        "pairformer_args": {"num_blocks": 2, "num_heads": heads, "dropout": 0.0, "v2": True, **triangles},
        "score_model_args": {
            "sigma_data": 16, "dim_fourier": 256 if full else 12, "atom_encoder_depth": 3 if full else 2,
            "atom_encoder_heads": 4 if full else 2, "token_transformer_depth": 4 if full else 2,
            "token_transformer_heads": heads, "atom_decoder_depth": 3 if full else 1,
            "atom_decoder_heads": 4 if full else 2, "conditioning_transition_layers": 2,
        },
        "diffusion_process_args": {"sigma_min": 0.0004, "step_scale": 1.5},
        "confidence_model_args": {
            "num_dist_bins": 64, "max_dist": 22, "add_s_to_z_prod": True, "add_s_input_to_s": True,
            "add_z_input_to_z": True,
            "pairformer_args": {"num_blocks": 2, "num_heads": heads, "dropout": 0.0, **triangles},
            "confidence_args": {"num_plddt_bins": 50, "num_pde_bins": 64, "num_pae_bins": 64,
                                "use_separate_heads": True},
        },
        "template_args": {"template_dim": 64 if full else 16, "template_blocks": 2 if full else 1, **triangles},
        "atom_feature_dim": 388, "confidence_prediction": True, "token_level_confidence": True, "ema": True,
        "fix_sym_check": True, "cyclic_pos_enc": True, "bond_type_feature": True, "use_templates": True,
        "use_templates_v2": True, "predict_bfactor": True, "conditioning_cutoff_min": 4.0,
        "conditioning_cutoff_max": 20.0,
    }  # fmt: skip


def other_settings() -> dict[str, Any]:
    """A tiny network with what Boltz can do and its published weights do not ask for, and without what they do."""
    settings = hyper_parameters() | {
        "fix_sym_check": False, "cyclic_pos_enc": False, "bond_type_feature": False, "use_templates": False,
        "use_templates_v2": False, "use_no_atom_char": True, "use_atom_backbone_feat": True,
        "use_residue_feats_atoms": True, "atom_feature_dim": 4 + 128 + 17 + 38, "conditioning_cutoff_max": 12.0,
    }  # fmt: skip
    flags = ("add_method_conditioning", "add_modified_flag", "add_cyclic_flag", "add_mol_type_feat")
    settings["embedder_args"].update(dict.fromkeys(flags, False))
    products = ("add_s_to_z_prod", "add_s_input_to_s", "add_z_input_to_z")
    settings["confidence_model_args"].update(dict.fromkeys(products, False))
    settings["confidence_model_args"]["confidence_args"]["use_separate_heads"] = False
    return settings


def draw_boltz_inputs() -> BoltzInputs:
    """A batch of two made-up complexes in which everything occurs; the second lacks the last tokens and atoms."""
    rng = np.random.default_rng(31)
    batch, tokens, atoms, rows = 2, 19, 96, 6

    def numbers(*shape: int, scale: float = 1.0) -> Tensor:
        return torch.from_numpy(scale * rng.standard_normal(shape)).float()

    def classes(count: int, *shape: int) -> Tensor:
        return torch.from_numpy(rng.integers(0, count, shape))

    def both(square: Tensor) -> Tensor:
        return torch.maximum(square, square.transpose(1, 2))

    def flags(*shape: int, share: float = 0.5) -> Tensor:
        return torch.from_numpy(rng.random(shape) < share).float()

    token_mask, atom_mask = torch.ones(batch, tokens).bool(), torch.ones(batch, atoms).bool()
    token_mask[1, 16:] = atom_mask[0, 90:] = atom_mask[1, 70:] = False
    atom_token = torch.stack([torch.arange(atoms) * tokens // 90, torch.arange(atoms) * 16 // 70]).clamp(max=tokens - 1)
    atom_token = atom_token * atom_mask
    chain = torch.arange(tokens).expand(batch, -1) // 7
    contact = both(classes(5, batch, tokens, tokens))
    template = (batch, 2, tokens)
    there = flags(*template, share=0.7)
    there[1, 1] = 0
    rotation = torch.linalg.qr(numbers(*template, 3, 3))[0]
    return BoltzInputs(
        token_mask=token_mask, residue_type=classes(33, batch, tokens),
        profile=torch.softmax(numbers(batch, tokens, 33), -1), deletion_mean=flags(batch, tokens),
        molecule_type=classes(4, batch, tokens), method=classes(2, batch, tokens), modified=classes(2, batch, tokens),
        cyclic_period=(chain == 1) * 7.0, residue_index=torch.arange(tokens).expand(batch, -1) % 7,
        token_index=torch.arange(tokens).expand(batch, -1), asym_id=chain, entity_id=chain.clamp(max=1),
        sym_id=(chain == 2).long(), representative=classes(70, batch, tokens),
        token_bonds=both(flags(batch, tokens, tokens, share=0.1)), bond_type=both(classes(7, batch, tokens, tokens)),
        contact_type=contact, contact_threshold=(contact > 1) * (4 + 16 * flags(batch, tokens, tokens)),
        atom_mask=atom_mask, atom_slot=torch.arange(atoms).expand(batch, -1), atom_token=atom_token,
        reference_positions=numbers(batch, atoms, 3, scale=2.0), reference_charge=classes(3, batch, atoms) - 1.0,
        reference_element=classes(30, batch, atoms), reference_name=classes(64, batch, atoms, 4),
        reference_space=atom_token // 2, backbone=classes(17, batch, atoms), msa=classes(33, batch, rows, tokens),
        has_deletion=flags(batch, rows, tokens), deletion_value=flags(batch, rows, tokens),
        msa_paired=flags(batch, rows, tokens), msa_mask=flags(batch, rows, tokens, share=0.9) * token_mask[:, None],
        template_type=classes(33, *template), template_frame_rotation=rotation,
        template_frame_origin=numbers(*template, 3, scale=8.0), template_frame_mask=there * flags(*template),
        template_cb=numbers(*template, 3, scale=8.0), template_ca=numbers(*template, 3, scale=8.0),
        template_cb_mask=there * flags(*template), template_mask=there, template_visibility=classes(2, *template),
    )  # fmt: skip


def noisy_positions(inputs: BoltzInputs) -> tuple[Tensor, float]:
    """Two structures (Å) to be denoised and judged, and their level of noise (Å)."""
    rng = np.random.default_rng(32)
    return torch.from_numpy(8 * rng.standard_normal((*inputs.atom_mask.shape, 3))).float(), 12.0


@torch.no_grad()
def filled_network(config: BoltzConfig) -> BoltzNetwork:
    """A network whose parameters are drawn by their names."""
    network = BoltzNetwork(config).eval()
    fill_parameters(network)
    for name, each in network.named_buffers():
        if "fourier" in name:
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            each.copy_(torch.from_numpy(rng.standard_normal(tuple(each.shape))))
    return network


@torch.inference_mode()
def own_outputs(network: BoltzNetwork, inputs: BoltzInputs) -> dict[str, Tensor]:
    """Trunk, denoiser and confidence, where it has one, of a batch; atoms and tokens that are not there are 0."""
    noisy, sigma = noisy_positions(inputs)
    trunk, denoiser = network.trunk.understood(inputs, recycles=1), network.denoiser
    condition = denoiser.told(inputs, trunk, inputs.residue_type)
    level = torch.full((len(noisy),), sigma)
    update = denoiser.update(condition, denoiser.preconditioning.network_input(noisy, level), level)
    found = {
        "s_inputs": trunk.s_inputs, "s": trunk.s_trunk, "z": trunk.z_trunk,
        "denoised": denoiser.preconditioning.denoised(noisy, update, level),
    }  # fmt: skip
    if network.confidence is not None:
        judged = network.confidence.judged(inputs, trunk.s_inputs, trunk.s_trunk, trunk.z_trunk, noisy)
        found |= {"plddt": judged.plddt, "pae": judged.pae, "pde": judged.pde}
    return only_there(found, inputs)


def only_there(found: dict[str, Tensor], inputs: BoltzInputs) -> dict[str, Tensor]:
    """The outputs with what is of no token or atom set to 0, of pairs every third token."""
    token, atom = inputs.token_mask, inputs.atom_mask
    pair = (token[:, :, None] & token[:, None])[..., None]
    masks = {"denoised": atom[..., None], **dict.fromkeys(("z", "pae", "pde"), pair)}
    found = {name: value * masks.get(name, token[..., None]) for name, value in found.items()}
    return {name: value if value.dim() < 4 else value[:, ::3, ::3] for name, value in found.items()}
