"""The contract of family adapters: how a transformers architecture comes apart."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor

from specframe._engine.attention import Pass, Rotary
from specframe._engine.cache import SlotCache

if TYPE_CHECKING:
    from transformers import PreTrainedModel


LearnedPositions = Callable[[Int[Tensor, "batch token"]], Float[Tensor, "batch token hidden"]]


class Layer(Protocol):
    """Run one decoder layer on the slot cache."""

    def __call__(self, hidden: Tensor, cache: SlotCache, index: int, shared: Pass, /) -> Tensor:
        """Return the hidden states after layer ``index``; writes its keys and values.

        ``hidden`` and the answer are ``[rows, token, hidden]``, packed if the placement is.
        """


@attrs.frozen(eq=False)
class Split:
    """Hold a model's parts as the engine runs them.

    ``groups`` is the number of query heads per key head; ``rotary`` returns the table of the given
    positions, or a mapping of the kinds that layers give to ``Pass.rotate`` to tables, or None;
    ``head`` includes soft-capping and scaling; ``context`` is the number of positions that the
    model was made for; ``positions`` returns the learned embeddings of positions, which are added
    to those of the tokens before layer 0.
    """

    layers: Sequence[Layer]
    embed: Callable[[Int[Tensor, "batch token"]], Float[Tensor, "batch token hidden"]]
    norm: Callable[[Float[Tensor, "batch token hidden"]], Float[Tensor, "batch token hidden"]]
    head: Callable[[Float[Tensor, "batch token hidden"]], Float[Tensor, "batch token vocab"]]
    rotary: Callable[[Int[Tensor, " position"]], Rotary]
    hidden_size: int
    vocab_size: int
    kv_heads: int
    groups: int
    head_dim: int
    context: int
    dtype: torch.dtype
    device: torch.device
    positions: LearnedPositions | None = None


class Family(abc.ABC):
    """Tell how the models of one architecture come apart.

    The probe at load time compares both methods with the model itself: ``run_stock`` bit for bit,
    the layers of ``split`` within a tolerance. It raises ModelError where they differ, and
    PluginError for an answer of another type.
    """

    model_types: ClassVar[frozenset[str]]
    """The ``model_type`` names of transformers configs that this family covers."""

    @abc.abstractmethod
    def refusal(self, model: PreTrainedModel) -> str | None:
        """Return why this model cannot be split though its type is covered, or None.

        The reason becomes a ModelError.
        """

    @abc.abstractmethod
    def run_stock(
        self, model: PreTrainedModel, tokens: Int[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token vocab"]:
        """Run the model's own modules one after another, without a cache."""

    @abc.abstractmethod
    def split(self, model: PreTrainedModel, *, owned: bool) -> Split:
        """Return the parts of ``model``.

        ``owned``: the engine may rearrange the weights, since nobody else holds the model; it is
        not used as a transformers model afterwards. Otherwise the model must stay unchanged.
        """
