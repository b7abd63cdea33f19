"""Triangle multiplication against its definition, written as one sum over k, in float64."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import layer_norm
from torch.testing import assert_close

from structdiff.kernels import triangle_multiplication


def draw(n=5, c_z=4, c_hidden=3, batch=2):
    generator = torch.Generator().manual_seed(2)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    mask = torch.rand((batch, n, n), generator=generator) > 0.3
    weights = (
        *(normal(c_z), normal(c_z), normal(2 * c_hidden, c_z), normal(2 * c_hidden, c_z)),
        *(normal(c_hidden), normal(c_hidden), normal(c_z, c_hidden), normal(c_z, c_z)),
    )
    return (normal(batch, n, n, c_z), mask, *weights)


def by_definition(z, mask, w_in, b_in, project_in, gate_in, w_out, b_out, project_out, gate_out, outgoing):
    x = layer_norm(z, z.shape[-1:], w_in, b_in)
    edges = (x @ project_in.T) * (x @ gate_in.T).sigmoid() * mask[..., None]
    a, b = edges.tensor_split(2, dim=-1)
    product = torch.einsum("bikc,bjkc->bijc" if outgoing else "bkic,bkjc->bijc", a, b)
    return (layer_norm(product, w_out.shape, w_out, b_out) @ project_out.T) * (x @ gate_out.T).sigmoid()


@pytest.mark.parametrize("outgoing", [True, False])
@pytest.mark.parametrize("n", [1, 7, 33])
def test_agrees_with_its_definition(n, outgoing):
    inputs = draw(n)
    assert_close(triangle_multiplication(*inputs, outgoing), by_definition(*inputs, outgoing), rtol=1e-10, atol=1e-10)


def test_transposed_table_is_taken_as_it_is():
    z, mask, *weights = draw()
    out = triangle_multiplication(z.transpose(1, 2), mask.mT, *weights, True)
    expected = by_definition(z.transpose(1, 2), mask.mT, *weights, True)
    assert_close(out, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("outgoing", [True, False])
def test_gradients_agree_with_finite_differences(outgoing):
    inputs = [x.requires_grad_() if x.is_floating_point() else x for x in draw(n=3, c_z=2, c_hidden=3, batch=1)]
    assert torch.autograd.gradcheck(lambda *x: triangle_multiplication(*x, outgoing), tuple(inputs))
