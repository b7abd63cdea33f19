"""A network on a device: draws structures for features, and judges them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psutil
import torch
from torch import Tensor

from structdiff.constraints.combined import Combined
from structdiff.constraints.contact import Contact, Contacts
from structdiff.constraints.motif import MotifHold
from structdiff.diffusion.guidance import guided
from structdiff.diffusion.sampler import SamplingConfig, sample
from structdiff.diffusion.trajectory import Trajectory
from structdiff.errors import InputError, ResourceError
from structdiff.features.collate import collate
from structdiff.features.guidance import keep_conditions, present_conditions
from structdiff.features.schema import Features
from structdiff.model.checkpoint import Weights
from structdiff.model.denoiser import Denoised, DenoiserCondition
from structdiff.model.heads import ConfidenceLogits
from structdiff.model.network import ModelConfig, StructureNetwork
from structdiff.model.trunk import TrunkOutput

OnStep = Callable[[int, int], None]
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One sample: positions [token, slot, 3] (Å), restype logits [token, restype], confidence of this sample alone."""

    positions: Tensor
    restype_logits: Tensor
    confidence: ConfidenceLogits


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; auto takes CUDA if there is any, else the CPU. Raises InputError if it is not there."""
    if name not in DEVICES:
        raise InputError("unknown device", key="device", found=name, allowed=DEVICES, suggest_from=DEVICES)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[name]:
        found = [device for device, usable in there.items() if usable]
        raise InputError("this machine has no such device", key="device", found=name, allowed=found)
    return torch.device(name)


class Engine:
    """Runs trunk, sampler and confidence head for batches of features.

    Every sample has its own generator and comes out the same whatever is drawn beside it, to rounding.
    """

    def __init__(self, weights: Weights, *, device: torch.device) -> None:
        self.weights, self.device = weights, device
        self.network: StructureNetwork = weights.network.to(device)

    def draw(
        self,
        items: Sequence[Features],
        generators: Sequence[torch.Generator],
        sampling: SamplingConfig,
        *,
        contacts: Sequence[Sequence[tuple[str, Tensor, Tensor, float, bool]]] | None = None,
        recycles: int = 0,
        guidance: float | Mapping[str, float] = 1.0,
        on_step: OnStep | None = None,
        trajectory: Trajectory | None = None,
    ) -> list[Draw]:
        """One sample for each item.

        contacts: for each item, (name, first, second, bound, avoid) with atoms as (token, slot) rows. guidance: weight
        of all conditions, or of each by name. Raises ResourceError before starting when memory will not do.
        """
        batch = collate(items).to(self.device)
        check_memory(self.network.config, batch.num_tokens, len(items), self.device)
        # The constraints' own tensors take part in gradients, which those made under inference mode must not.
        parts: list = (
            [] if contacts is None else [Contacts(_numbered(contacts, batch.num_slots, self.device), batch.atom.mask)]
        )
        with torch.inference_mode():
            trunk = self.network.trunk(batch, recycles=recycles)
            conditional = _Asked(self.network, self.network.denoiser.condition(batch, trunk))
            denoise = self._guided(batch, conditional, guidance, recycles)
            positions = sample(
                denoise,
                batch.atom.mask,
                generators=generators,
                config=sampling,
                constraints=Combined([*parts, MotifHold.from_features(batch)]),
                on_step=None if on_step is None else lambda step, steps, _: on_step(step, steps),
                trajectory=trajectory,
            )
            if conditional.last is None:  # guidance asks with each condition alone, or with none, but never with all
                conditional(positions, positions.new_full((len(items),), sampling.sigma_min), None)
            confidence = self._confidence(batch, trunk, positions)
        assert conditional.last is not None
        logits = conditional.last.restype_logits
        by_slot = positions.unflatten(1, (batch.num_tokens, batch.num_slots)).cpu()
        return [
            Draw(
                positions=by_slot[row, : item.num_tokens, : item.num_slots],
                restype_logits=logits[row, : item.num_tokens].cpu(),
                confidence=_cut(confidence, row, item.num_tokens),
            )
            for row, item in enumerate(items)
        ]

    def judge(self, item: Features) -> ConfidenceLogits:
        """Confidence in the positions that the features themselves hold."""
        batch = collate([item]).to(self.device)
        check_memory(self.network.config, batch.num_tokens, 1, self.device)
        with torch.inference_mode():
            trunk = self.network.trunk(batch)
            return _cut(self._confidence(batch, trunk, batch.atom.positions), 0, item.num_tokens)

    def _guided(self, batch: Features, conditional: _Asked, guidance: float | Mapping[str, float], recycles: int):  # noqa: ANN202
        present = present_conditions(batch)
        if not present:
            return conditional
        if not isinstance(guidance, Mapping):
            if guidance == 1.0:
                return conditional
            return guided(self._asked(batch, (), recycles), {"all": conditional}, guidance)
        weights = dict.fromkeys(present, 1.0) | dict(guidance)
        alone = {name: self._asked(batch, (name,), recycles) for name in present}
        return guided(self._asked(batch, (), recycles), alone, weights)

    def _asked(self, batch: Features, kept: Sequence[str], recycles: int) -> _Asked:
        features = keep_conditions(batch, kept)
        trunk = self.network.trunk(features, recycles=recycles)
        return _Asked(self.network, self.network.denoiser.condition(features, trunk))

    def _confidence(self, batch: Features, trunk: TrunkOutput, positions: Tensor) -> ConfidenceLogits:
        by_slot = positions.unflatten(1, (batch.num_tokens, batch.num_slots))
        slot = batch.token.representative[..., None, None]
        representative = torch.take_along_dim(by_slot, slot, 2)[:, :, 0]
        return self.network.confidence(batch, trunk, representative)


class _Asked:
    """The denoiser under one set of conditions, as the sampler calls it; remembers its last answer."""

    def __init__(self, network: StructureNetwork, condition: DenoiserCondition) -> None:
        self.network, self.condition = network, condition
        self.last: Denoised | None = None

    def __call__(self, positions: Tensor, sigma: Tensor, previous: Tensor | None, /) -> Tensor:
        last = self.last = self.network.denoiser(self.condition, positions, sigma, previous)
        return last.positions


def _numbered(
    contacts: Sequence[Sequence[tuple[str, Tensor, Tensor, float, bool]]], num_slots: int, device: torch.device
) -> list[list[Contact]]:
    def number(rows: Tensor) -> Tensor:
        return (rows[:, 0] * num_slots + rows[:, 1]).to(device)

    return [
        [
            Contact(name=name, first=number(first), second=number(second), bound=bound, avoid=avoid)
            for name, first, second, bound, avoid in own
            if len(first) and len(second)
        ]
        for own in contacts
    ]


def _cut(confidence: ConfidenceLogits, row: int, tokens: int) -> ConfidenceLogits:
    return ConfidenceLogits(
        plddt=confidence.plddt[row, :tokens].cpu(),
        pae=confidence.pae[row, :tokens, :tokens].cpu(),
        pde=confidence.pde[row, :tokens, :tokens].cpu(),
    )


def estimated_memory(config: ModelConfig, tokens: int, samples: int) -> int:
    """Peak memory in bytes beside the weights, from the pair tables that are alive at once (float32)."""
    denoiser, trunk = config.denoiser, config.trunk
    per_sample = 8 * denoiser.c_geometry + 3 * denoiser.blocks_per_geometry * denoiser.heads + 128
    per_item = 12 * trunk.pairformer.c_z + 8 * config.confidence.pairformer.c_z + 64 * 4
    return 4 * tokens**2 * samples * (per_sample + per_item)


def check_memory(config: ModelConfig, tokens: int, samples: int, device: torch.device) -> None:
    """Raises ResourceError with the numbers when the work will not fit into the device's free memory."""
    needed = estimated_memory(config, tokens, samples)
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    limit = os.environ.get("STRUCTDIFF_MEMORY_GIB")
    if limit is not None:
        free = min(free, _bytes_of(limit))
    if needed > free:
        one = estimated_memory(config, tokens, 1) / 2**30
        raise ResourceError(
            f"{tokens} tokens in a batch of {samples} need about {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB "
            f"are free; one at a time needs {one:.1f} GiB: lower --batch-size, or ask for a smaller complex"
        )


def _bytes_of(gibibytes: str) -> int:
    try:
        return int(float(gibibytes) * 2**30)
    except (ValueError, OverflowError):
        message = "must be a number of GiB"
        raise InputError(message, key="STRUCTDIFF_MEMORY_GIB", found=gibibytes, allowed="8, say") from None
