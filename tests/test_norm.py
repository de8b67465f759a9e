"""The root-mean-square norm, against its formula."""

import pytest
import torch

from specframe import RMSNorm


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("is_wide", [False, True])
def test_a_wide_weight_is_applied_before_rounding_and_any_other_after_it(dtype, is_wide):
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(2, 3, 40, generator=generator).to(dtype)
    weight = (1 + 0.3 * torch.randn(40, generator=generator)).to(dtype)
    wide = torch.promote_types(dtype, torch.float32)
    normed = states.to(wide) * (states.to(wide).pow(2).mean(-1, keepdim=True) + 1e-3).rsqrt()
    expected = (normed * weight).to(dtype) if is_wide else normed.to(dtype) * weight
    found = RMSNorm(weight.to(wide) if is_wide else weight, 1e-3)(states)
    assert found.dtype == dtype
    exact = 1e-12 if dtype == torch.float64 else 1e-6
    different = (found.double() - expected.double()).abs() > exact * expected.double().abs()
    assert different.double().mean() < 0.02  # both sum in their own order: a last bit may differ
