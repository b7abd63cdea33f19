"""Layers that carry scalars and vectors: equivariance as e3nn states it, and handedness."""

from __future__ import annotations

import pytest
import torch
from e3nn import o3

from structdiff.model.denoiser import DenoiserConfig
from structdiff.model.geometry_embedder import GeometryEmbedder
from structdiff.nn.vectors import PointAttention, VectorNorm, VectorTransition, cross_product

SIZES = {"c_token": 12, "c_vector": 5, "c_noise": 6}
IRREPS = o3.Irreps(DenoiserConfig(c_token=12, c_vector=5).irreps)
TOKENS = 7


def flat(s, v):
    """Scalars and vectors in e3nn's layout."""
    return torch.cat([s, v.transpose(2, 3).flatten(2)], -1)


def unflat(x):
    s, v = x[..., : SIZES["c_token"]], x[..., SIZES["c_token"] :]
    return s, v.unflatten(-1, (SIZES["c_vector"], 3)).transpose(2, 3)


def layer_call(name):
    """A layer with random parameters as a map (x, centre) -> x in e3nn's layout."""
    torch.manual_seed(3)
    noise, bias = torch.randn(1, 6), torch.randn(1, 2, TOKENS, TOKENS)
    z, mask = torch.randn(1, TOKENS, TOKENS, 8), torch.ones(1, TOKENS, dtype=torch.bool)
    previous = torch.randn(1, TOKENS, 3)
    if name == "transition":
        layer = VectorTransition(*SIZES.values(), factor=2)
    elif name == "attention":
        layer = PointAttention(*SIZES.values(), heads=2, head_dim=4, points=2)
    else:
        layer = GeometryEmbedder(c_token=12, c_vector=5, c_geometry=8, c_noise=6, biases=4, messages=8)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    layer = layer.double()
    noise, bias, z, previous = (x.double() for x in (noise, bias, z, previous))

    def call(x, centre):
        s, v = unflat(x)
        if name == "transition":
            return flat(*layer(s, v, noise))
        if name == "attention":
            return flat(*layer(s, v, centre, bias, noise))
        return flat(*layer(s, v, 5 * centre, previous, z, noise, mask)[:2])

    return call


@pytest.mark.parametrize("name", ["transition", "attention", "geometry"])
def test_layers_commute_with_rotations(name):
    call = layer_call(name)
    x = IRREPS.randn(1, TOKENS, -1, dtype=torch.float64)
    centre = torch.randn(1, TOKENS, 3, dtype=torch.float64)
    rotation = o3.rand_matrix(dtype=torch.float64)
    turn, turn_vector = IRREPS.D_from_matrix(rotation), o3.Irreps("1o").D_from_matrix(rotation)
    with torch.no_grad():
        assert torch.allclose(call(x, centre) @ turn.T, call(x @ turn.T, centre @ turn_vector.T), atol=1e-9)
        assert (call(x, centre) - x).abs().max() > 0.1  # and they do something


def test_the_transition_tells_left_from_right_and_nothing_else_does():
    x = IRREPS.randn(1, TOKENS, -1, dtype=torch.float64)
    centre = torch.randn(1, TOKENS, 3, dtype=torch.float64)
    mirror = IRREPS.D_from_matrix(-torch.eye(3, dtype=torch.float64))
    for name, sees in (("transition", True), ("attention", False), ("geometry", False)):
        call = layer_call(name)
        with torch.no_grad():
            difference = (call(x, centre) @ mirror.T - call(x @ mirror.T, -centre)).abs().max()
        assert (difference > 1e-2) == sees


def test_the_cross_product_is_e3nns_tensor_product():
    a, b = torch.randn(2, 9, 3, dtype=torch.float64)
    coupled = torch.einsum("ni,nj,ijk->nk", a, b, o3.wigner_3j(1, 1, 1, dtype=torch.float64))
    ratio = coupled / torch.linalg.cross(a, b, dim=-1)
    assert torch.allclose(ratio, ratio[0, 0].expand_as(ratio))


def test_the_cross_product_is_the_same_with_gradients_and_without():
    left, right, weight = torch.randn(3, 2, TOKENS, 3, 5, dtype=torch.float64)
    left, right = left.requires_grad_(), right.requires_grad_()
    with torch.no_grad():
        assert torch.allclose(cross_product(left, right), torch.linalg.cross(left, right, dim=-2))
    ours = torch.autograd.grad((cross_product(left, right) * weight).sum(), (left, right))
    theirs = torch.autograd.grad((torch.linalg.cross(left, right, dim=-2) * weight).sum(), (left, right))
    for own, other in zip(ours, theirs, strict=True):
        assert torch.allclose(own, other)


def test_the_norm_makes_vectors_of_length_one():
    v = torch.randn(4, TOKENS, 3, 5) * 30
    out = VectorNorm(5)(v)
    assert torch.allclose(out.square().sum(-2).mean(-1), torch.ones(4, TOKENS), atol=1e-4)
    assert VectorNorm(5)(torch.zeros(1, 1, 3, 5)).abs().max() == 0
