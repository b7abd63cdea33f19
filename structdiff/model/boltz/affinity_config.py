"""Sizes of the modules that predict affinities, as the published checkpoint of affinities tells them."""

from __future__ import annotations

from dataclasses import dataclass

from structdiff.model.boltz.settings import Settings


@dataclass(frozen=True, kw_only=True)
class AffinitySizes:
    """Sizes of one module; c_head of the layers of its heads."""

    blocks: int = 8
    triangle_heads: int = 4
    triangle_head_dim: int = 32
    distance_bins: int = 64
    furthest: float = 22.0  # Å
    c_head: int = 384


def affinity_sizes(settings: Settings) -> tuple[AffinitySizes, ...]:
    """Those of each module of the ensemble; none for checkpoints that predict structures alone.

    Raises InputError for a setting that cannot be honoured.
    """
    if not settings.get("affinity_prediction", False):
        return ()
    settings.must("skip_run_structure", False, False)
    several = settings.get("affinity_ensemble", False)
    names = ("affinity_model_args1", "affinity_model_args2") if several else ("affinity_model_args",)
    return tuple(_of_module(settings.part(name)) for name in names)


def _of_module(settings: Settings) -> AffinitySizes:
    stack = settings.part("pairformer_args")
    stack.must("post_layer_norm", False, False)
    return AffinitySizes(
        blocks=stack.get("num_blocks", 8),
        triangle_heads=stack.get("pairwise_num_heads", 4),
        triangle_head_dim=stack.get("pairwise_head_width", 32),
        distance_bins=settings.get("num_dist_bins", 64),
        furthest=settings.get("max_dist", 22.0),
        c_head=settings.part("transformer_args").get("token_s", 384),
    )
