"""Configurations of tiny models, by name: a family, and what differs from the common shape."""

import pytest


def rope(kind="default", **values):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10_000.0, **values}}


SLIDING = {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 2}
LLAMAS = {
    "llama": ("llama", {}),
    "llama-tied": ("llama", {"tie_word_embeddings": True}),
    "llama-biased": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama-one-key-head": ("llama", {"num_key_value_heads": 1, "rms_norm_eps": 1e-2}),
    "llama-no-groups": ("llama", {"num_key_value_heads": 4, "num_hidden_layers": 5}),
    "llama-odd-widths": (
        "llama",
        {
            "hidden_size": 42,
            "intermediate_size": 37,
            "vocab_size": 59,
            "num_attention_heads": 3,
            "num_key_value_heads": 1,
            "head_dim": 10,
        },
    ),
    "llama-linear": ("llama", rope("linear", factor=3.0)),
    "llama-llama3": (
        "llama",
        rope(
            "llama3",
            factor=8.0,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=32,
        ),
    ),
    "llama-yarn": ("llama", rope("yarn", factor=4.0, original_max_position_embeddings=32)),
    "mistral": ("mistral", {"sliding_window": None}),
    "mistral-window": ("mistral", {"sliding_window": 7}),
    "mistral-wide-window": ("mistral", {"sliding_window": 15, "head_dim": 12}),
    "qwen2": ("qwen2", {}),
    "qwen2-window": ("qwen2", SLIDING | {"tie_word_embeddings": True}),
    "qwen3": ("qwen3", {"head_dim": 24}),
    "qwen3-window": ("qwen3", SLIDING | {"head_dim": 6, "attention_bias": True}),
}

MIXED = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
GEMMA2 = {"head_dim": 8, "query_pre_attn_scalar": 5, "sliding_window": 6}
GEMMA3 = GEMMA2 | {
    "rope_parameters": {
        "full_attention": {"rope_type": "linear", "factor": 3.0, "rope_theta": 1_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
    },
}
MULTIPLIERS = {
    "embedding_multiplier": 3.0,
    "attention_multiplier": 0.7,
    "residual_multiplier": 0.4,
    "logits_scaling": 0.6,
}
OTHERS = {
    "gemma": ("gemma", {"head_dim": 12}),
    "gemma-untied": (
        "gemma",
        {"head_dim": 6, "tie_word_embeddings": False, "attention_bias": True},
    ),
    "gemma2": ("gemma2", GEMMA2 | {"attn_logit_softcapping": 1.5, "final_logit_softcapping": 2.5}),
    "gemma2-uncapped": (
        "gemma2",
        GEMMA2
        | {"attn_logit_softcapping": None, "final_logit_softcapping": None}
        | {"query_pre_attn_scalar": 40},
    ),
    "gemma3": ("gemma3_text", GEMMA3 | {"layer_types": MIXED, "attn_logit_softcapping": 1.0}),
    "gemma3-capped": (
        "gemma3_text",
        GEMMA3 | {"layer_types": MIXED[::-1], "final_logit_softcapping": 2.5},
    ),
    "phi3": ("phi3", {"num_key_value_heads": 4}),
    "phi3-window": ("phi3", {"sliding_window": 7} | rope(partial_rotary_factor=0.5)),
    "olmo2": ("olmo2", {}),
    "olmo2-biased": ("olmo2", {"attention_bias": True, "num_key_value_heads": 1}),
    "gpt2": ("gpt2", {"n_inner": 40}),
    "gpt2-scaled": ("gpt2", {"scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False}),
    "gpt-neox": ("gpt_neox", {"rotary_pct": 0.5}),
    "gpt-neox-in-turn": ("gpt_neox", {"use_parallel_residual": False, "attention_bias": False}),
    "mixtral": ("mixtral", {"num_local_experts": 4, "head_dim": 12}),
    "mixtral-window": (
        "mixtral",
        {"num_local_experts": 3, "num_experts_per_tok": 1, "sliding_window": 7},
    ),
    "granite": ("granite", MULTIPLIERS),
    "granite-tied": (
        "granite",
        MULTIPLIERS
        | {"tie_word_embeddings": True, "mlp_bias": True}
        | {"embedding_multiplier": 0.3, "residual_multiplier": 1.3},
    ),
}

# What a release of transformers changes about a family shows in the configuration with the most
# in it: windows, scaled positions, experts. Of each family the oldest release sees that one.
FULLEST = {
    "llama-llama3",
    "mistral-window",
    "qwen2-window",
    "qwen3-window",
    "gemma",
    "gemma2",
    "gemma3",
    "phi3-window",
    "olmo2-biased",
    "gpt2-scaled",
    "gpt-neox",
    "mixtral-window",
    "granite-tied",
}


def each(table):
    """Return the names of a table as parameters; all but one of a family are marked ``variant``."""
    shown = {}
    for name, (family, _) in table.items():
        if family not in shown or name in FULLEST:
            shown[family] = name
    variants = table.keys() - shown.values()
    return [
        pytest.param(name, marks=pytest.mark.variant if name in variants else ()) for name in table
    ]
