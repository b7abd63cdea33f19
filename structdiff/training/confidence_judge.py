"""Which of two confidence heads is the better one: the loss on structures of others than were learnt from."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from structdiff.diffusion.sampler import SamplingConfig
from structdiff.model.heads import ConfidenceHead
from structdiff.model.network import StructureNetwork
from structdiff.training.confidence_examples import DrawnBatch, Source, confidence_loss, draw_batch
from structdiff.training.confidence_streams import Stream


class Judge:
    """Structures drawn once as users draw them, and chains in wrong places, by which every head is measured.

    Neither trunk nor denoiser changes while a head is trained, so they stay what this network draws. count: batches,
    shared among the streams as they are drawn, at least one of each.
    """

    def __init__(
        self, network: StructureNetwork, streams: Sequence[Stream], sampling: SamplingConfig, *, count: int, seed: int
    ) -> None:
        self.items: list[tuple[Stream, list[DrawnBatch]]] = []
        source = Source(samplings=(sampling,))
        for stream in streams:
            numbers = range(max(1, round(count * stream.share)))
            drawn = [draw_batch(network, stream.batches.batch(n), source, seed=seed, number=n) for n in numbers]
            self.items.append((stream, drawn))

    def losses(self, head: ConfidenceHead) -> dict[str, float]:
        """The mean loss of each kind of batch, and ``all``: their mean, weighed as they are drawn."""
        found = {stream.kind: self._loss(head, drawn) for stream, drawn in self.items}
        return found | {"all": sum(stream.share * found[stream.kind] for stream, _ in self.items)}

    def _loss(self, head: ConfidenceHead, drawn: Sequence[DrawnBatch]) -> float:
        values = []
        training = head.training
        head.eval()
        with torch.no_grad():
            for item in drawn:
                for place in range(item.positions.shape[1]):
                    index = torch.full((len(item.positions),), place)
                    logits = head(item.features, item.trunk, item.positions[:, place])
                    values.append(float(confidence_loss(logits, item.truth.pick(index))["loss"]))
        head.train(training)
        return sum(values) / len(values)
