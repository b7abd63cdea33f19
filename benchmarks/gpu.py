"""A machine with a GPU, measured in one go: agreement with the CPU, designs a second, training speed.

    python benchmarks/gpu.py [--data DATA --train-minutes 7 --out runs/gpu] [--json OUT]

Without --data only sampling is measured. With it, `mini` is trained from the default weights under bf16 autocast, and
the weights are left in OUT/weights. ``--device cpu --quick`` runs the same on a CPU, to test this script.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import torch

from structdiff.diffusion.sampler import sample_generator
from structdiff.engine import Engine
from structdiff.features.build import build_features
from structdiff.features.condition import Condition
from structdiff.features.schema import Features
from structdiff.model.library import load_named_weights
from structdiff.options import recommended_sampling
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.dataset import StructureSet
from structdiff.training.module import OptimiserConfig, TrainingModule
from structdiff.training.run import TrainConfig, train
from structdiff.training.tasks import TaskMix


def free_chain(residues: int) -> Features:
    chain = ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("UNK",) * residues)
    return build_features(build_structure([chain]), Condition.unknown(residues, sequence_known=False))


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def draw(engine: Engine, residues: int, batch: int, steps: int) -> tuple[torch.Tensor, float]:
    sampling = dataclasses.replace(recommended_sampling(engine.weights), steps=steps)
    began = time.monotonic()
    items = engine.draw([free_chain(residues)] * batch, [sample_generator(0, i) for i in range(batch)], sampling)
    wait(engine.device)
    return items[0].positions, time.monotonic() - began


def sampling_figures(device: torch.device, quick: bool) -> dict[str, object]:
    engines = {name: Engine(load_named_weights("mini"), device=torch.device(name)) for name in ("cpu", device.type)}
    steps = 4 if quick else 50
    here, _ = draw(engines[device.type], 64, 1, steps)
    there, _ = draw(engines["cpu"], 64, 1, steps)
    figures: dict[str, object] = {"largest_difference_from_cpu_angstrom": float((here - there).abs().max())}
    for residues, batch in ((64, 4),) if quick else ((64, 1), (64, 16), (64, 64), (128, 16), (256, 4)):
        draw(engines[device.type], residues, batch, 2)
        _, seconds = draw(engines[device.type], residues, batch, steps)
        figures[f"designs_per_second, {residues} residues, batch {batch}, {steps} steps"] = batch / seconds
    if device.type == "cuda":
        figures["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return figures


def training_figures(data: Path, device: torch.device, quick: bool) -> dict[str, float]:
    """Noisy copies of structures a second in a training step, float32 and bf16 autocast."""
    module = TrainingModule(load_named_weights("mini").network.config, noise_levels=2 if quick else 16).to(device)
    size = 1 if quick else 16
    crops = BatchConfig(crops=((64, size, 1.0),))
    batch = TrainingBatches(StructureSet(data, "train"), crops, TaskMix(), seed=0).batch(0).to(device)
    optimiser = torch.optim.AdamW(module.network.parameters(), lr=1e-5)
    figures = {}
    for name, half in (("float32", False), ("bfloat16", True)):
        for repeat in range(2 if quick else 12):
            if repeat == (1 if quick else 4):
                wait(device)
                began = time.monotonic()
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                loss = module.losses(module.network, batch, torch.Generator().manual_seed(repeat))["loss"]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        wait(device)
        steps = 1 if quick else 8
        figures[f"training samples per second, {name}"] = (
            steps * size * module.noise_levels / (time.monotonic() - began)
        )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--train-minutes", type=float, default=7.0)
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    device = torch.device(options.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    figures: dict[str, object] = {"device": name, "torch": torch.__version__}
    figures |= sampling_figures(device, options.quick)
    if options.data is not None:
        figures |= training_figures(options.data, device, options.quick)
    for key, value in figures.items():
        print(f"{key}: {value}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    if options.data is not None and not options.quick:
        train(
            TrainConfig(
                data=options.data, out=options.out, start_from=Path("weights/mini"), accelerator="gpu",
                precision="bf16-mixed", noise_levels=16, max_minutes=options.train_minutes,
                batches=BatchConfig(crops=((64, 32, 0.5), (96, 16, 0.25), (128, 8, 0.25))),
                optimiser=OptimiserConfig(learning_rate=5e-4, warmup_steps=100),
            )
        )  # fmt: skip


if __name__ == "__main__":
    main()
