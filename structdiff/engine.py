"""A network on a device: draws structures for features, and judges them."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from structdiff.constraints.combined import Combined
from structdiff.constraints.contact import Contact, Contacts
from structdiff.constraints.motif import MotifHold
from structdiff.constraints.per_sample import PerSample
from structdiff.constraints.symmetry import PlacedMotif, SymmetricCopies, SymmetricDenoiser
from structdiff.constraints.symmetry_pose import AssemblyPose, CopyClearance
from structdiff.device import check_memory
from structdiff.diffusion.constraint_protocol import SamplingConstraint
from structdiff.diffusion.guidance import guided
from structdiff.diffusion.sampler import SamplingConfig, sample
from structdiff.diffusion.trajectory import Trajectory
from structdiff.diffusion.turned import TurnedDenoiser
from structdiff.errors import InputError
from structdiff.features.collate import collate
from structdiff.features.copies import side_by_side
from structdiff.features.guidance import keep_conditions, present_conditions
from structdiff.features.schema import Features
from structdiff.model.abilities import check_affinities
from structdiff.model.checkpoint import Weights, predicts_affinities
from structdiff.model.denoiser import Denoised, DenoiserCondition
from structdiff.model.heads import ConfidenceLogits
from structdiff.model.library import DEFAULT_WEIGHTS, load_named_weights
from structdiff.model.network import StructureNetwork
from structdiff.model.trunk import TrunkOutput
from structdiff.precision import check_precision, rounded
from structdiff.spec.symmetry import Symmetry
from structdiff.typing import Bool, Float

OnStep = Callable[[int, int], None]
#: Makes positions [atom, 3] (Å, on the CPU) of a drawn structure into those that are judged.
Finish = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One sample: positions [token, slot, 3] (Å), restype logits [token, restype], confidence of this sample alone.

    Of a symmetric assembly the positions are those of one copy; the confidence is that of this copy and of those seen
    beside it, which relatives lists as rows of the group's ``relatives``.
    """

    positions: Tensor
    restype_logits: Tensor
    confidence: ConfidenceLogits
    relatives: tuple[int, ...] = ()


class Engine:
    """Runs trunk, sampler and confidence head for batches of features.

    Every sample has its own generator and comes out the same whatever is drawn beside it, to rounding.
    """

    def __init__(self, weights: Weights, *, device: torch.device) -> None:
        """Raises InputError for weights that predict no structures but affinities."""
        if predicts_affinities(weights):
            raise InputError("these weights say how strongly ligands bind, in structures that others predict",
                             key="weights", found=weights.name, allowed="boltz2")  # fmt: skip
        self.weights, self.device = weights, device
        # Both kinds have the same parts; what they hand on to each other is their own affair.
        self.network = cast(StructureNetwork, weights.network.to(device))

    def draw(
        self,
        items: Sequence[Features],
        generators: Sequence[torch.Generator],
        sampling: SamplingConfig,
        *,
        contacts: Sequence[Sequence[tuple[str, Tensor, Tensor, float, bool]]] | None = None,
        constraints: Sequence[tuple[Sequence[SamplingConstraint], Tensor]] | None = None,
        recycles: int = 0,
        guidance: float | Mapping[str, float] = 1.0,
        precision: str = "float32",
        symmetry: Symmetry | None = None,
        start: Sequence[Tensor] | None = None,
        finish: Sequence[tuple[Finish, Tensor] | None] | None = None,
        on_step: OnStep | None = None,
        trajectory: Trajectory | None = None,
    ) -> list[Draw]:
        """One sample for each item.

        contacts: for each item, (name, first, second, bound, avoid) with atoms as (token, slot) rows. constraints: for
        each item, further ones and the (token, slot) rows of the atoms that they see. guidance: weight
        of all conditions, or of each by name. precision: of the trunk's matrix products (`structdiff.precision`).
        symmetry: items are single copies of symmetric assemblies. start: for
        each item, positions [token, slot, 3] (Å) to which noise is added, instead of drawing from nothing. finish: for
        each item, what is done to its positions when they are drawn, with the (token, slot) rows it sees, or None.
        Raises ResourceError before starting when memory will not do, InputError where guidance names a condition that
        nobody asks, or the device has no such precision.
        """
        check_precision(precision, self.device)
        seen = [self.network.prepared(item) for item in items]
        units = collate(seen).to(self.device)
        copies, batch, turns = None, units, False
        if symmetry is not None:
            copies = SymmetricCopies(symmetry.operators, symmetry.seen, units)
            batch = collate([side_by_side(item, 1 + symmetry.seen) for item in seen]).to(self.device)
            turns = sampling.augment
            sampling = dataclasses.replace(sampling, centre=False, augment=False, align=False)
        passes = guidance_passes(guidance, present_conditions(batch))
        rows = batch.msa.restype.shape[1]
        check_memory(self.network.config, batch.num_tokens, len(items), self.device, passes=passes, rows=rows)
        # The constraints' own tensors take part in gradients, which those made under inference mode must not.
        hold = MotifHold.from_features(units)
        parts: list = []
        if contacts is not None:
            numbered = _numbered(contacts, units.num_slots, self.device)
            parts.append(Contacts(numbered, units.atom.mask, held=hold.groups.any(1)))
        if constraints is not None:
            places = [_atom_numbers(rows, units.num_slots, self.device) for _, rows in constraints]
            own = PerSample([own for own, _ in constraints], places)
            # Before the contacts, and once more after them: what they have bent or pushed into something is mended.
            parts = [own, *parts, own]
        if copies is not None:
            placed = symmetry is not None and symmetry.motif_placed
            held = hold.groups.any(1)
            parts += (
                [PlacedMotif(hold.reference, held), CopyClearance(copies, held)]
                if placed
                else [AssemblyPose(copies, held)]
            )
        with torch.inference_mode():
            trunk, condition = self._understood(batch, recycles, precision)
            conditional = _Asked(self.network, condition)
            denoise = self._guided(batch, conditional, guidance, recycles, precision)
            if turns:
                denoise = TurnedDenoiser(denoise, batch.atom.mask, generators)
            positions = sample(
                denoise if copies is None else SymmetricDenoiser(denoise, copies),
                units.atom.mask,
                generators=generators,
                config=sampling,
                constraints=Combined([*parts, hold]),
                start=None if start is None else _padded(start, items, units),
                on_step=None if on_step is None else lambda step, steps, _: on_step(step, steps),
                trajectory=trajectory,
            )
            positions = self._finished(positions, finish, units.num_slots)
            chosen = None if copies is None else copies.nearest(positions)
            whole = positions if copies is None or chosen is None else copies.beside(positions, chosen)
            if conditional.last is None:  # guidance asks with each condition alone, or with none, but never with all
                conditional(whole, whole.new_full((len(items),), sampling.sigma_min), None)
            confidence = self._confidence(batch, trunk, whole, items)
        assert conditional.last is not None
        logits = conditional.last.restype_logits
        by_slot = positions.unflatten(1, (units.num_tokens, units.num_slots)).cpu()
        together = 1 if chosen is None else 1 + chosen.shape[1]
        return [
            Draw(
                positions=_of_item(by_slot[row], item),
                restype_logits=logits[row, : item.num_tokens].cpu(),
                confidence=_cut(confidence, row, together * item.num_tokens),
                relatives=() if chosen is None else tuple(chosen[row].tolist()),
            )
            for row, item in enumerate(items)
        ]

    def _finished(
        self, positions: Tensor, finish: Sequence[tuple[Finish, Tensor] | None] | None, num_slots: int
    ) -> Tensor:
        """Positions [sample, atom, 3] with what is done to those of each sample."""
        for number, own in enumerate(finish or ()):
            if own is not None:
                change, rows = own
                atoms = _atom_numbers(rows, num_slots, self.device)
                positions[number, atoms] = change(positions[number, atoms].cpu()).to(positions)
        return positions

    @cached_property
    def affinity_weights(self) -> Weights:
        """The weights that say how strongly ligands bind in these structures, on the same device.

        Raises InputError where there are none, or they are not here, with how to fetch them.
        """
        weights = load_named_weights(check_affinities(self.network.abilities))
        if not predicts_affinities(weights):
            raise InputError("these weights predict no affinities", path=weights.path)
        return dataclasses.replace(weights, network=weights.network.to(self.device))

    def check_size(self, tokens: int) -> None:
        """Raises ResourceError with the numbers where not even one structure of so many tokens fits into memory."""
        check_memory(self.network.config, tokens, 1, self.device)

    def judge(self, item: Features) -> ConfidenceLogits:
        """Confidence in the positions that the features themselves hold."""
        batch = collate([item]).to(self.device)
        check_memory(self.network.config, batch.num_tokens, 1, self.device)
        with torch.inference_mode():
            trunk = self.network.trunk(batch, recycles=self.weights.recycles)
            return _cut(self._confidence(batch, trunk, batch.atom.positions, [item]), 0, item.num_tokens)

    def _guided(  # noqa: ANN202
        self, batch: Features, conditional: _Asked, guidance: float | Mapping[str, float], recycles: int, precision: str
    ):
        if guidance == 1.0:
            return conditional
        present = present_conditions(batch)
        if not present:
            _tell_unguided(guidance)
            return conditional
        if not isinstance(guidance, Mapping):
            return guided(self._asked(batch, (), recycles, precision), {"all": conditional}, guidance)
        weights = dict.fromkeys(present, 1.0) | dict(guidance)
        alone = {name: self._asked(batch, (name,), recycles, precision) for name in present}
        return guided(self._asked(batch, (), recycles, precision), alone, weights)

    def _asked(self, batch: Features, kept: Sequence[str], recycles: int, precision: str) -> _Asked:
        return _Asked(self.network, self._understood(keep_conditions(batch, kept), recycles, precision)[1])

    def _understood(self, batch: Features, recycles: int, precision: str) -> tuple[TrunkOutput, DenoiserCondition]:
        """What the trunk makes of the features; once for the whole batch where its entries are alike."""
        samples = len(batch.token.mask)
        if samples == 1 or not _alike(batch):
            trunk = self._trunk(batch, recycles, precision)
            return trunk, self.network.denoiser.condition(batch, trunk)
        one = batch.map(lambda tensor: tensor[:1])
        trunk = self._trunk(one, recycles, precision)
        condition = self.network.denoiser.condition(one, trunk).repeat(samples)
        tables = (trunk.s_inputs, trunk.s_trunk, trunk.z_trunk)
        s_inputs, s_trunk, z_trunk = (each.expand(samples, *each.shape[1:]) for each in tables)
        return TrunkOutput(s_inputs=s_inputs, s_trunk=s_trunk, z_trunk=z_trunk), condition

    def _trunk(self, batch: Features, recycles: int, precision: str) -> TrunkOutput:
        """The trunk's tables, in float32 whatever it computed them in."""
        with rounded(precision, self.device):
            found = self.network.trunk(batch, recycles=recycles)
        tables = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
        return dataclasses.replace(found, **{name: each.float() for name, each in tables.items() if each is not None})

    def _confidence(
        self, batch: Features, trunk: TrunkOutput, positions: Tensor, items: Sequence[Features]
    ) -> ConfidenceLogits:
        """Confidence in positions [sample, atom, 3]; items: what was asked for, without copies and atoms of more."""
        by_slot = positions.unflatten(1, (batch.num_tokens, batch.num_slots))
        if self.network.confidence is not None:
            return self.network.confidence(batch, trunk, by_slot)
        copies = batch.num_tokens // max(item.num_tokens for item in items)
        plain = collate([item if copies == 1 else side_by_side(item, copies) for item in items]).to(self.device)
        return self.confident.confidence_in(plain, by_slot[:, :, : plain.num_slots] * _exists(plain))

    def confidence_in(self, batch: Features, by_slot: Float[Tensor, "sample token slot 3"]) -> ConfidenceLogits:
        """The network's confidence in positions (Å) that something else has drawn."""
        trunk = self.network.trunk(batch, recycles=self.weights.recycles)
        return self.network.confidence(batch, trunk, by_slot)

    @cached_property
    def confident(self) -> Engine:
        """What says how sure one may be of what this network draws: itself, or the default weights where it cannot."""
        if self.network.abilities.judges:
            return self
        return Engine(load_named_weights(DEFAULT_WEIGHTS), device=self.device)


class _Asked:
    """The denoiser under one set of conditions, as the sampler calls it; remembers its last answer."""

    def __init__(self, network: StructureNetwork, condition: DenoiserCondition) -> None:
        self.network, self.condition = network, condition
        self.last: Denoised | None = None

    def __call__(self, positions: Tensor, sigma: Tensor, previous: Tensor | None, /) -> Tensor:
        last = self.last = self.network.denoiser(self.condition, positions, sigma, previous)
        return last.positions


def _alike(batch: Features) -> bool:
    """Whether all entries of a batch are the same: several samples of one request."""
    different = []
    batch.map(lambda tensor: different.append(bool((tensor != tensor[:1]).any())) or tensor)
    return not any(different)


def _numbered(
    contacts: Sequence[Sequence[tuple[str, Tensor, Tensor, float, bool]]], num_slots: int, device: torch.device
) -> list[list[Contact]]:
    return [
        [
            Contact(
                name=name,
                first=_atom_numbers(first, num_slots, device),
                second=_atom_numbers(second, num_slots, device),
                bound=bound,
                avoid=avoid,
            )
            for name, first, second, bound, avoid in own
            if len(first) and len(second)
        ]
        for own in contacts
    ]


def _atom_numbers(rows: Tensor, num_slots: int, device: torch.device) -> Tensor:
    """(token, slot) rows as numbers of atoms in the batch."""
    return (rows[:, 0] * num_slots + rows[:, 1]).to(device)


def _padded(start: Sequence[Tensor], items: Sequence[Features], units: Features) -> Tensor:
    """Positions [token, slot, 3] of each item as one tensor [sample, atom, 3], 0 in the padding.

    Atoms that the network has in addition begin at their residue's CA.
    """
    whole = torch.zeros(len(start), units.num_tokens, units.num_slots, 3)
    for row, (own, item) in enumerate(zip(start, items, strict=True)):
        tokens, slots = own.shape[:2]
        whole[row, :tokens] = own[:, 1:2] if slots > 1 else own
        whole[row, :tokens, :slots] = torch.where(_exists(item), own, whole[row, :tokens, :slots])
    exists = units.atom.mask.unflatten(1, (units.num_tokens, units.num_slots)).cpu()
    return (whole * exists[..., None]).flatten(1, 2).to(units.token.mask.device)


def _exists(features: Features) -> Bool[Tensor, "*batch token slot 1"]:
    """Which atoms there are."""
    return features.atom.mask.unflatten(-1, (features.num_tokens, features.num_slots))[..., None]


def _of_item(by_slot: Float[Tensor, "token slot 3"], item: Features) -> Float[Tensor, "token slot 3"]:
    """Positions of an item's own atoms among those of a batch."""
    return by_slot[: item.num_tokens, : item.num_slots] * _exists(item)


def _cut(confidence: ConfidenceLogits, row: int, tokens: int) -> ConfidenceLogits:
    return ConfidenceLogits(
        plddt=confidence.plddt[row, :tokens].cpu(),
        pae=confidence.pae[row, :tokens, :tokens].cpu(),
        pde=confidence.pde[row, :tokens, :tokens].cpu(),
    )


def _tell_unguided(guidance: float | Mapping[str, float]) -> None:
    """What is wrong with guidance where nothing is asked: an error where conditions are named, else a warning."""
    if not isinstance(guidance, Mapping):
        warnings.warn(f"guidance {guidance:g} changes nothing: no condition is asked that it could weigh", stacklevel=2)
    elif guidance:
        raise InputError("no such condition is asked, nor any other that guidance could weigh", key="guidance",
                         found=", ".join(guidance), allowed="a number for all conditions, or leave it out")  # fmt: skip


def guidance_passes(guidance: float | Mapping[str, float], present: Collection[str]) -> int:
    """How many sets of conditions the network is asked with; present: those that a batch has."""
    if not present or guidance == 1.0:
        return 1
    return 2 + len(present) if isinstance(guidance, Mapping) else 2
