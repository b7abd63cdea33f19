"""The whole program on a GPU: agreement with the CPU, designs a second, training steps and their MFU."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import torch
from gpu_agreement import mode
from torch.utils.flop_counter import FlopCounterMode

from structdiff.diffusion.sampler import sample_generator
from structdiff.engine import Engine
from structdiff.features.build import build_features
from structdiff.features.condition import Condition
from structdiff.features.schema import Features
from structdiff.model.library import load_named_weights
from structdiff.options import recommended_sampling
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind
from structdiff.training import set_archive
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.dataset import StructureSet
from structdiff.training.module import TrainingModule
from structdiff.training.tasks import TaskMix

#: Dense matrix products a second by the makers' data sheets: float32 without, and bfloat16 on, tensor cores.
PEAK_TFLOPS = {
    "H100": {"float32": 67, "bfloat16": 989},
    "H200": {"float32": 67, "bfloat16": 989},
    "A100": {"float32": 19.5, "bfloat16": 312},
}
Report = Callable[[dict[str, object]], None]
_STRUCTURES = Path(__file__).parents[1] / "tests" / "data"


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


def sampling_figures(device: torch.device, quick: bool, report: Report) -> dict[str, object]:
    """How far a draw is from the CPU's, and designs a second with native kernels and with PyTorch's."""
    engines = {name: Engine(load_named_weights("mini"), device=torch.device(name)) for name in ("cpu", device.type)}
    steps = 4 if quick else 50
    here, _ = draw(engines[device.type], 64, 1, steps)
    with mode("reference"):
        there, _ = draw(engines["cpu"], 64, 1, steps)
    difference = (here.cpu() - there.cpu()).abs().max()
    figures: dict[str, object] = {"largest difference from the CPU, Å": float(difference)}
    for residues, batch in ((64, 4),) if quick else ((64, 1), (64, 16), (64, 64), (128, 16), (256, 4)):
        for kind in ("auto", "reference"):
            with mode(kind):
                draw(engines[device.type], residues, batch, 2)
                _, seconds = draw(engines[device.type], residues, batch, steps)
            name = "kernels" if kind == "auto" else "PyTorch"
            figures[f"designs a second, {residues} residues, batch {batch}, {steps} steps, {name}"] = batch / seconds
            report(figures)
    if device.type == "cuda":
        figures["peak memory, GiB"] = torch.cuda.max_memory_allocated() / 2**30
    return figures


def training_set(given: Path | None, out: Path) -> Path:
    """The data to train on: what was given (a set, or its archive), else the structures of the tests."""
    path = out / "structures"
    if given is not None and given.is_dir():
        return given
    if given is not None:
        if not path.exists():
            set_archive.unpack(given, path)
    elif not path.exists():
        from structdiff.training.folder import convert_folder  # reads files, for which gemmi must be there

        convert_folder(_STRUCTURES, path, validation_fraction=0, test_fraction=0, progress=False)
    return path


def training_figures(data: Path, device: torch.device, quick: bool, report: Report) -> dict[str, object]:
    """Noisy copies of structures a second in a training step, FLOP and MFU; float32 and bf16 autocast."""
    module = TrainingModule(load_named_weights("mini").network.config, noise_levels=2 if quick else 16).to(device)
    size = 1 if quick else 16
    crops = BatchConfig(crops=((64, size, 1.0),))
    batch = TrainingBatches(StructureSet(data, "train"), crops, TaskMix(), seed=0).batch(0).to(device)
    optimiser = torch.optim.AdamW(module.network.parameters(), lr=1e-5)
    steps, unmeasured = (1, 1) if quick else (8, 4)

    def step(half: bool, seed: int) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            loss = module.losses(module.network, batch, torch.Generator().manual_seed(seed))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    # Counted in PyTorch's own operators: the counter does not know ours. Each step draws its recycles by its seed.
    with mode("reference"), FlopCounterMode(display=False) as counter:
        for seed in range(unmeasured, unmeasured + steps):
            step(False, seed)
    flop = counter.get_total_flops() / steps
    figures: dict[str, object] = {"tera FLOP of matrix products in a training step": flop / 1e12}
    for precision, half in (("float32", False), ("bfloat16", True)):
        for kind in ("auto", "reference"):
            with mode(kind):
                for seed in range(unmeasured):
                    step(half, seed)
                wait(device)
                began = time.monotonic()
                for seed in range(unmeasured, unmeasured + steps):
                    step(half, seed)
                wait(device)
            seconds = (time.monotonic() - began) / steps
            name = f"{precision}, {'kernels' if kind == 'auto' else 'PyTorch'}"
            figures[f"training samples a second, {name}"] = size * module.noise_levels / seconds
            figures |= _utilisation(name, precision, flop / seconds, device)
            report(figures)
    return figures


def _utilisation(name: str, precision: str, flop_per_second: float, device: torch.device) -> dict[str, object]:
    figures: dict[str, object] = {f"training TFLOP/s, {name}": flop_per_second / 1e12}
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    for model, peaks in PEAK_TFLOPS.items():
        if model in gpu:
            figures[f"training MFU %, {name}"] = 100 * flop_per_second / 1e12 / peaks[precision]
    return figures
