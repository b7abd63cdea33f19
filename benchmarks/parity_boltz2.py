"""Compares our network of Boltz-2 with the boltz package's own, parameter by parameter and output by output.

    pip install --no-deps boltz==2.2.1 numba llvmlite einx mashumaro torchmetrics && python benchmarks/parity_boltz2.py

Parameters and inputs are random (tests/parity/boltz2_cases.py), and parameters go through the names that a published
checkpoint's go through. Prints the largest difference of each output, for tiny networks and for Boltz-2's widths with
two blocks of each stack; --times prints how long each part of both takes for proteins, and what bfloat16 does to the
trunk.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from boltz.model.models.boltz2 import Boltz2
from boltz_parity import print_outputs, with_our_parameters
from torch import Tensor
from torch.nn.functional import one_hot

from structdiff.complex_jobs import complex_job
from structdiff.features.collate import collate
from structdiff.model.boltz.confidence import one_of
from structdiff.model.boltz.config import config_from_hyper_parameters
from structdiff.model.boltz.inputs import BoltzInputs, boltz_inputs
from structdiff.model.boltz.network import BoltzNetwork
from structdiff.model.trunk import TrunkOutput
from structdiff.precision import rounded
from structdiff.spec.read import read_complex

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.parity.boltz2_cases import (  # noqa: E402
    draw_boltz_inputs,
    filled_network,
    hyper_parameters,
    noisy_positions,
    only_there,
    other_settings,
    own_outputs,
)

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVV"


def boltz_features(inputs: BoltzInputs) -> dict[str, Tensor]:
    """The same inputs as Boltz's network wants them."""
    contact = one_hot(inputs.contact_type, 5).float()
    tokens = inputs.token_mask.shape[1]
    atoms = inputs.atom_mask
    representative = one_hot(inputs.representative, atoms.shape[1]).float()
    return {
        "token_pad_mask": inputs.token_mask.float(), "res_type": one_hot(inputs.residue_type, 33),
        "profile": inputs.profile, "deletion_mean": inputs.deletion_mean, "mol_type": inputs.molecule_type,
        "method_feature": inputs.method, "modified": inputs.modified, "cyclic_period": inputs.cyclic_period,
        "residue_index": inputs.residue_index, "token_index": inputs.token_index, "asym_id": inputs.asym_id,
        "entity_id": inputs.entity_id, "sym_id": inputs.sym_id, "token_to_rep_atom": representative,
        "token_bonds": inputs.token_bonds[..., None], "type_bonds": inputs.bond_type, "contact_conditioning": contact,
        "contact_threshold": inputs.contact_threshold, "atom_pad_mask": atoms.float(),
        "atom_to_token": one_hot(inputs.atom_token, tokens) * atoms[..., None],
        "ref_pos": inputs.reference_positions, "ref_charge": inputs.reference_charge,
        "ref_element": one_hot(inputs.reference_element, 128).float() * 1.0,
        "ref_atom_name_chars": one_hot(inputs.reference_name, 64).float(), "ref_space_uid": inputs.reference_space,
        "atom_backbone_feat": one_hot(inputs.backbone, 17).float(), "msa": inputs.msa,
        "has_deletion": inputs.has_deletion, "deletion_value": inputs.deletion_value, "msa_paired": inputs.msa_paired,
        "msa_mask": inputs.msa_mask, "template_restype": one_hot(inputs.template_type, 33).float(),
        "template_frame_rot": inputs.template_frame_rotation, "template_frame_t": inputs.template_frame_origin,
        "template_mask_frame": inputs.template_frame_mask, "template_cb": inputs.template_cb,
        "template_ca": inputs.template_ca, "template_mask_cb": inputs.template_cb_mask,
        "template_mask": inputs.template_mask, "visibility_ids": inputs.template_visibility.float(),
        "frames_idx": torch.zeros(1, tokens, 3, dtype=torch.long),
    }  # fmt: skip


def boltz_outputs(network: Boltz2, inputs: BoltzInputs) -> dict[str, Tensor]:
    """What `own_outputs` gives, entry by entry: Boltz's encoding of cyclic chains is for one alone."""
    noisy, sigma = noisy_positions(inputs)
    rows = [outputs_of_one(network, one_of(inputs, row), noisy[row : row + 1], sigma) for row in range(len(noisy))]
    return {name: torch.cat([each[name] for each in rows]) for name in rows[0]}


@torch.inference_mode()
def outputs_of_one(network: Boltz2, inputs: BoltzInputs, noisy: Tensor, sigma: float) -> dict[str, Tensor]:
    """The outputs for one complex by Boltz's modules, called as Boltz2.forward calls them."""
    feats = boltz_features(inputs)
    trunk = boltz_trunk(network, feats, recycles=1)
    denoised = boltz_denoised(network, feats, trunk, boltz_told(network, feats, trunk), noisy, sigma)
    judged = boltz_judged(network, feats, trunk, noisy)
    found = dict(zip(("s_inputs", "s", "z"), trunk, strict=False)) | {"denoised": denoised}
    return only_there(found | {name: judged[f"{name}_logits"] for name in ("plddt", "pae", "pde")}, inputs)


def boltz_trunk(network: Boltz2, feats: dict[str, Tensor], *, recycles: int) -> tuple[Tensor, ...]:
    """s_inputs, s and z of Boltz's trunk, and how its pairs stand to each other."""
    s_inputs = network.input_embedder(feats)
    s_init = network.s_init(s_inputs)
    relative = network.rel_pos(feats)
    z_init = network.z_init_1(s_inputs)[:, :, None] + network.z_init_2(s_inputs)[:, None] + relative
    z_init = z_init + network.token_bonds(feats["token_bonds"]) + network.contact_conditioning(feats)
    if network.bond_type_feature:
        z_init = z_init + network.token_bonds_type(feats["type_bonds"])
    s, z, mask = torch.zeros_like(s_init), torch.zeros_like(z_init), feats["token_pad_mask"]
    pair_mask = mask[:, :, None] * mask[:, None]
    for _ in range(recycles + 1):
        s, z = s_init + network.s_recycle(network.s_norm(s)), z_init + network.z_recycle(network.z_norm(z))
        if network.use_templates:
            z = z + network.template_module(z, feats, pair_mask)
        z = z + network.msa_module(z, s_inputs, feats)
        s, z = network.pairformer_module(s, z, mask=mask, pair_mask=pair_mask)
    return s_inputs, s, z, relative


def boltz_told(network: Boltz2, feats: dict[str, Tensor], trunk: tuple[Tensor, ...]) -> dict[str, object]:
    """What Boltz's denoiser is told at every step."""
    names = ("q", "c", "to_keys", "atom_enc_bias", "atom_dec_bias", "token_trans_bias")
    _, s, z, relative = trunk
    told = network.diffusion_conditioning(s_trunk=s, z_trunk=z, relative_position_encoding=relative, feats=feats)
    return dict(zip(names, told, strict=True))


def boltz_denoised(
    network: Boltz2, feats: dict[str, Tensor], trunk: tuple[Tensor, ...], told: dict[str, object], noisy: Tensor,
    sigma: float,
) -> Tensor:  # fmt: skip
    """Boltz's denoised positions of any number of samples."""
    asked = {"s_trunk": trunk[1], "s_inputs": trunk[0], "feats": feats, "multiplicity": len(noisy),
             "diffusion_conditioning": told}  # fmt: skip
    return network.structure_module.preconditioned_network_forward(noisy, sigma, asked)


def boltz_judged(
    network: Boltz2, feats: dict[str, Tensor], trunk: tuple[Tensor, ...], positions: Tensor
) -> dict[str, Tensor]:
    """What Boltz's confidence module says."""
    s_inputs, s, z, _ = trunk
    return network.confidence_module(
        s_inputs=s_inputs, s=s, z=z, x_pred=positions, feats=feats,
        pred_distogram_logits=network.distogram_module(z)[:, :, :, 0],
    )  # fmt: skip


def networks(settings: dict[str, Any]) -> tuple[Boltz2, BoltzNetwork]:
    """Both networks with the same parameters."""
    theirs = Boltz2(**settings)
    ours = filled_network(config_from_hyper_parameters(dict(theirs.hparams)))
    return with_our_parameters(theirs, ours), ours


def compare(label: str, settings: dict[str, Any]) -> dict[str, Tensor]:
    """Prints how far each output is off; Boltz's outputs."""
    theirs, ours = networks(settings)
    inputs = draw_boltz_inputs()
    wanted, found = boltz_outputs(theirs, inputs), own_outputs(ours, inputs)
    print_outputs(label, ours, wanted, found)
    return wanted


def timed_settings() -> dict[str, Any]:
    """Boltz-2's sizes, but 4 blocks of its Pairformer for 64, and 2 of the confidence module's for 8."""
    settings = hyper_parameters(full=True)
    settings["pairformer_args"]["num_blocks"] = settings["msa_args"]["msa_blocks"] = 4
    settings["score_model_args"]["token_transformer_depth"] = 24
    return settings


def protein_inputs(sequence: str, network: BoltzNetwork) -> BoltzInputs:
    """A protein without an alignment."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "protein.fasta"
        path.write_text(f">A|protein\n{sequence}\n")
        job = complex_job(read_complex(path), abilities=network.abilities)
    return boltz_inputs(collate([job.features]))


@torch.inference_mode()
def time_both(sequence: str, repeats: int, *, samples: int = 5) -> None:
    """Prints how long each part takes, by turns."""
    theirs, ours = networks(timed_settings())
    inputs = protein_inputs(sequence, ours)
    feats, sigma, denoiser = boltz_features(inputs), 12.0, ours.denoiser
    noisy = 8 * torch.randn(samples, inputs.atom_mask.shape[1], 3)
    trunk, own = boltz_trunk(theirs, feats, recycles=0), ours.trunk.understood(inputs, recycles=0)
    told, condition = boltz_told(theirs, feats, trunk), denoiser.told(inputs, own, inputs.residue_type)

    def ours_denoised(x: Tensor) -> Tensor:
        level = torch.full((len(x),), sigma)
        update = denoiser.update(condition.repeat(len(x)), denoiser.preconditioning.network_input(x, level), level)
        return denoiser.preconditioning.denoised(x, update, level)

    parts: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "trunk": (lambda: boltz_trunk(theirs, feats, recycles=0), lambda: ours.trunk.understood(inputs, recycles=0)),
        "conditioning": (
            lambda: boltz_told(theirs, feats, trunk),
            lambda: denoiser.told(inputs, own, inputs.residue_type),
        ),
        "denoiser, 1 sample": (
            lambda: boltz_denoised(theirs, feats, trunk, told, noisy[:1], sigma),
            lambda: ours_denoised(noisy[:1]),
        ),
        f"denoiser, {samples} samples": (
            lambda: boltz_denoised(theirs, feats, trunk, told, noisy, sigma),
            lambda: ours_denoised(noisy),
        ),
        "confidence": (
            lambda: boltz_judged(theirs, feats, trunk, noisy[:1]),
            lambda: ours.confidence.judged(inputs, own.s_inputs, own.s_trunk, own.z_trunk, noisy[:1]),
        ),
    }
    print(f"{len(sequence)} residues, {int(inputs.atom_mask.sum())} atoms")
    for name, pair in parts.items():
        print_times(name, pair, repeats)

    def rounded_trunk() -> TrunkOutput:
        with rounded("bfloat16", noisy.device):
            return ours.trunk.understood(inputs, recycles=0)

    print_times("trunk in bfloat16", (parts["trunk"][1], rounded_trunk), repeats, names=("float32", "bfloat16"))
    with rounded("bfloat16", noisy.device):
        boltz_rounded = boltz_trunk(theirs, feats, recycles=0)
    coarse = rounded_trunk()
    for what, exact, mine, other in (("single", own.s_trunk, coarse.s_trunk, boltz_rounded[1]),
                                     ("pair", own.z_trunk, coarse.z_trunk, boltz_rounded[2])):  # fmt: skip
        off = [float((each.float() - exact).square().mean().sqrt() / exact.std()) for each in (mine, other)]
        print(f"  {what}, what bfloat16 changes (RMS over standard deviation): ours {off[0]:.1e}, Boltz {off[1]:.1e}")


def print_times(
    name: str, pair: tuple[Callable[[], object], Callable[[], object]], repeats: int,
    names: tuple[str, str] = ("Boltz", "ours"),
) -> None:  # fmt: skip
    """The least time of Boltz's and of ours, and the median of their ratios with its range."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats + 1):  # the first warms up
        for run, taken in zip(pair, times, strict=True):
            began = time.perf_counter()
            run()
            taken.append(time.perf_counter() - began)
    theirs, own = times[0][1:], times[1][1:]
    ratios = sorted(one / other for one, other in zip(theirs, own, strict=True))
    print(f"  {name:20} {names[0]} {min(theirs):7.3f} s, {names[1]} {min(own):7.3f} s, "
          f"ratio {ratios[len(ratios) // 2]:.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]")  # fmt: skip


def main() -> None:
    """Runs the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="rewrite tests/golden/boltz/network.npz")
    parser.add_argument("--times", action="store_true", help="time both at 64, 128 and 256 residues")
    asked = parser.parse_args()
    wanted = compare("tiny", hyper_parameters())
    compare("tiny, with the settings that Boltz-2's weights do not have", other_settings())
    compare("Boltz-2's widths", hyper_parameters(full=True))
    if asked.write:
        path = ROOT / "tests" / "golden" / "boltz" / "network.npz"
        np.savez_compressed(path, **{name: value.numpy() for name, value in wanted.items()})
        print(f"wrote {path.stat().st_size} bytes")
    for length in (64, 128, 256) if asked.times else ():
        time_both((SEQUENCE * 4)[:length], 3)


if __name__ == "__main__":
    main()
