"""Family adapters: how the transformers architectures that specframe knows split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import hookimpl

if TYPE_CHECKING:
    from specframe import RegisterComponent

# By the ``model_type`` of their configs.
FAMILIES = {
    "gemma": ("_gemma:GemmaFamily", "Gemma"),
    "gemma2": ("_gemma:Gemma2Family", "Gemma 2"),
    "gemma3": ("_gemma:Gemma3WithImagesFamily", "Gemma 3 with a vision tower, on text alone"),
    "gemma3_text": ("_gemma:Gemma3Family", "Gemma 3, the text models"),
    "gpt2": ("_gpt2:GPT2Family", "GPT-2"),
    "gpt_neox": ("_gpt_neox:GPTNeoXFamily", "GPT-NeoX and Pythia"),
    "granite": ("_granite:GraniteFamily", "Granite"),
    "llama": ("_llama:LlamaFamily", "Llama and its fine-tunes"),
    "mistral": ("_llama:MistralFamily", "Mistral"),
    "mixtral": ("_mixtral:MixtralFamily", "Mixtral"),
    "olmo2": ("_olmo2:Olmo2Family", "OLMo 2"),
    "phi3": ("_phi3:Phi3Family", "Phi-3 and Phi-4"),
    "qwen2": ("_llama:Qwen2Family", "Qwen2 and Qwen2.5"),
    "qwen3": ("_llama:Qwen3Family", "Qwen3"),
}


@hookimpl
def specframe_register_families(register: RegisterComponent) -> None:
    """Register the families under the ``model_type`` of their configs."""
    for model_type, (target, summary) in FAMILIES.items():
        register(model_type, f"specframe_models.{target}", summary=summary)
