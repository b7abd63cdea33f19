"""Before a run on a GPU: which batches fit into its memory, and whether compiled blocks are right and quicker."""

from __future__ import annotations

import dataclasses
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from structdiff.errors import InputError
from structdiff.features.schema import Features
from structdiff.training.batches import TrainingBatches
from structdiff.training.compilation import compile_blocks, interpret_blocks
from structdiff.training.module import TrainingModule

#: Relative difference of losses and gradients under which a compiled step counts as the same.
_TOLERANCE = 0.05
_TIMED_STEPS = 3
#: Of a GPU's memory, what the trial may take: the optimiser's moments come with the first step that is learnt from.
_SHARE_OF_MEMORY = 0.92


class Trial(Callback):
    """Tries a step of each crop size on the device, before the first: nothing is learnt from it.

    Batches that do not fit are halved until they do, and the blocks are compiled where that gives the same losses and
    gradients and a quicker step; where compilation fails or takes more than ``seconds``, they are interpreted (what was
    compiled is kept on disk by torch, and a later call goes on from there). ``report`` says what came of it.
    """

    def __init__(self, batches: TrainingBatches, *, backend: str = "inductor", seconds: float = 600.0) -> None:
        self.batches, self.backend, self.seconds = batches, backend, seconds
        self.report: dict[str, object] = {}

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Tries and decides; Lightning calls it, with the network on its device."""
        assert isinstance(pl_module, TrainingModule)
        device = pl_module.device
        devices = [device] if device.type == "cuda" else []
        random_numbers = torch.random.fork_rng(devices, device_type="cuda" if devices else "cpu")
        with random_numbers, _less_memory(device):
            self._run(pl_module, trainer.precision_plugin.forward_context)
        pl_module.network.zero_grad()

    def _run(self, module: TrainingModule, context: type[AbstractContextManager] | object) -> None:
        module.train()
        examples = [self._fitting(module, tokens, size, context) for tokens, size, _ in self.batches.config.crops]
        sizes = [len(batch.token.mask) for batch in examples]
        wanted = self.batches.config.crops
        crops = [(tokens, size, share) for (tokens, _, share), size in zip(wanted, sizes, strict=True)]
        self.batches.config = dataclasses.replace(self.batches.config, crops=crops)
        plain = [_timed(module, batch, context) for batch in examples]
        self.report = {"crops": crops, "interpreted, s a step": [round(seconds, 4) for seconds, _ in plain]}
        compile_blocks(module.network, backend=self.backend)
        began = time.monotonic()
        try:
            with _at_most(self.seconds):
                compiled = [_timed(module, batch, context) for batch in examples]
            problem = _difference(plain, compiled)
        except Exception as error:  # whatever a compiler may say: the step without it is known to work
            compiled, problem = [], f"{type(error).__name__}: {str(error).strip()[:500]}"
        self.report["compiling, s"] = round(time.monotonic() - began, 1)
        if compiled:
            self.report["compiled, s a step"] = [round(seconds, 4) for seconds, _ in compiled]
            shares = [share for _, _, share in crops]
            if np.dot(shares, [s for s, _ in compiled]) > np.dot(shares, [s for s, _ in plain]):
                problem = problem or "no quicker"
        if problem:
            interpret_blocks(module.network)
        self.report["blocks"] = f"interpreted: {problem}" if problem else "compiled"
        print(f"trial: {self.report}", flush=True)

    def _fitting(self, module: TrainingModule, tokens: int, size: int, context: object) -> Features:
        """The largest batch, of ``size`` structures or that halved again and again, whose step fits into memory."""
        while True:
            batch = self.batches.draw(tokens, size, np.random.default_rng(0)).to(module.device)
            try:
                _step(module, batch, context)
                return batch
            except torch.OutOfMemoryError:
                if size == 1:
                    message = "not even one structure fits into the memory of the device"
                    raise InputError(message, key="batches.crops", found=tokens) from None
            size //= 2
            module.network.zero_grad()
            torch.cuda.empty_cache()


@contextmanager
def _less_memory(device: torch.device) -> Iterator[None]:
    """Leaves room on a GPU for what a trial has not, so that a batch which just fits is not the end of the run."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_per_process_memory_fraction(_SHARE_OF_MEMORY, device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raises TimeoutError inside where that takes longer; the main thread alone can be interrupted so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: object) -> None:
        raise TimeoutError(f"not compiled after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _step(module: TrainingModule, batch: Features, context: object) -> tuple[Tensor, Tensor]:
    """Loss and norm of the gradient of a step that recycles and sees its own first answer: the longest there is."""
    once, module.self_conditioning = module.self_conditioning, 1.0
    try:
        module.network.zero_grad()
        with context():  # type: ignore[operator]
            loss = module.losses(module.network, batch, _drawing(module.recycles))["loss"]
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in module.network.parameters() if p.grad is not None])
        return loss.detach(), norm
    finally:
        module.self_conditioning = once


def _drawing(recycles: int) -> torch.Generator:
    """A generator whose first draw is as many recycles as there may be."""
    seed = 0
    while int(torch.randint(recycles + 1, (), generator=torch.Generator().manual_seed(seed))) != recycles:
        seed += 1
    return torch.Generator().manual_seed(seed)


def _timed(module: TrainingModule, batch: Features, context: object) -> tuple[float, tuple[float, float]]:
    loss, norm = (float(x) for x in _step(module, batch, context))  # compiles, and waits
    began = time.monotonic()
    for _ in range(_TIMED_STEPS):
        last, _ = _step(module, batch, context)
    float(last)
    return (time.monotonic() - began) / _TIMED_STEPS, (loss, norm)


def _difference(plain: list, compiled: list) -> str | None:
    for (_, expected), (_, found) in zip(plain, compiled, strict=True):
        if not np.allclose(found, expected, rtol=_TOLERANCE):
            return "loss and gradient norm {:.5g} and {:.5g}, not {:.5g} and {:.5g}".format(*found, *expected)
    return None
