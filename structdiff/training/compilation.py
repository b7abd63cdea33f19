"""The network's repeated blocks compiled by torch.compile, one graph for all blocks of a kind and each crop size."""

from __future__ import annotations

import types

import torch
from torch import nn

from structdiff.model.denoiser import DenoiserBlock
from structdiff.model.geometry_embedder import GeometryEmbedder
from structdiff.model.network import StructureNetwork
from structdiff.model.pairformer import PairformerBlock
from structdiff.nn.vectors import VectorTransition

#: Graphs of one block kind that may exist side by side: crop sizes, with and without gradients.
_GRAPHS = 64


def compile_blocks(network: StructureNetwork, *, backend: str = "inductor") -> None:
    """Compiles the blocks that do nearly all the work; parameters keep their names.

    Only what repeats is compiled, so that it takes seconds for each size of crop rather than minutes. The blocks of a
    kind share their graphs, since parameters are inputs of a graph. A graph is complete or fails: nothing falls back
    to the interpreter in the middle.
    """
    torch._dynamo.config.cache_size_limit = max(torch._dynamo.config.cache_size_limit, _GRAPHS)
    for kind, blocks in _regions(network).items():
        compiled = torch.compile(kind.forward, backend=backend, fullgraph=True, dynamic=False)
        for block in blocks:
            block.forward = types.MethodType(compiled, block)


def interpret_blocks(network: StructureNetwork) -> None:
    """Undoes :func:`compile_blocks`."""
    for blocks in _regions(network).values():
        for block in blocks:
            block.__dict__.pop("forward", None)


def _regions(network: StructureNetwork) -> dict[type[nn.Module], list[nn.Module]]:
    return {
        PairformerBlock: list(network.trunk.pairformer.blocks),
        GeometryEmbedder: list(network.denoiser.geometry),
        DenoiserBlock: list(network.denoiser.blocks),
        VectorTransition: [network.denoiser.first],
    }
