"""Family adapters: how the transformers architectures that specframe knows split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import hookimpl

if TYPE_CHECKING:
    from specframe import RegisterComponent


@hookimpl
def specframe_register_families(register: RegisterComponent) -> None:
    """Register the families under the ``model_type`` of their configs."""
    register("llama", "specframe_models._llama:LlamaFamily", summary="Llama and its fine-tunes")
    register("mistral", "specframe_models._llama:MistralFamily", summary="Mistral")
    register("qwen2", "specframe_models._llama:Qwen2Family", summary="Qwen2 and Qwen2.5")
    register("qwen3", "specframe_models._llama:Qwen3Family", summary="Qwen3")
