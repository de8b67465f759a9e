"""The Kangaroo adapter, which turns exit-layer hidden states into what the head reads.

Paper: Kangaroo, NeurIPS 2024, section 3.2: one attention block without a feed-forward part,
``norm(f + attention(norm(f)))``; the target's own head reads the result.
"""

from __future__ import annotations

import attrs
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own abbreviation)


@attrs.frozen
class AdapterConfig:
    """Describe an adapter's shape; the field names are those of a transformers config.

    ``hidden_size`` is the target's, a multiple of twice ``num_attention_heads``, which is one of
    ``num_key_value_heads``. Not checked here: ``load_checkpoint`` raises AdapterError.
    """

    hidden_size: int
    num_attention_heads: int
    num_key_value_heads: int
    num_hidden_layers: int = 1
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10_000.0

    @property
    def head_dim(self) -> int:
        """Return the width of one attention head."""
        return self.hidden_size // self.num_attention_heads


class Adapter(nn.Module):
    """Map exit-layer hidden states to the hidden states that the target's head reads.

    The ``state_dict`` has the reference implementation's names.
    """

    def __init__(self, config: AdapterConfig) -> None:
        """Create an adapter with fresh weights."""
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(_Block(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(
        self, hidden: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token hidden"]:
        """Run whole sequences, causally, from position 0, as training does."""
        cos, sin = rotary_table(self.config, hidden.shape[1], hidden.device)
        for layer in self.layers:
            hidden = layer(hidden, cos, sin)
        normed: Tensor = self.norm(hidden)
        return normed


class _Block(nn.Module):
    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = _Attention(config)

    def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        attended: Tensor = self.self_attn(self.input_layernorm(hidden), cos, sin)
        return hidden + attended


class _Attention(nn.Module):
    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        width, kv_width = config.hidden_size, config.num_key_value_heads * config.head_dim
        self.config = config
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, kv_width, bias=False)
        self.v_proj = nn.Linear(width, kv_width, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, width = hidden.shape
        query, key, value = (
            projection(hidden).view(batch, length, -1, self.config.head_dim).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = F.scaled_dot_product_attention(
            rotate(query, cos, sin),
            rotate(key, cos, sin),
            value,
            is_causal=True,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        output: Tensor = self.o_proj(attended.transpose(1, 2).reshape(batch, length, width))
        return output


def rotary_table(
    config: AdapterConfig, length: int, device: torch.device
) -> tuple[Float[Tensor, "token head_dim"], Float[Tensor, "token head_dim"]]:
    """Return cos and sin of positions 0 to ``length`` - 1, in float32.

    The base is the adapter's own: the reference hard-codes 10000 for every target.
    """
    exponents = torch.arange(0, config.head_dim, 2, device=device).float() / config.head_dim
    angles = torch.outer(
        torch.arange(length, device=device).float(), 1.0 / config.rope_theta**exponents
    )
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary position embedding to ``states [batch, head, token, head_dim]``."""
    half = states.shape[-1] // 2
    turned = torch.cat([-states[..., half:], states[..., :half]], dim=-1)
    return (states * cos + turned * sin).to(states.dtype)
