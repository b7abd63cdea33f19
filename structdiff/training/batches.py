"""An endless, repeatable stream of training batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from structdiff.errors import InputError
from structdiff.features.collate import collate
from structdiff.features.schema import Features
from structdiff.training.base_pairs import other_pairs
from structdiff.training.dataset import StructureSet
from structdiff.training.step_settings import require_ranges
from structdiff.training.tasks import TaskMix, drawn_task, training_example

#: How often the base pairs of a nucleic acid are drawn anew.
_OTHER_PAIRS = 0.5
#: What is told of a trace: neither its motifs nor its fold could be seen.
_SEQUENCE_ALONE = TaskMix(weights={"predict": 1.0}, partial_sequence=0.0, nothing_told=1.0)


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """Which batches are drawn.

    crops: for each crop size in tokens, how many structures make a batch and how often such a batch is drawn.
    small_share: how often a structure that fits whole into the crop is drawn, rather than any.
    designs: how often a structure is drawn from the set of designs (``TrainConfig.designs``) in place of nature's;
    never in validation.
    nucleic: how often a structure with DNA or RNA is drawn instead, cropped around one of its nucleotides; half of them
    with other base pairs, of which the backbone alone is known. Never in validation.
    traces: how often a structure is drawn of which one atom a residue is known (the split "traces"), and predicted from
    its sequence alone: it teaches distances and, coarsely, positions. Never in validation.
    fixed_size: pad to the size of the crop, rather than to the largest structure of the batch, for compilers.
    """

    crops: Sequence[tuple[int, int, float]] = ((64, 4, 0.75), (96, 2, 0.15), (128, 1, 0.10))
    small_share: float = 0.6
    designs: float = 0.0
    nucleic: float = 0.0
    traces: float = 0.0
    fixed_size: bool = False

    def __post_init__(self) -> None:
        crops = self.crops if isinstance(self.crops, Sequence) else ()
        if not crops or not all(map(_is_crop, crops)) or not sum(share for _, _, share in crops):
            raise InputError("must be a list of crops, one of them drawn", key="crops", found=self.crops,
                             allowed="[tokens, structures in a batch, how often], such as [64, 4, 0.75]")  # fmt: skip
        require_ranges(self, dict.fromkeys(("small_share", "designs", "nucleic", "traces"), (0, 1)))

    def drawn_crop(self, rng: np.random.Generator) -> tuple[int, int]:
        """Tokens of a crop, and structures in its batch."""
        shares = np.array([share for _, _, share in self.crops])
        tokens, size, _ = self.crops[rng.choice(len(shares), p=shares / shares.sum())]
        return tokens, size


def _is_crop(crop: object) -> bool:
    if not isinstance(crop, Sequence) or len(crop) != 3:
        return False
    whole = all(isinstance(number, int) and number >= 1 for number in crop[:2])
    return whole and isinstance(crop[2], int | float) and crop[2] >= 0


class TrainingBatches(IterableDataset):
    """Batches drawn from a StructureSet; batch number k depends on the seed and k alone, so a run resumes exactly.

    designs, traces: further sets, of which ``config.designs`` and ``config.traces`` say how often they are drawn from.
    With several processes (``rank`` of ``ranks``) each draws its own share of the numbers; so do the workers of a data
    loader, which hands their batches out in turn, so that the stream is the same with any number of them.

    Raises InputError where there is no structure to draw.
    """

    def __init__(
        self,
        structures: StructureSet,
        config: BatchConfig,
        mix: TaskMix,
        *,
        seed: int,
        designs: StructureSet | None = None,
        traces: StructureSet | None = None,
        start: int = 0,
        count: int | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        super().__init__()
        if not structures.weight.any():
            raise InputError(f"no structure to draw in the {structures.split} split", path=structures.path)
        self.structures, self.config, self.mix = structures, config, mix
        self.designs, self.traces = designs, traces
        self.seed, self.start, self.count, self.rank, self.ranks = seed, start, count, rank, ranks
        self._cumulative: dict[tuple[Path, str, int], np.ndarray] = {}

    def __iter__(self) -> Iterator[Features]:
        worker = get_worker_info()
        first, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        number = self.start + first
        while self.count is None or number < self.start + self.count:
            yield self.batch(number * self.ranks + self.rank)
            number += stride

    def batch(self, number: int) -> Features:
        """Batch number ``number`` of the stream."""
        rng = np.random.default_rng([self.seed, number])
        return self.draw(*self.config.drawn_crop(rng), rng)

    def draw(self, tokens: int, size: int, rng: np.random.Generator) -> Features:
        """A batch of ``size`` structures, each cropped to ``tokens`` tokens."""
        items: list[Features] = []
        while len(items) < size:
            item = self._example(tokens, rng)
            if int(item.token.mask.sum()) >= 8:
                items.append(item)
        return collate(items, num_tokens=tokens if self.config.fixed_size else None)

    def _example(self, tokens: int, rng: np.random.Generator) -> Features:
        if self.config.nucleic and rng.random() < self.config.nucleic:
            return self._nucleic_example(tokens, rng)
        if self.traces is not None and rng.random() < self.config.traces:
            structure = self.traces.structure(self._draw(self.traces, tokens, rng))
            return training_example(structure, tokens, _SEQUENCE_ALONE, rng, "predict")
        source = self.structures
        if self.designs is not None and rng.random() < self.config.designs:
            source = self.designs
        index, task = self._draw(source, tokens, rng), drawn_task(self.mix, rng)
        number = None
        if task == "predict" and self.mix.redesigned and rng.random() < self.mix.redesigned:
            count = source.num_redesigned(index)
            number = int(rng.integers(count)) if count else None
        return training_example(source.structure(index, redesigned=number), tokens, self.mix, rng, task)

    def _nucleic_example(self, tokens: int, rng: np.random.Generator) -> Features:
        source = self.structures
        index, task = _drawn(np.cumsum(source.weight * source.nucleic), rng), drawn_task(self.mix, rng)
        structure = source.structure(index)
        if rng.random() < _OTHER_PAIRS:
            structure = source.structure(index, nucleotides=other_pairs(structure, rng))
        return training_example(structure, tokens, self.mix, rng, task, nucleic=True)

    def _draw(self, source: StructureSet, tokens: int, rng: np.random.Generator) -> int:
        return _drawn(self._cumulative_weight(source, tokens if rng.random() < self.config.small_share else 0), rng)

    def _cumulative_weight(self, source: StructureSet, tokens: int) -> np.ndarray:
        """Running sums of the weights of all entries (tokens 0), or of those that just fit into such a crop."""
        key = (source.path, source.split, tokens)
        if key not in self._cumulative:
            number, weight = source.num_tokens, source.weight
            fitting = weight * ((number <= tokens) & (number >= 0.6 * tokens))
            self._cumulative[key] = np.cumsum(fitting if fitting.any() else weight)
        return self._cumulative[key]


def _drawn(cumulative: np.ndarray, rng: np.random.Generator) -> int:
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
