"""Training runs: from a settings file to weights, interrupted and resumed at will."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytorch_lightning as lightning
import torch
import yaml
from pytorch_lightning.callbacks import Callback
from torch.utils.data import DataLoader

from structdiff.configuration import from_dict, to_dict
from structdiff.errors import InputError
from structdiff.model.checkpoint import Weights, save_weights
from structdiff.model.network import ModelConfig, grown, preset, take_over
from structdiff.spec.input_files import read_text
from structdiff.structure.files import write_atomically
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.dataset import StructureSet
from structdiff.training.designs import designs_set, recorded_designs
from structdiff.training.history import handed_on, with_run
from structdiff.training.module import TrainingModule
from structdiff.training.packed import pack
from structdiff.training.redesign import recorded
from structdiff.training.resuming import beginning, changed_settings, last_step, require_finite, write_checkpoint
from structdiff.training.set_files import TRACES
from structdiff.training.step_settings import RUN_RANGES, LossWeights, NoiseConfig, OptimiserConfig, require_ranges
from structdiff.training.tasks import TaskMix
from structdiff.training.trainer import lightning_trainer
from structdiff.training.trial import Trial
from structdiff.training.updates import Updates

_COMPILING_SHARE = 0.3  # of a call's minutes, at most


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything a training run depends on.

    data: folder made by ``structdiff prepare``.
    designs: folder made by ``structdiff.training.designs``, of which ``batches.designs`` of the structures are drawn.
    out: folder for checkpoints, logs and weights.
    model: preset of sizes: tiny, mini, small or base.
    start_from: weights to begin with, by name or folder (a fresh network if none); a checkpoint in ``out`` wins over
        it. Its sizes win over those of the preset; a sequence encoder that it lacks is added, which changes nothing
        until it learns.
    max_steps: training steps in all, those of earlier calls included.
    max_minutes: wall-clock limit of this call, after which the run saves and ends.
    seed: of the first parameters, the order of the data and the noise.
    noise_levels: how many noisy copies of each structure a step denoises.
    noise: which noise levels those have.
    self_conditioning: share of the steps that see the network's own last prediction.
    recycles: further passes of the trunk, at most; each step draws from 0 to as many.
    batches, tasks, losses, optimiser: tables of settings of their own.
    accelerator: what to train on, as Lightning takes it: auto, cpu, gpu, mps.
    devices: how many of them.
    precision: of the arithmetic, as Lightning takes it: 32-true, bf16-mixed.
    threads: of the CPU; PyTorch decides if none.
    workers: processes that make batches ahead of the step; 0 makes them in the step's own process.
    compile: compile the network's blocks where that is quicker; each size of crop takes a while at the start.
    save_minutes: time between two checkpoints.
    log_steps: steps between two lines of the log.
    validate_steps: steps between two looks at validation data.
    validation_batches: how many batches such a look takes.
    """

    data: Path
    out: Path
    designs: Path | None = None
    model: str = "mini"
    start_from: Path | None = None
    max_steps: int = 100_000
    max_minutes: float | None = None
    seed: int = 0
    noise_levels: int = 8
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    self_conditioning: float = 0.5
    recycles: int = 1
    batches: BatchConfig = field(default_factory=BatchConfig)
    tasks: TaskMix = field(default_factory=TaskMix)
    losses: LossWeights = field(default_factory=LossWeights)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    accelerator: str = "auto"
    devices: int = 1
    precision: str = "32-true"
    threads: int | None = None
    workers: int = 0
    compile: bool = False
    save_minutes: float = 10.0
    log_steps: int = 20
    validate_steps: int = 500
    validation_batches: int = 8

    def __post_init__(self) -> None:
        require_ranges(self, RUN_RANGES)


def read_train_config(path: Path, changes: Mapping[str, object] | None = None) -> TrainConfig:
    """Settings of a run from a YAML or JSON file; ``changes`` replace top-level keys."""
    try:
        data = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise InputError(f"is not YAML: {str(error).splitlines()[0]}", path=path) from error
    if not isinstance(data, dict):
        raise InputError("must be a table of settings", path=path, found=data)
    return from_dict(TrainConfig, data | dict(changes or {}), path=path)


def train(config: TrainConfig) -> Path:
    """Trains until a limit is reached and returns the folder of the weights (the moving average).

    Continues from ``out/last.ckpt`` when that exists. Interrupting saves first.
    """
    if config.optimiser.decay_share and (config.max_minutes is None or config.devices > 1):
        message = "the rate can follow the clock in a run of limited minutes on one device"
        raise InputError(message, key="optimiser.decay_share", found=config.optimiser.decay_share)
    if config.threads:
        torch.set_num_threads(config.threads)
    module, source = _module(config)
    start, checkpoint = last_step(config.out, module)
    changed = changed_settings(config.out, to_dict(config)) if start else ""
    if changed:
        print(f"note: {config.out} goes on from step {start} with other settings: {changed}", flush=True)
    structures = StructureSet(config.data, "train")
    designs = _designs(config)
    if config.tasks.redesigned and not (structures.has_redesigned or designs is not None):
        message = "the set has no designed sequences (`python -m structdiff.training.redesign DATA` draws them)"
        raise InputError(message, path=config.data, key="tasks.redesigned", found=config.tasks.redesigned)
    if config.batches.nucleic and not structures.nucleic.any():
        message = "the set has no structure with DNA or RNA"
        raise InputError(message, path=config.data, key="batches.nucleic", found=config.batches.nucleic)
    traces = StructureSet(config.data, TRACES) if config.batches.traces else None
    if traces is not None and not len(traces):
        message = "the set has no structure of which one atom a residue is known (collections alone give some)"
        raise InputError(message, path=config.data, key="batches.traces", found=config.batches.traces)
    # Under torchrun RANK is set; processes that Lightning starts itself know their LOCAL_RANK.
    rank, ranks = int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))), config.devices
    batches = TrainingBatches(
        structures, config.batches, config.tasks, seed=config.seed, designs=designs, traces=traces,
        start=start, rank=rank, ranks=ranks,
    )  # fmt: skip
    limit = 600.0 if config.max_minutes is None else _COMPILING_SHARE * 60 * config.max_minutes
    trial = Trial(batches, seconds=limit) if config.compile else None
    recorder = RunRecorder(config, trial, source)
    module.passed = recorder.passed
    trainer = lightning_trainer(config, [*([trial] if trial else []), recorder])
    ahead = DataLoader(
        batches,
        batch_size=None,
        num_workers=config.workers,
        collate_fn=pack if config.workers else None,  # pyright: ignore[reportArgumentType]  # no lists come
        pin_memory=bool(config.workers) and torch.cuda.is_available(),
        prefetch_factor=4 if config.workers else None,
    )
    try:
        with recorder.updates.guarded():
            trainer.fit(module, ahead, _held_out(config), ckpt_path=checkpoint, weights_only=True)
    except SystemExit:  # Lightning's way to end after Ctrl-C
        raise KeyboardInterrupt from None
    finally:
        if trainer.global_step > start and not recorder.updates.under_way:
            recorder.save(trainer, module)
    return config.out / "weights"


def _held_out(config: TrainConfig) -> DataLoader | None:
    """Batches of the validation split; none, with a note, where a small set has no entries in it."""
    structures = StructureSet(config.data, "val")
    if not len(structures):
        print(f"note: {config.data} has no structures for validation, so none takes place", flush=True)
        return None
    settings = replace(config.batches, nucleic=0.0, traces=0.0)
    batches = TrainingBatches(structures, settings, config.tasks, seed=1, count=config.validation_batches)
    return DataLoader(batches, batch_size=None)


def _designs(config: TrainConfig) -> StructureSet | None:
    """The set of designs; it and its share need each other."""
    if (config.designs is None) != (config.batches.designs == 0):
        message = "a set of designs (designs) and the share that is drawn from it (batches.designs) go together"
        raise InputError(message, key="batches.designs", found=(str(config.designs), config.batches.designs))
    return None if config.designs is None else designs_set(config.designs)


def fresh_module(config: TrainConfig, sizes: ModelConfig) -> TrainingModule:
    """What is trained under these settings: a fresh network of those sizes, drawn by PyTorch's own random state."""
    return TrainingModule(
        sizes, noise_levels=config.noise_levels, self_conditioning=config.self_conditioning, recycles=config.recycles,
        noise=config.noise, weights=config.losses, optimiser=config.optimiser, seed=config.seed,
    )  # fmt: skip


def _module(config: TrainConfig) -> tuple[TrainingModule, Weights | None]:
    """What is trained, and the weights that it begins with."""
    torch.manual_seed(config.seed)
    source = beginning(config.start_from)
    sizes = preset(config.model) if source is None else grown(source.own_network.config, preset(config.model))
    if config.losses.sequence_alone and sizes.trunk.sequence is None:
        raise InputError("local_distogram alone trains a sequence encoder, and this model has none", key="losses",
                         found=config.model)  # fmt: skip
    module = fresh_module(config, sizes)
    if source is None:
        return module, None
    for network in (module.network, module.ema):
        take_over(network, source.own_network)
    return module, source


class RunRecorder(Callback):
    """Saves every few minutes, prints how it goes, and ends the run at its wall-clock limit.

    source: the weights that the run began with, whose history and recommended sampling it hands on.
    """

    def __init__(self, config: TrainConfig, trial: Trial | None = None, source: Weights | None = None) -> None:
        self.config, self.trial, self.source = config, trial, source
        self.redesign = recorded(config.data) if config.tasks.redesigned else None
        self.designs = None if config.designs is None else recorded_designs(config.designs)
        self.began = self.saved = self.printed = time.monotonic()
        self.first_step: int | None = None
        self.first_at = self.began
        self.updates = Updates()

    def on_before_optimizer_step(self, trainer, module, optimizer) -> None:  # noqa: ANN001
        """Gradients are there, the update begins; Lightning calls it."""
        self.updates.begin()

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx: int) -> None:  # noqa: ANN001
        """Carries the average on, and reports, saves or ends the run where it is due; Lightning calls it."""
        module.carry_average_on()  # before anything is saved: it belongs to the step
        self.updates.end()
        now = time.monotonic()
        if self.first_step is None:
            self.first_step, self.first_at = trainer.global_step - 1, now
        if trainer.global_step % self.config.log_steps == 0:
            self._print(trainer, now)
            require_finite(module, trainer.global_step, self.config.out)  # the next save may be minutes away
        if _any(trainer, now - self.saved > 60 * self.config.save_minutes):
            self.save(trainer, module)
        limit = self.config.max_minutes
        if limit is not None and _any(trainer, now - self.began > 60 * limit):
            trainer.should_stop = True

    def passed(self) -> float:
        """The share of the call's minutes that is gone; 0 where they are not limited."""
        limit = self.config.max_minutes
        return 0.0 if limit is None else min(1.0, (time.monotonic() - self.began) / (60 * limit))

    def _print(self, trainer: lightning.Trainer, now: float) -> None:
        done = trainer.global_step - (self.first_step or 0)
        rate = done / max(now - self.began, 1e-6)
        left = (self.config.max_steps - trainer.global_step) / rate / 60
        if self.config.max_minutes is not None:
            left = min(left, self.config.max_minutes - (now - self.began) / 60)
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        text = " ".join(f"{name} {value:.3f}" for name, value in metrics.items())
        print(f"step {trainer.global_step} ({rate:.2f}/s, {left:.0f} min left) {text}", flush=True)

    def save(self, trainer: lightning.Trainer, module: TrainingModule) -> None:
        """Checkpoint to resume from, and the averaged weights to use; raises StructdiffError where neither can be."""
        self.saved = time.monotonic()
        self.config.out.mkdir(parents=True, exist_ok=True)
        require_finite(module, trainer.global_step, self.config.out)
        write_checkpoint(trainer, self.config.out)
        if trainer.global_rank != 0:
            return
        record = {"steps": trainer.global_step, "settings": to_dict(self.config)}
        if self.redesign is not None:
            record["redesign"] = to_dict(self.redesign)
        if self.designs is not None:
            record["designs"] = to_dict(self.designs)
        if self.first_step is not None:  # of this call, after its first step, which waits for data and compilers
            record["timed"] = {
                "steps": trainer.global_step - self.first_step - 1,
                "seconds": self.saved - self.first_at,
            }
        if self.trial is not None:
            record["trial"] = self.trial.report
        save_weights(
            module.ema,
            self.config.out / "weights",
            training=with_run(self.source, record | {"settings": handed_on(record["settings"])}),
            sampling=self.source.sampling if self.source else None,
        )
        write_atomically(self.config.out / "run.json", json.dumps(record, indent=2) + "\n")


def _any(trainer: lightning.Trainer, wanted: bool) -> bool:
    """Whether any process wants it: clocks differ, and what all must do together all must decide together."""
    return trainer.strategy.reduce_boolean_decision(wanted, all=False) if trainer.world_size > 1 else wanted
