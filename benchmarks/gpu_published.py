"""The networks of Boltz-2 and BoltzGen on a GPU, random parameters: agreement with the CPU, seconds, precision."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from gpu_agreement import mode
from gpu_engine import Report, free_chain, wait

from structdiff.features.build import build_features
from structdiff.features.collate import collate
from structdiff.features.schema import Features
from structdiff.model.boltz.config import BoltzConfig, EmbedderConfig, KnownDistanceConfig
from structdiff.model.boltz.network import BoltzNetwork
from structdiff.precision import rounded
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind

_SIGMA = 12.0  # Å
#: What matrix products may be rounded to; the authors have bfloat16 in the trunk, and float32 in the denoiser.
_PRECISIONS = ("float32", "tf32", "bfloat16")


def networks(*, quick: bool) -> dict[str, BoltzNetwork]:
    """Both networks in their own widths; 4 of 64 Pairformer blocks, which are all alike."""
    sizes = BoltzConfig()
    blocks = 1 if quick else 4
    sizes = dataclasses.replace(sizes, pairformer=dataclasses.replace(sizes.pairformer, blocks=blocks))
    flags = EmbedderConfig(designed=True, binding=True, secondary_structure=True)
    designs = dataclasses.replace(
        sizes, embedder=flags, template=None, confidence=None, known_distances=KnownDistanceConfig()
    )
    torch.manual_seed(0)
    found = {"Boltz-2": BoltzNetwork(sizes), "BoltzGen": BoltzNetwork(designs)}
    for network in found.values():
        network.eval().requires_grad_(False)
        for parameter in network.parameters():  # layers that begin as nothing would hide what comes before them
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.02)
    return found


def features_of(network: BoltzNetwork, residues: int) -> Features:
    """A chain of alanines, or of residues that are open."""
    if network.config.designs:
        return collate([network.prepared(free_chain(residues))])
    chain = ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("ALA",) * residues)
    return collate([build_features(build_structure([chain]), conformers=True)])


@torch.inference_mode()
def evaluated(network: BoltzNetwork, features: Features) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """What trunk and denoiser give, and the seconds that each takes once it has run before."""
    device = features.token.mask.device
    noisy = 8 * torch.randn(1, features.atom.mask.shape[1], 3, generator=torch.Generator().manual_seed(0)).to(device)
    sigma = torch.full((1,), _SIGMA, device=device)
    trunk, trunk_seconds = timed(lambda: network.trunk(features, recycles=0), device)
    condition = network.denoiser.condition(features, trunk)
    denoised, step_seconds = timed(lambda: network.denoiser(condition, noisy, sigma), device)
    found = {"single": trunk.s_trunk, "pair": trunk.z_trunk, "positions": denoised.positions}
    return found, {"trunk": trunk_seconds, "step": step_seconds}


def timed(run: Callable, device: torch.device) -> tuple:
    """What a call gives, and the seconds of its second run."""
    run()
    wait(device)
    began = time.monotonic()
    found = run()
    wait(device)
    return found, time.monotonic() - began


@contextmanager
def multiplied_by(precision: str, device: torch.device) -> Iterator[None]:
    """Matrix products as they are, by TF32, or of operands that are rounded to bfloat16, with TF32 for the others."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    try:
        with rounded(precision, device):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def by_precision(network: BoltzNetwork, features: Features) -> dict[str, float]:
    """Seconds of trunk and denoiser by precision, and how far each is from float32 (largest, and root mean square)."""
    device, found, exact = features.token.mask.device, {}, {}
    for precision in _PRECISIONS:
        with multiplied_by(precision, device):
            values, seconds = evaluated(network, features)
        exact = exact or values
        found |= {f"{part}, s, {precision}": value for part, value in seconds.items()}
        for part, value in values.items():
            off = (value.float() - exact[part]).double()
            found[f"{part}, largest difference, {precision}"] = float(off.abs().max() / exact[part].abs().max())
            found[f"{part}, RMS difference, {precision}"] = float(off.square().mean().sqrt() / exact[part].std())
    return found


def published_figures(device: torch.device, quick: bool, report: Report) -> dict[str, object]:
    """Largest differences from the CPU as shares of the largest value, and seconds in several ways."""
    figures: dict[str, object] = {}
    for name, network in networks(quick=quick).items():
        with mode("reference"):
            wanted, _ = evaluated(network, features_of(network, 24 if quick else 64))
        network.to(device)
        found, _ = evaluated(network, features_of(network, 24 if quick else 64).to(device))
        for part, value in wanted.items():
            off = (found[part].cpu() - value).abs().max() / value.abs().max()
            figures[f"{name}: {part}, largest difference from the CPU"] = float(off)
        report(figures)
        for residues in (24,) if quick else (128, 256, 512):
            features = features_of(network, residues).to(device)
            for kind in ("auto", "reference"):
                with mode(kind):
                    _, seconds = evaluated(network, features)
                of = "kernels" if kind == "auto" else "PyTorch"
                figures |= {f"{name}: {residues} residues, {part}, s, {of}": value for part, value in seconds.items()}
            report(figures)
        rows = by_precision(network, features_of(network, 24 if quick else 256).to(device))
        figures |= {f"{name}: {row}": value for row, value in rows.items()}
        report(figures)
        network.cpu()
    return figures
