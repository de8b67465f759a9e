"""GPT-2: learned positions, layer norms, transposed projections."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from specframe import Projection
from specframe_models._blocks import (
    Attention,
    DecoderLayer,
    FeedForward,
    LayerKind,
    Map,
    PreNormLayer,
)
from specframe_models._decoder_family import DecoderFamily, Modules


class GPT2Family(DecoderFamily):
    """Split ``model.transformer.{wte, wpe, h, ln_f}`` and ``model.lm_head``."""

    model_types: ClassVar[frozenset[str]] = frozenset({"gpt2"})

    def parts(self, model: Any) -> Modules:
        """Return the modules; nothing is rotated."""
        body = model.transformer
        return Modules(body.wte, body.h, body.ln_f, model.lm_head)

    def positions(self, model: Any) -> Map:
        """Return the look-up of learned positions."""
        look_up: Map = model.transformer.wpe
        return look_up

    def norm(self, module: Any) -> Map:
        """Return the layer norm itself."""
        norm: Map = module
        return norm

    def layer(self, module: Any, kind: LayerKind, *, owned: bool) -> DecoderLayer:
        """Return a layer with a norm before each part."""
        attention, mlp = module.attn, module.mlp
        return PreNormLayer(
            attend=Attention(
                project=_projection(attention.c_attn, owned=owned),
                out=_projection(attention.c_proj, owned=owned),
                heads=attention.num_heads,
                kv_heads=attention.num_heads,
                head_dim=attention.head_dim,
                scale=attention.scaling,
                kind=kind,
            ),
            feed=FeedForward(
                up=_projection(mlp.c_fc, owned=owned),
                down=_projection(mlp.c_proj, owned=owned),
                activate=mlp.act,
            ),
            attend_norm=self.norm(module.ln_1),
            feed_norm=self.norm(module.ln_2),
        )


def _projection(conv: Any, *, owned: bool) -> Projection:
    """Return the linear map that a ``Conv1D`` is; its weight is ``[inputs, outputs]``."""
    weight: Tensor = conv.weight.detach()
    linear = nn.Linear(weight.shape[0], weight.shape[1], device="meta")
    linear.weight = nn.Parameter(weight.T, requires_grad=False)
    linear.bias = nn.Parameter(conv.bias.detach(), requires_grad=False)
    if owned:
        conv.weight.data = weight.new_empty(0)  # else the packed copy would be a second one
    return Projection([linear], owned=owned)
