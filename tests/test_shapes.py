"""The checks of shapes that all other tests run under refuse what annotations forbid."""

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

from shapes import checked, shapes_of


def paired(
    left: "Float[Tensor, 'batch token']", right: "Int[Tensor, 'batch token']", *, turned=False
) -> "Float[Tensor, 'token batch']":
    return left.T if turned else right


LEFT, RIGHT = torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.long)


def test_what_fits_passes_however_it_is_given():
    run = checked(paired, shapes_of(paired))
    assert run(LEFT, RIGHT, turned=True).shape == (3, 2)
    assert run(right=RIGHT, left=LEFT, turned=True).shape == (3, 2)


@pytest.mark.parametrize(
    ("left", "right", "turned", "said"),
    [
        (LEFT[:1], RIGHT, True, "right is"),
        (LEFT[0], RIGHT, True, "left is"),
        (LEFT, RIGHT.int(), False, "return is"),
        (LEFT, RIGHT.float(), True, "right is"),
        (LEFT, None, True, "right is"),
    ],
)
def test_a_wrong_shape_is_refused_after_a_right_one_too(left, right, turned, said):
    run = checked(paired, shapes_of(paired))
    run(LEFT, RIGHT, turned=True)
    for _ in range(2):
        with pytest.raises(TypeError, match=said):
            run(left, right, turned=turned)
