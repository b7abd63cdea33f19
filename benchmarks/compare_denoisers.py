"""Designs of the denoiser compared by validation loss for equal training time on one core.

    python benchmarks/compare_denoisers.py DATA --minutes 8 [--only NAME ...]

Each design trains from the same seed on the same stream of batches; the losses are those of the same held-out batches.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from structdiff.model import denoiser as denoiser_module
from structdiff.model.geometry_embedder import GeometryEmbedder
from structdiff.model.network import mini
from structdiff.nn import vectors
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.dataset import StructureSet
from structdiff.training.module import TrainingModule
from structdiff.training.tasks import TaskMix

CROPS = ((64, 4, 1.0),)


class QuadrupoleEmbedder(GeometryEmbedder):
    """Messages with l = 2 spherical harmonics as well, coupled to scalars and, with vectors, to vectors (e3nn)."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        from e3nn import o3

        self.harmonics = o3.SphericalHarmonics([2], normalize=True)
        self.register_buffer("coupling", o3.wigner_3j(2, 1, 1), persistent=False)
        self.radial_2 = nn.Linear(sizes["c_geometry"], self.messages)
        self.mix_2 = nn.Linear(sizes["c_vector"], self.messages, bias=False)
        self.scalars_2 = nn.Linear(self.messages, sizes["c_token"], bias=False)
        self.vectors_2 = nn.Linear(self.messages, sizes["c_vector"], bias=False)

    def forward(self, s: Tensor, v: Tensor, centre: Tensor, *rest: Tensor):
        s, v, bias = super().forward(s, v, centre, *rest)
        arrow = centre[:, None] - centre[:, :, None]
        distance = torch.sqrt(arrow.square().sum(-1) + 1e-6)
        weight = torch.exp(-distance / 8.0)[..., None] * self.radial_2(self.distance(self.basis(distance)))
        order_2 = self.harmonics(arrow + 1e-6).transpose(2, 3) @ weight
        mixed = self.mix_2(self.norm_v(v))
        s = s + self.scalars_2(order_2.square().sum(-2))
        return s, v + self.vectors_2(torch.einsum("btmk,btnk,mno->btok", order_2, mixed, self.coupling)), bias


class MirrorBlindTransition(vectors.VectorTransition):
    """The transition without its cross product: equivariant to reflections too, so it cannot tell hands apart."""

    def forward(self, s: Tensor, v: Tensor, noise: Tensor):
        normed, gate = self.modulation(s, noise)
        left, right, third = self.mix(self.norm_v(v)).chunk(3, -1)
        up, gated = self.up(torch.cat([normed, (left * right).sum(-2)], -1)).chunk(2, -1)
        out = self.down(torch.nn.functional.silu(up) * gated)
        ds, gates = out[..., : self.c_token], out[..., None, self.c_token :]
        return s + gate * ds, v + self.vectors_out(torch.cat([third, left], -1) * gates)


def _sized(**changes: int):
    config = mini()
    return dataclasses.replace(config, denoiser=dataclasses.replace(config.denoiser, **changes))


#: name: (sizes, replacement of GeometryEmbedder, replacement of VectorTransition)
DESIGNS = {
    "vectors": (_sized(), GeometryEmbedder, vectors.VectorTransition),
    "vectors, l = 2 messages": (_sized(), QuadrupoleEmbedder, vectors.VectorTransition),
    "vectors, geometry read once": (_sized(blocks_per_geometry=8), GeometryEmbedder, vectors.VectorTransition),
    "vectors, wide and shallow": (
        _sized(c_token=256, c_vector=64, blocks=5, blocks_per_geometry=3), GeometryEmbedder, vectors.VectorTransition,
    ),
    "vectors, blind to handedness": (_sized(), GeometryEmbedder, MirrorBlindTransition),
}  # fmt: skip


def run(name: str, data: Path, minutes: float) -> dict[str, float]:
    config, embedder, transition = DESIGNS[name]
    denoiser_module.GeometryEmbedder, denoiser_module.VectorTransition = embedder, transition
    torch.manual_seed(0)
    module = TrainingModule(config, seed=0)
    module.optimiser = dataclasses.replace(module.optimiser, warmup_steps=100)
    settings = module.configure_optimizers()
    optimiser, schedule = settings["optimizer"], settings["lr_scheduler"]["scheduler"]
    train = TrainingBatches(StructureSet(data, "train"), BatchConfig(crops=CROPS), TaskMix(), seed=0)
    held_out = TrainingBatches(StructureSet(data, "val"), BatchConfig(crops=CROPS), TaskMix(), seed=1, count=10)
    began, step = time.process_time(), 0
    while time.process_time() - began < 60 * minutes:
        terms = module.losses(module.network, train.batch(step), torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(module.network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        step += 1
    seconds = time.process_time() - began
    with torch.no_grad():
        results = [
            module.losses(module.network, b, torch.Generator().manual_seed(7 + i)) for i, b in enumerate(held_out)
        ]
    means = {key: float(torch.stack([terms[key] for terms in results]).mean()) for key in results[0]}
    return {"steps": step, "seconds": round(seconds, 1), "parameters": _count(module.network)} | means


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--only", nargs="*", default=list(DESIGNS))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = {}
    for name in arguments.only:
        table[name] = run(name, arguments.data, arguments.minutes)
        print(name, json.dumps({key: round(value, 4) for key, value in table[name].items()}), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
