"""What is compared in training: settings beside those of examples/train_mini.yaml, and designs of the denoiser."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from structdiff.configuration import to_dict
from structdiff.model import denoiser as denoiser_module
from structdiff.model.geometry_embedder import GeometryEmbedder
from structdiff.model.network import ModelConfig, mini
from structdiff.nn import vectors
from structdiff.training.run import TrainConfig, read_train_config

EXAMPLE = Path(__file__).parents[1] / "examples" / "train_mini.yaml"
#: What makes a short run of a small network of the example: half the structures and noise levels a step, no recycling,
#: a higher rate, a quick warm-up, and a rate that falls over the last two fifths of its time.
SHORT: dict[str, Any] = {
    "noise_levels": 4,
    "recycles": 0,
    "batches": {"crops": ((64, 2, 0.75), (96, 1, 0.15), (128, 1, 0.10))},
    "optimiser": {"learning_rate": 2e-3, "warmup_steps": 50, "decay_from": None, "decay_share": 0.4},
}
BASELINE, AGAIN = "baseline", "baseline, another seed"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to train: the settings it changes, as in a settings file, and what it makes of data and network.

    alike: every entry is drawn as often as any other, rather than by cluster, length and kind. sizes: of the network;
    those of the comparison if none. replaced: classes that take the place of others in the denoiser.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    alike: bool = False
    sizes: ModelConfig | None = None
    replaced: Mapping[str, type[nn.Module]] = field(default_factory=dict)

    @contextmanager
    def denoiser(self):
        """While it lasts, networks are built with this variant's parts."""
        with ExitStack() as stack:
            for name, kind in self.replaced.items():
                stack.enter_context(mock.patch.object(denoiser_module, name, kind))
            yield


def cut_down() -> ModelConfig:
    """mini with every part, of a ninth of its parameters and a seventh of its time: hundreds of steps in minutes."""
    whole = mini()
    pairs = {"c_z": 32, "triangle_heads": 1, "c_hidden_mul": 16}
    return dataclasses.replace(
        whole,
        trunk=dataclasses.replace(
            whole.trunk,
            inputs=dataclasses.replace(whole.trunk.inputs, c_atom=32, c_s_inputs=64),
            pairformer=dataclasses.replace(whole.trunk.pairformer, blocks=1, c_s=64, **pairs),
        ),
        denoiser=dataclasses.replace(
            whole.denoiser, c_token=64, c_vector=16, c_atom=32, c_geometry=16, c_noise=64, blocks=3,
            blocks_per_geometry=3, heads=4, messages=16,
        ),
    )  # fmt: skip


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with others in place of some, table by table.

    >>> merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 4}})
    {'a': {'b': 4, 'c': 2}, 'd': 3}
    """
    out = dict(base)
    for key, value in changes.items():
        # Shares of tasks are replaced as a whole: what is left out is not drawn.
        deep = isinstance(value, Mapping) and key != "weights"
        out[key] = merged(out.get(key) or {}, value) if deep else value
    return out


def settings(data: Path, variant: Variant) -> TrainConfig:
    """The whole settings of a variant: the example's, those of a short run, its own."""
    example = to_dict(read_train_config(EXAMPLE, {"data": str(data)}))
    changes = merged(merged(example, SHORT), variant.changes)
    return read_train_config(EXAMPLE, changes)


def _losses(**changes: float) -> dict[str, Any]:
    return {"losses": changes}


def _noise(mean: float, std: float) -> dict[str, Any]:
    return {"noise": {"log_mean": mean, "log_std": std}}


SETTINGS = (
    Variant(name=BASELINE),
    Variant(name=AGAIN, changes={"seed": 1}),
    Variant(name="self-conditioning never", changes={"self_conditioning": 0.0}),
    Variant(name="self-conditioning in 9 of 10 steps", changes={"self_conditioning": 0.9}),
    Variant(name="noise twice as large", changes=_noise(-0.5, 1.5)),
    Variant(name="noise half as large", changes=_noise(-1.9, 1.5)),
    Variant(name="noise spread wider", changes=_noise(-1.2, 2.0)),
    Variant(name="8 noise levels a step", changes={"noise_levels": 8}),
    Variant(name="crops of 64 alone", changes={"batches": {"crops": ((64, 2, 1.0),)}}),
    Variant(name="crops of 128 alone", changes={"batches": {"crops": ((128, 1, 1.0),)}}),
    Variant(name="whole entries never preferred", changes={"batches": {"small_share": 0.0}}),
    Variant(name="entries drawn alike", alike=True),
    Variant(
        name="predictions in half of the examples",
        changes={
            "tasks": {"weights": {"predict": 0.5, "unconditional": 0.2, "motif": 0.15, "inpaint": 0.06, "binder": 0.09}}
        },
    ),
    Variant(
        name="no predictions",
        changes={"tasks": {"weights": {"unconditional": 0.41, "motif": 0.29, "inpaint": 0.12, "binder": 0.18}}},
    ),
    Variant(name="position loss x 1/4", changes=_losses(position=1.0)),
    Variant(name="smooth lDDT loss x 4", changes=_losses(smooth_lddt=4.0)),
    Variant(name="local geometry loss x 1/4", changes=_losses(local_geometry=0.5)),
    Variant(name="distogram loss x 5", changes=_losses(distogram=0.5)),
)


class QuadrupoleEmbedder(GeometryEmbedder):
    """Messages with l = 2 spherical harmonics as well, coupled to scalars and, with vectors, to vectors (e3nn)."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        from e3nn import o3

        self.harmonics = o3.SphericalHarmonics([2], normalize=True)
        self.register_buffer("coupling", o3.wigner_3j(2, 1, 1), persistent=False)
        self.radial_2 = nn.Linear(sizes["c_geometry"], self.messages)
        self.mix_2 = nn.Linear(sizes["c_vector"], self.messages, bias=False)
        self.scalars_2 = nn.Linear(self.messages, sizes["c_token"], bias=False)
        self.vectors_2 = nn.Linear(self.messages, sizes["c_vector"], bias=False)

    def forward(self, s: Tensor, v: Tensor, centre: Tensor, *rest: Tensor):
        s, v, bias = super().forward(s, v, centre, *rest)
        arrow = centre[:, None] - centre[:, :, None]
        distance = torch.sqrt(arrow.square().sum(-1) + 1e-6)
        weight = torch.exp(-distance / 8.0)[..., None] * self.radial_2(self.distance(self.basis(distance)))
        order_2 = self.harmonics(arrow + 1e-6).transpose(2, 3) @ weight
        mixed = self.mix_2(self.norm_v(v))
        s = s + self.scalars_2(order_2.square().sum(-2))
        return s, v + self.vectors_2(torch.einsum("btmk,btnk,mno->btok", order_2, mixed, self.coupling)), bias


class MirrorBlindTransition(vectors.VectorTransition):
    """The transition without its cross product: equivariant to reflections too, so it cannot tell hands apart."""

    def forward(self, s: Tensor, v: Tensor, noise: Tensor):
        normed, gate = self.modulation(s, noise)
        left, right, third = self.mix(self.norm_v(v)).chunk(3, -1)
        up, gated = self.up(torch.cat([normed, (left * right).sum(-2)], -1)).chunk(2, -1)
        out = self.down(torch.nn.functional.silu(up) * gated)
        ds, gates = out[..., : self.c_token], out[..., None, self.c_token :]
        return s + gate * ds, v + self.vectors_out(torch.cat([third, left], -1) * gates)


def _sized(**changes: int) -> ModelConfig:
    config = mini()
    return dataclasses.replace(config, denoiser=dataclasses.replace(config.denoiser, **changes))


def _design(name: str, sizes: ModelConfig | None = None, seed: int = 0, **replaced: type[nn.Module]) -> Variant:
    """A variant of mini's size, whose rate is the example's."""
    changes = {"optimiser": {"learning_rate": 1e-3}, "seed": seed}
    return Variant(name=name, changes=changes, sizes=sizes or mini(), replaced=replaced)


DENOISERS = (
    _design(BASELINE),
    _design(AGAIN, seed=1),
    _design("l = 2 messages", GeometryEmbedder=QuadrupoleEmbedder),
    _design("geometry read once", _sized(blocks_per_geometry=8)),
    _design("wide and shallow", _sized(c_token=256, c_vector=64, blocks=5, blocks_per_geometry=3)),
    _design("blind to handedness", VectorTransition=MirrorBlindTransition),
)
SETS = {"settings": SETTINGS, "denoisers": DENOISERS}
