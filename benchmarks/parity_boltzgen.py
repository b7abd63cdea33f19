"""Compares our network of BoltzGen with the boltzgen package's own, parameter by parameter and output by output.

    pip install --no-deps boltzgen==0.3.2 numba llvmlite torchmetrics && python benchmarks/parity_boltzgen.py

Parameters and inputs are random (tests/parity/boltzgen_cases.py), and parameters go through the names that a published
checkpoint's go through. Prints the largest difference of each output, for a tiny network and for BoltzGen's widths with
two blocks of each stack, the difference of the noise levels that are visited, and whether the atoms of the twenty amino
acids spell the same letters.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from boltz_parity import print_outputs, with_our_parameters
from boltzgen.data import const
from boltzgen.data.feature.featurizer import res_from_atom14
from boltzgen.model.models.boltz import Boltz
from torch import Tensor
from torch.nn.functional import one_hot

from structdiff.chemistry.residues import RESTYPES
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.model.boltz.confidence import one_of
from structdiff.model.boltz.design_config import design_config
from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.model.boltz.letters import letter_logits
from structdiff.model.boltz.network import BoltzNetwork
from structdiff.model.boltz.published import SAMPLING_OF_DESIGNS

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.parity.boltz2_cases import filled_network, noisy_positions, only_there, own_outputs  # noqa: E402
from tests.parity.boltzgen_cases import draw_design_inputs, hyper_parameters  # noqa: E402


def boltzgen_features(inputs: BoltzInputs) -> dict[str, Tensor]:
    """The same inputs as BoltzGen's network wants them, of one design."""
    design = inputs.design
    assert design is not None
    tokens, atoms = inputs.token_mask.shape[1], inputs.atom_mask
    same = (design.group[:, :, None] == design.group[:, None]) & (design.group > 0)[:, :, None]
    # Its frames are read from rows of atoms: here the first rows hold them, whatever atoms these are of.
    frames = design.frame_atoms.flatten(1, 2)
    coordinates = torch.zeros(len(atoms), tokens * 4, 3)
    coordinates[:, : frames.shape[1]] = frames
    template = (1, 1, tokens)
    return {
        "token_pad_mask": inputs.token_mask.float(), "res_type": one_hot(inputs.residue_type, 33),
        "profile": inputs.profile, "deletion_mean": inputs.deletion_mean, "mol_type": inputs.molecule_type,
        "method_feature": inputs.method, "modified": inputs.modified, "cyclic": inputs.cyclic_period,
        "feature_residue_index": inputs.residue_index, "token_index": inputs.token_index,
        "feature_asym_id": inputs.asym_id, "entity_id": inputs.entity_id, "sym_id": inputs.sym_id,
        "token_bonds": inputs.token_bonds[..., None], "type_bonds": inputs.bond_type,
        "contact_conditioning": one_hot(inputs.contact_type, 5).float(), "contact_threshold": inputs.contact_threshold,
        "atom_pad_mask": atoms.float(), "atom_to_token": one_hot(inputs.atom_token, tokens) * atoms[..., None],
        "ref_pos": inputs.reference_positions, "ref_charge": inputs.reference_charge,
        "ref_element": one_hot(inputs.reference_element, 128).float(),
        "ref_atom_name_chars": one_hot(inputs.reference_name, 64).float(), "ref_space_uid": inputs.reference_space,
        "msa": inputs.msa, "has_deletion": inputs.has_deletion, "deletion_value": inputs.deletion_value,
        "msa_paired": inputs.msa_paired, "msa_mask": inputs.msa_mask, "design_mask": design.open,
        "binding_type": design.binding, "ss_type": design.secondary_structure, "center_coords": design.centre,
        "token_distance_mask": same.float(), "coords": coordinates,
        "token_to_bb4_atoms": torch.eye(tokens * 4).view(1, tokens, 4, tokens * 4),
        "template_restype": torch.zeros(*template, 33), "template_frame_rot": torch.zeros(*template, 3, 3),
        "template_frame_t": torch.zeros(*template, 3), "template_mask_frame": torch.zeros(template),
        "template_cb": torch.zeros(*template, 3), "template_ca": torch.zeros(*template, 3),
        "template_mask_cb": torch.zeros(template), "template_mask": torch.zeros(template),
        "visibility_ids": torch.zeros(template),
    }  # fmt: skip


def one_design(inputs: BoltzInputs, row: int) -> BoltzInputs:
    """One entry of a batch of designs."""
    design = inputs.design
    assert design is not None
    own = type(design)(**{name: values[row : row + 1] for name, values in vars(design).items()})
    return dataclasses.replace(one_of(inputs, row), design=own)


def boltzgen_outputs(network: Boltz, inputs: BoltzInputs) -> dict[str, Tensor]:
    """What `own_outputs` gives, entry by entry."""
    noisy, sigma = noisy_positions(inputs)
    rows = [outputs_of_one(network, one_design(inputs, row), noisy[row : row + 1], sigma) for row in range(len(noisy))]
    return {name: torch.cat([each[name] for each in rows]) for name in rows[0]}


@torch.inference_mode()
def outputs_of_one(network: Boltz, inputs: BoltzInputs, noisy: Tensor, sigma: float) -> dict[str, Tensor]:
    """The outputs for one design by BoltzGen's modules, called as its forward calls them."""
    feats = boltzgen_features(inputs)
    s_inputs, s, z, relative = trunk_of(network, feats, recycles=1)
    names = ("q", "c", "to_keys", "atom_enc_bias", "atom_dec_bias", "token_trans_bias")
    told = network.diffusion_conditioning(s_trunk=s, z_trunk=z, relative_position_encoding=relative, feats=feats)
    asked = {"s_trunk": s, "s_inputs": s_inputs, "feats": feats, "multiplicity": 1,
             "diffusion_conditioning": dict(zip(names, told, strict=True))}  # fmt: skip
    denoised, _ = network.structure_module.preconditioned_network_forward(noisy, sigma, asked, training=False)
    return only_there({"s_inputs": s_inputs, "s": s, "z": z, "denoised": denoised}, inputs)


def trunk_of(network: Boltz, feats: dict[str, Tensor], *, recycles: int) -> tuple[Tensor, ...]:
    """s_inputs, s and z of BoltzGen's trunk, and how its pairs stand to each other."""
    s_inputs = network.input_embedder(feats)
    s_init, relative = network.s_init(s_inputs), network.rel_pos(feats)
    z_init = network.z_init_1(s_inputs)[:, :, None] + network.z_init_2(s_inputs)[:, None] + relative
    z_init = z_init + network.token_bonds(feats["token_bonds"]) + network.token_bonds_type(feats["type_bonds"])
    z_init = z_init + network.contact_conditioning(feats)
    s, z, mask = torch.zeros_like(s_init), torch.zeros_like(z_init), feats["token_pad_mask"]
    pair_mask = mask[:, :, None] * mask[:, None]
    for _ in range(recycles + 1):
        s, z = s_init + network.s_recycle(network.s_norm(s)), z_init + network.z_recycle(network.z_norm(z))
        z = z + network.token_distance_module(z, feats, pair_mask, relative)
        z = z + network.template_module(z, feats, pair_mask)
        z = z + network.msa_module(z, s_inputs, feats)
        s, z = network.pairformer_module(s, z, mask=mask, pair_mask=pair_mask)
    return s_inputs, s, z, relative


def networks(settings: dict[str, Any]) -> tuple[Boltz, BoltzNetwork]:
    """Both networks with the same parameters."""
    more = {"training_args": types.SimpleNamespace(), "validation_args": {}}
    ours = filled_network(design_config(settings))
    return with_our_parameters(Boltz(**settings, **more), ours), ours


def compare(label: str, settings: dict[str, Any]) -> dict[str, Tensor]:
    """Prints how far each output is off; BoltzGen's outputs."""
    theirs, ours = networks(settings)
    inputs = draw_design_inputs()
    wanted, found = boltzgen_outputs(theirs, inputs), own_outputs(ours, inputs)
    print_outputs(label, ours, wanted, found)
    return wanted


def compare_levels() -> None:
    """Prints how far the noise levels are off, as a share of each."""
    settings = {"sampling_schedule": "dilated", "time_dilation": 2.667, "time_dilation_start": 0.6,
                "time_dilation_end": 0.8}  # fmt: skip
    theirs = networks(hyper_parameters() | {"diffusion_process_args": settings})[0].structure_module
    wanted = theirs.sample_schedule_dilated(500).double()
    found = torch.tensor(SamplingConfig(**SAMPLING_OF_DESIGNS).levels(), dtype=torch.float64)  # type: ignore[arg-type]
    off = ((wanted - found).abs() / found.clamp(min=1e-9)).max()
    print(f"noise levels: {len(found)}, off by {float(off):.2g} of each at most")


def compare_letters() -> None:
    """Lays the ten atoms of residues on N and O as BoltzGen's table says, and reads both programs' letters."""
    names = [name for name in const.fake_atom_placements if name != "UNK"]
    backbone = 3 * torch.eye(4)[:, :3]

    def place(slot: int, where: str) -> Tensor:
        far = torch.full((3,), 20.0 + slot)
        return backbone[{"N": 0, "O": 3}.get(where, slot)] if slot < 4 or where != "." else far

    placements = [const.fake_atom_placements[name] for name in names]
    positions = torch.stack([torch.stack([place(*each) for each in enumerate(own)]) for own in placements])
    positions += 0.1 * torch.randn(positions.shape, generator=torch.Generator().manual_seed(0))
    count = len(names)
    feats = {
        "design_mask": torch.ones(count), "mol_type": torch.zeros(count), "token_index": torch.arange(count),
        "atom_to_token": torch.eye(count).repeat_interleave(14, 0), "atom_pad_mask": torch.ones(count * 14),
        "coords": positions.flatten(0, 1), "res_type": torch.zeros(count, 33).long(),
        "ccd": torch.zeros(count, 5).long(), "ref_atom_name_chars": torch.zeros(count * 14, 4, 64).long(),
        "ref_element": torch.zeros(count * 14, 128).long(),
    }  # fmt: skip
    wanted = [const.tokens[row] for row in res_from_atom14(feats)["res_type"].argmax(-1).tolist()]
    open_ = torch.ones(1, count, dtype=torch.bool)
    found = [RESTYPES[row] for row in letter_logits(positions[None], open_)[0].argmax(-1).tolist()]
    assert wanted == names, wanted
    print(f"letters: {sum(one == other for one, other in zip(wanted, found, strict=True))} of {count} alike")


def main() -> None:
    """Runs the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="rewrite tests/golden/boltz/designs.npz")
    asked = parser.parse_args()
    wanted = compare("tiny", hyper_parameters())
    compare("BoltzGen's widths", hyper_parameters(full=True))
    compare_levels()
    compare_letters()
    if asked.write:
        path = ROOT / "tests" / "golden" / "boltz" / "designs.npz"
        np.savez_compressed(path, **{name: value.numpy() for name, value in wanted.items()})
        print(f"wrote {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
