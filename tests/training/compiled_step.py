"""A program of test_step.py: the loss and its gradients with compiled blocks, and how many graphs they take."""

import sys
from collections import Counter

import torch

from structdiff import kernels
from structdiff.model.network import tiny
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.compilation import compile_blocks, interpret_blocks
from structdiff.training.dataset import StructureSet
from structdiff.training.module import TrainingModule
from structdiff.training.tasks import TaskMix
from structdiff.training.trial import Trial

kernels.set_mode("reference")
structures = StructureSet(sys.argv[1], "train")
batch = TrainingBatches(structures, BatchConfig(crops=((24, 2, 1.0),)), TaskMix(), seed=1).batch(0)
torch.manual_seed(0)
module = TrainingModule(tiny(), noise_levels=2, self_conditioning=1.0, recycles=0)
counts: Counter[str] = Counter()


def count(graph, inputs):
    counts["graphs"] += 1
    return graph.forward


def loss() -> torch.Tensor:
    module.network.zero_grad()
    total = module.losses(module.network, batch, torch.Generator().manual_seed(0))["loss"]
    total.backward()
    gradients = [p.grad.flatten() for p in module.network.parameters() if p.grad is not None]
    return torch.cat([total.detach()[None], *gradients])


plain, names = loss(), list(module.state_dict())
compile_blocks(module.network, backend=count)
compiled = loss()
assert list(module.state_dict()) == names
assert torch.allclose(plain, compiled, atol=1e-4, rtol=1e-3), (plain - compiled).abs().max()
# Denoiser block, geometry reading and first transition, each with and without gradients, and the pairformer block:
# more would mean that each block is compiled by itself.
assert counts["graphs"] == 7, counts
interpret_blocks(module.network)
assert torch.equal(loss(), plain)
assert counts["graphs"] == 7, counts

trial = Trial(
    TrainingBatches(structures, BatchConfig(crops=((16, 2, 0.5), (24, 1, 0.5))), TaskMix(), seed=1), backend="eager"
)
trial._run(module, lambda: torch.autocast("cpu", torch.bfloat16))
assert trial.report["blocks"] in ("compiled", "interpreted: no quicker"), trial.report
assert len(trial.report["compiled, s a step"]) == 2
module.network.zero_grad()
