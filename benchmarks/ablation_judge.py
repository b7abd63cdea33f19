"""One yardstick for networks that were trained differently: held-out losses by part, and structures they draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from structdiff.diffusion.preconditioning import Preconditioning
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.evaluation.summary import Summary, summarise
from structdiff.features.schema import Features
from structdiff.model.network import StructureNetwork
from structdiff.structure.tables import ChainKind
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.confidence_examples import Source, draw_batch
from structdiff.training.dataset import StructureSet
from structdiff.training.module import TrainingModule
from structdiff.training.step_settings import LossWeights
from structdiff.training.tasks import TaskMix

#: Noise levels (Å) that every structure is denoised from: those where bonds form, and those where folds do.
LEVELS = {"fine": (0.5, 1.0, 2.0, 3.9), "coarse": (8.0, 16.0, 40.0, 100.0)}
#: Tokens, structures in a batch, batches.
HELD_OUT = ((64, 4, 12), (128, 2, 4))
_DRAWN = 4  # of the batches, those from which structures are drawn
SAMPLING = SamplingConfig(steps=20, step_scale=1.5, sigma_max=300.0)
#: What is measured: name, words, digits, whether more is better.
MEASURES = {
    "position_coarse": ("position, 8 to 100 Å of noise", 3, False),
    "position_fine": ("position, 0.5 to 4 Å", 3, False),
    "smooth_lddt": ("smooth lDDT loss", 3, False),
    "local_geometry": ("local geometry, Å", 3, False),
    "distogram": ("distogram", 3, False),
    "drawn_steps": ("drawn: CA steps of 3.8 ± 0.4 Å, %", 1, True),
    "drawn_lddt": ("drawn: lDDT x 100", 1, True),
}


class FixedLevels(Preconditioning):
    """Gives the same noise levels to each structure, whatever it was trained on."""

    def __init__(self, levels: Sequence[float]) -> None:
        super().__init__()
        object.__setattr__(self, "levels", tuple(levels))

    def draw_sigma(self, *shape: int, generator: object = None, device: object = "cpu") -> Tensor:
        levels = torch.tensor(self.levels)  # pyright: ignore[reportAttributeAccessIssue]
        return levels.repeat(shape[0] // len(levels))


def held_out(data: Path) -> list[Features]:
    """The batches that all are judged on, of the validation split; tasks as TaskMix has them by default."""
    structures = StructureSet(data, "val")
    batches: list[Features] = []
    for tokens, size, count in HELD_OUT:
        stream = TrainingBatches(structures, BatchConfig(crops=((tokens, size, 1.0),)), TaskMix(), seed=1, count=count)
        batches += list(stream)
    return batches


def judged(network: StructureNetwork, batches: Sequence[Features], *, guess: bool) -> dict[str, list[float]]:
    """Each measure, a value a batch. guess: the network is shown its own first answer, as when structures are drawn."""
    network.eval()
    values: dict[str, list[float]] = {name: [] for name in MEASURES}
    shown = network.denoiser.forward if guess else _without_guess(network)
    with torch.no_grad(), mock.patch.object(network.denoiser, "forward", shown):
        for number, batch in enumerate(batches):
            trunk = network.trunk(batch)
            with mock.patch.object(network.trunk, "forward", lambda *_, trunk=trunk, **__: trunk):
                parts = {kind: _losses(network, batch, levels, number, guess) for kind, levels in LEVELS.items()}
            fine, coarse = parts["fine"], parts["coarse"]
            values["position_fine"].append(fine["position"])
            values["position_coarse"].append(coarse["position"])
            values["smooth_lddt"].append((fine["smooth_lddt"] + coarse["smooth_lddt"]) / 2)
            values["local_geometry"].append(fine["local_geometry"])
            values["distogram"].append(fine["distogram"])
        for number, batch in enumerate(batches[:_DRAWN]):
            for name, found in _drawn(network, batch, number).items():
                values[name] += found
    network.train()
    return {name: [round(value, 5) for value in found] for name, found in values.items()}


def _without_guess(network: StructureNetwork):
    forward = network.denoiser.forward

    def alone(condition, positions, sigma, previous=None):
        return forward(condition, positions, sigma, None)

    return alone


def _losses(
    network: StructureNetwork, batch: Features, levels: Sequence[float], number: int, guess: bool
) -> dict[str, float]:
    terms = _Ruler(levels, guess).losses(network, batch, torch.Generator().manual_seed(7 + number))
    return {name: float(value) for name, value in terms.items()}


class _Ruler(TrainingModule):
    """The losses of a training step at given noise levels, for networks of others."""

    def __init__(self, levels: Sequence[float], guess: bool) -> None:
        super(TrainingModule, self).__init__()
        self.noise_levels, self.self_conditioning, self.recycles = len(levels), float(guess), 0
        self.weights, self.preconditioning = LossWeights(), FixedLevels(levels)


def _drawn(network: StructureNetwork, batch: Features, number: int) -> dict[str, list[float]]:
    """Of each structure of a batch, drawn under its own conditions: CA steps that are right, and lDDT, in per cent."""
    drawn = draw_batch(network, batch, Source(samplings=(SAMPLING,)), seed=0, number=number)
    token = batch.token
    centre = torch.take_along_dim(drawn.positions[:, 0], token.centre[..., None, None], 2)[:, :, 0]
    step = torch.linalg.vector_norm(centre[:, 1:] - centre[:, :-1], dim=-1)
    linked = (token.residue_index[:, 1:] - token.residue_index[:, :-1] == 1) & token.standard[:, 1:]
    linked &= (token.asym_id[:, 1:] == token.asym_id[:, :-1]) & (token.kind[:, 1:] == ChainKind.PROTEIN)
    right = ((step - 3.8).abs() < 0.4) & linked
    lddt, mask = drawn.truth.lddt[:, 0], drawn.truth.plddt_mask[:, 0]
    return {
        "drawn_steps": (100 * right.sum(1) / linked.sum(1).clamp(min=1)).tolist(),
        "drawn_lddt": (100 * (lddt * mask).sum(1) / mask.sum(1).clamp(min=1)).tolist(),
    }


def difference(own: Sequence[float], others: Sequence[Sequence[float]]) -> Summary:
    """Of the same batches: own values less the mean of the others', with the interval of their mean.

    >>> str(difference([2.0, 3.0], [[1.0, 2.0], [1.0, 2.0]]))
    '1 [1, 1]'
    """
    return summarise(np.asarray(own, np.float64) - np.mean(np.asarray(others, np.float64), 0))


def counts(found: Summary, seeds: float) -> bool:
    """Whether a difference counts: its interval leaves out 0, and it is larger than what another seed makes."""
    return (found.low > 0 or found.high < 0) and abs(found.mean) > seeds
