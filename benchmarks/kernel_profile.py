"""Where the time of designs, predictions and training goes, with native kernels and with the PyTorch references.

    python benchmarks/kernel_profile.py [--tokens 64 128 256] [--data DATA] [--json OUT]

Processor seconds of this process on one thread, so that what else runs on the machine counts little; both kinds take
turns in one process and the smaller of --repeats runs stands. DATA is a prepared training set (docs/data.md), for the
training step. Weights: mini.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

import structdiff
from structdiff import assembly, finishing, kernels
from structdiff.model.geometry_embedder import GeometryEmbedder
from structdiff.model.heads import ConfidenceHead
from structdiff.model.network import mini
from structdiff.model.trunk import Trunk
from structdiff.nn.vectors import PointAttention, VectorTransition
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec

PARTS = {
    "trunk": (Trunk, "forward"),
    "denoiser: geometry of pairs": (GeometryEmbedder, "forward"),
    "denoiser: attention": (PointAttention, "forward"),
    "denoiser: transitions": (VectorTransition, "forward"),
    "confidence head": (ConfidenceHead, "forward"),
    "relaxation of predictions": (finishing, "relax"),
    "relaxation of designs": (assembly, "relax"),
}
_SEQUENCE = (
    "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVVHSLAKWKRQTLGQHDFSAGEGLYTHMKALRPDEDRLSPL"
    "HSVYVDQWDWE"
)


@contextmanager
def watched(seconds: dict[str, float]) -> Iterator[None]:
    """Adds up the processor time that each part takes."""
    kept = {part: getattr(owner, name) for part, (owner, name) in PARTS.items()}

    def timed(part: str, function: Callable) -> Callable:
        def call(*arguments: object, **options: object) -> object:
            began = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                seconds[part] += time.process_time() - began

        return call

    for part, (owner, name) in PARTS.items():
        setattr(owner, name, timed(part, kept[part]))
    try:
        yield
    finally:
        for part, (owner, name) in PARTS.items():
            setattr(owner, name, kept[part])


def prediction(tokens: int) -> Callable[[], None]:
    """One prediction of a protein of so many residues."""
    sequence = (_SEQUENCE * (1 + tokens // len(_SEQUENCE)))[:tokens]
    spec = ComplexSpec(chains=(ChainSpec(ids=("A",), kind="protein", sequence=sequence),))
    return lambda: deque(structdiff.predict(spec), maxlen=0).clear()


def design(tokens: int) -> Callable[[], None]:
    """Designs of so many residues from nothing: four, as one batch, of 100 residues or fewer, else one."""
    spec = structdiff.DesignSpec(
        contigs=structdiff.parse_contigs(str(tokens)), num_designs=4 if tokens <= 100 else 1, seed=1
    )
    return lambda: deque(structdiff.design(spec), maxlen=0).clear()


def training_step(data: Path) -> Callable[[], None]:
    """Two steps on batches of four crops of 64 tokens at eight noise levels."""
    from structdiff.training.batches import BatchConfig, TrainingBatches
    from structdiff.training.dataset import StructureSet
    from structdiff.training.module import TrainingModule
    from structdiff.training.tasks import TaskMix

    module = TrainingModule(mini(), seed=0)
    batches = TrainingBatches(StructureSet(data), BatchConfig(crops=((64, 4, 1.0),)), TaskMix(), seed=0)
    first = [batches.batch(step) for step in range(2)]

    def steps() -> None:
        for step, batch in enumerate(first):
            module.zero_grad()
            module.losses(module.network, batch, torch.Generator().manual_seed(step))["loss"].backward()

    return steps


def compare(work: Callable[[], None], repeats: int) -> dict[str, dict[str, float]]:
    """Seconds of the whole and of its parts, by kind of kernels."""
    best: dict[str, dict[str, float]] = {}
    for _ in range(repeats):
        for mode in ("reference", "auto"):
            kernels.set_mode(mode)
            seconds: dict[str, float] = defaultdict(float)
            with watched(seconds):
                began = time.process_time()
                work()
                whole = time.process_time() - began
            row = dict(seconds) | {"all": whole}
            kind = "native" if mode == "auto" else mode
            if kind not in best or whole < best[kind]["all"]:
                best[kind] = row
    kernels.set_mode(None)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="*", default=[64, 128, 256])
    parser.add_argument(
        "--only", choices=("design", "predict", "train"), nargs="*", default=["design", "predict", "train"]
    )
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    jobs: dict[str, Callable[[], None]] = {}
    for tokens in options.tokens:
        if "predict" in options.only:
            jobs[f"predict, {tokens} tokens"] = prediction(tokens)
        if "design" in options.only:
            jobs[f"design, {tokens} tokens"] = design(tokens)
    if "train" in options.only and options.data is not None:
        jobs["two training steps"] = training_step(options.data)
    table = {}
    for name, work in jobs.items():
        table[name] = compare(work, options.repeats)
        native, reference = table[name]["native"], table[name]["reference"]
        print(f"{name}: {native['all']:.2f} s of {reference['all']:.2f} s: {native['all'] / reference['all']:.2f}")
        for part in PARTS:
            if part in native:
                print(f"    {part}: {native[part]:.2f} s of {reference[part]:.2f} s", flush=True)
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
