"""What tests of real models share: tiny random ones, adapters for them, and what generate says.

Marks, too: what uses ``tiny`` is marked ``models``, and what nothing heavy marks is ``quick``.
"""

import sys

import pytest

import shapes

shapes.install()  # every test checks the shapes that specframe's annotations promise

SHAPE = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
EMBEDDINGS = ("embed_tokens", "lm_head", "wte", "wpe", "embed_in")
ATTENTION = ("q_proj", "k_proj", "qkv_proj", "c_attn", "query_key_value")
OUTPUTS = ("o_proj", "down_proj", "c_proj", "dense.", "dense_4h_to_h")
HEAVY = {"cli", "gpu", "models", "slow"}
HEAVY_RAN = pytest.StashKey[bool]()
LATER_LAYERS_SAY = 0.5  # so that what leaves the model early is often right, and often wrong


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items):
    for item in items:
        if "tiny" in getattr(item, "fixturenames", ()):
            item.add_marker("models")
        if HEAVY.isdisjoint(mark.name for mark in item.iter_markers()):
            item.add_marker("quick")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Hold marks to what they say: ``pytest -m quick`` never imports transformers."""
    result = yield
    if item.get_closest_marker("quick") is None:
        item.config.stash[HEAVY_RAN] = True
    elif not item.config.stash.get(HEAVY_RAN, False):
        assert "transformers" not in sys.modules, "it imports transformers: mark it `models`"
    return result


@pytest.fixture(scope="session")
def tiny():
    """Return the maker of tiny models; its first use imports transformers."""
    import torch

    torch.set_num_threads(1)  # at this size a second thread costs more than it saves
    return Tiny()


class Tiny:
    """Make tiny models and adapters with weights that matter everywhere: norms and biases too."""

    def config(self, family="llama", **changes):
        from transformers import AutoConfig

        return AutoConfig.for_model(family, **(SHAPE | changes))

    def model(self, family="llama", *, dtype="float32", seed=0, attention=None, **changes):
        import torch
        from transformers import AutoModelForCausalLM

        config = self.config(family, **changes)
        model = AutoModelForCausalLM.from_config(
            config,
            dtype=torch.float32,
            # Gemma 2 caps its scores, which sdpa cannot.
            attn_implementation=attention or ("eager" if family == "gemma2" else "sdpa"),
            experts_implementation="eager",  # the others do not run in float64
        )
        generator = torch.Generator().manual_seed(seed)
        for name, weight in model.named_parameters():
            weight.data = _weight(name, weight, generator)
            if family.startswith("gemma") and weight.dim() == 1:
                weight.data -= 1  # its norms scale by 1 + weight
            if family.startswith("gemma") and "embed_tokens" in name:
                weight.data *= config.hidden_size**-0.5  # it scales what it looks up
        return model.to(getattr(torch, dtype)).eval()

    def saved(self, folder, model):
        model.save_pretrained(folder)
        return folder

    def full_of_ties(self, folder):
        """Save a model, with an adapter, in which each even token ties with the one after it."""
        model = self.model(vocab_size=60)
        head = model.lm_head.weight.data
        head[1::2] = head[::2]
        self.saved(folder, model)
        self.adapter(folder / "kangaroo", model, exit_layer=2)
        return folder

    def adapter(self, folder, model, *, layers=1, seed=1, exit_layer=None, fingerprint=None):
        """Save an adapter that reads the exit layer much as the model's own last norm does."""
        import torch

        from specframe_kangaroo import Adapter, AdapterConfig, Checkpoint, save_checkpoint

        width = model.config.hidden_size
        heads = next(count for count in (4, 3, 2, 1) if width % (2 * count) == 0)
        kv_heads = 2 if heads == 4 else 1
        torch.manual_seed(seed)
        adapter = Adapter(AdapterConfig(width, heads, kv_heads, num_hidden_layers=layers))
        for block in adapter.layers:
            block.self_attn.o_proj.weight.data *= 0.5
        adapter.norm.weight.data = last_scale(model)
        checkpoint = Checkpoint(adapter, exit_layer=exit_layer, fingerprint=fingerprint)
        save_checkpoint(folder, checkpoint)
        return str(folder)

    def generate(self, model, prompt, count, eos=None):
        """Return the new tokens of transformers' own greedy decoding."""
        import torch

        ids = torch.tensor([prompt])
        with torch.inference_mode():
            output = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=count,
                eos_token_id=eos,
                pad_token_id=0,
            )
        return output[0, len(prompt) :].tolist()


def body_of(model):
    """Return what is below the head, under the name that the architecture has for it."""
    return getattr(model, model.base_model_prefix)


def last_scale(model):
    """Return what the model's own last norm scales by, copied."""
    body = body_of(model)
    norms = (getattr(body, name, None) for name in ("norm", "ln_f", "final_layer_norm"))
    weight = next(norm for norm in norms if norm is not None).weight.detach().float()
    return weight + 1 if model.config.model_type.startswith("gemma") else weight.clone()


def _weight(name, weight, generator):
    import torch

    noise = torch.randn(weight.shape, generator=generator)
    if weight.dim() == 1:
        return 0.3 * noise if name.endswith("bias") else 1 + 0.3 * noise
    if any(part in name for part in EMBEDDINGS):
        return 0.5 * noise
    spread = weight.shape[0 if ".h." in name else -1] ** -0.5  # GPT-2's are [inputs, outputs]
    if any(part in name for part in ATTENTION):
        return 2 * spread * noise  # attention that looks at few tokens shows a wrong mask
    is_output = any(part in name for part in OUTPUTS)
    is_first = ".0." in name
    return (LATER_LAYERS_SAY if is_output and not is_first else 1.5) * spread * noise
