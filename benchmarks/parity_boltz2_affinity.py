"""Compares our affinity modules of Boltz-2 with the boltz package's own, output by output.

    pip install --no-deps boltz==2.2.1 numba llvmlite einx mashumaro torchmetrics
    python benchmarks/parity_boltz2_affinity.py [--write]

Parameters and inputs are random (tests/parity/boltz2_affinity_cases.py), and parameters go through the names that a
published checkpoint's go through. Prints the largest difference of each output, for tiny networks and for Boltz-2's
widths with few blocks of each stack.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from boltz.model.models.boltz2 import Boltz2
from torch import Tensor

from structdiff.model.boltz.confidence import one_of
from structdiff.model.boltz.inputs import BoltzInputs

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from parity_boltz2 import boltz_features, boltz_trunk, networks  # noqa: E402

from tests.parity.boltz2_affinity_cases import (  # noqa: E402
    affinity_hyper_parameters,
    draw_affinity_inputs,
    own_affinities,
)
from tests.parity.boltz2_cases import noisy_positions  # noqa: E402


@torch.inference_mode()
def boltz_affinities(network: Boltz2, inputs: BoltzInputs, binder: Tensor) -> dict[str, Tensor]:
    """What `own_affinities` gives, complex by complex, by Boltz's modules as Boltz2.forward calls them."""
    noisy, _ = noisy_positions(inputs)
    found: dict[str, list[Tensor]] = {}
    for row in range(len(noisy)):
        feats = boltz_features(one_of(inputs, row)) | {"affinity_token_mask": binder[row : row + 1].float()}
        s_inputs, _, z, _ = boltz_trunk(network, feats, recycles=1)
        there = feats["token_pad_mask"][0]
        receptor, ligand = (feats["mol_type"][0] == 0) * there, feats["affinity_token_mask"][0] * there
        cross = ligand[:, None] * receptor + receptor[:, None] * ligand + ligand[:, None] * ligand
        for number, module in enumerate(modules_of(network), start=1):
            said = module(
                s_inputs=s_inputs, z=z * cross[None, :, :, None], x_pred=noisy[row][None, None], feats=feats,
                multiplicity=1,
            )  # fmt: skip
            found.setdefault(f"log10_ic50_{number}", []).append(said["affinity_pred_value"][:, 0])
            found.setdefault(f"binder_logit_{number}", []).append(said["affinity_logits_binary"][:, 0])
    return {name: torch.cat(values) for name, values in found.items()}


def modules_of(network: Boltz2) -> list[torch.nn.Module]:
    """Boltz's affinity modules: one, or two of an ensemble."""
    return [network.affinity_module1, network.affinity_module2] if network.affinity_ensemble else [
        network.affinity_module
    ]  # fmt: skip


def compare(label: str, settings: dict[str, Any]) -> dict[str, Tensor]:
    """Prints how far each output is off; Boltz's outputs."""
    theirs, ours = networks(settings)
    inputs, binder = draw_affinity_inputs()
    wanted, found = boltz_affinities(theirs, inputs, binder), own_affinities(ours, inputs, binder)
    count = sum(parameter.numel() for parameter in ours.affinity.parameters()) / 1e6
    print(f"{label}: {count:.2f} million parameters of affinity modules")
    for name, value in wanted.items():
        off = float((value - found[name]).abs().max())
        print(f"  {name:16} {value.numpy().round(4).tolist()}, off by {off:.2g}")
    return wanted


def main() -> None:
    """Runs the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="rewrite tests/golden/boltz/affinity.npz")
    asked = parser.parse_args()
    wanted = compare("tiny", affinity_hyper_parameters())
    compare("tiny, one module", affinity_hyper_parameters(ensemble=False))
    compare("Boltz-2's widths", affinity_hyper_parameters(full=True))
    if asked.write:
        path = ROOT / "tests" / "golden" / "boltz" / "affinity.npz"
        np.savez_compressed(path, **{name: value.numpy() for name, value in wanted.items()})
        print(f"wrote {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
