"""The probe notices what a family's adapter leaves out or confuses, one thing at a time."""

import attrs
import pytest
import torch

from configurations import LLAMAS, OTHERS, each
from specframe import ModelError, RMSNorm
from specframe._loading.probe import admit
from specframe._plugins.discovery import load_registry
from specframe_models._blocks import PreNormLayer
from specframe_models._gpt_neox import ParallelLayer

pytestmark = pytest.mark.models


def spoilt(**changes):
    """Return what makes a family of whose split each named part is changed."""

    def make(family):
        class Spoilt(family):
            def split(self, model, *, owned):
                split = super().split(model, owned=owned)
                parts = {name: change(getattr(split, name)) for name, change in changes.items()}
                return attrs.evolve(split, **parts)

        return Spoilt

    return make


def in_layers(change):
    return spoilt(layers=lambda layers: [change(layer) for layer in layers])


def in_attention(**changes):
    """Return what makes a family whose attention has other values, or its own values."""

    def change(layer):
        old = layer.attend
        new = {name: value(old) if callable(value) else value for name, value in changes.items()}
        return attrs.evolve(layer, attend=attrs.evolve(old, **new))

    return in_layers(change)


def in_kinds(**changes):
    return in_attention(
        kind=lambda attention: attrs.evolve(
            attention.kind,
            **{name: change(getattr(attention.kind, name)) for name, change in changes.items()},
        )
    )


def overriding(**methods):
    return lambda family: type("Overriding", (family,), methods)


def joined_as(layer_class, attend="attend_norm", feed="feed_norm"):
    """Return what makes a family whose layers join their parts in another way."""
    return in_layers(
        lambda layer: layer_class(
            attend=layer.attend,
            feed=layer.feed,
            attend_norm=getattr(layer, attend),
            feed_norm=getattr(layer, feed),
        )
    )


def same(states):
    return states


def other_table(kind):
    return {"full_attention": "sliding_attention"}.get(kind, "full_attention")


def with_halves_swapped(layer):
    swapped = lambda states: torch.cat(layer.feed.gate_up(states).chunk(2, -1)[::-1], -1)  # noqa: E731
    return attrs.evolve(layer, feed=attrs.evolve(layer.feed, gate_up=swapped))


def with_equal_weights(layer):
    def route(rows):
        logits, weights, chosen = layer.feed.route(rows)
        return logits, torch.full_like(weights, 0.5), chosen

    return attrs.evolve(layer, feed=attrs.evolve(layer.feed, route=route))


PLANTED = {
    "mistral: a window of 15 one position longer": (
        "mistral-wide-window",
        in_kinds(window=lambda _: 16),
    ),
    "gemma: norms that scale by the weight alone": (
        "gemma",
        overriding(norm=lambda _, module: RMSNorm(module.weight.detach(), module.eps)),
    ),
    "gemma: embeddings without their scale": (
        "gemma",
        spoilt(embed=lambda embed: lambda tokens: embed(tokens) / embed.embed_scale),
    ),
    "gemma2: scores without their cap": ("gemma2", in_attention(softcap=None)),
    "gemma2: scores with another cap": ("gemma2", in_attention(softcap=2.0)),
    "gemma2: the usual scale of scores": ("gemma2", in_attention(scale=8**-0.5)),
    "gemma2: logits without their cap": (
        "gemma2",
        overriding(finish=lambda *arguments: arguments[-1]),
    ),
    "gemma2: a window one position longer": ("gemma2", in_kinds(window=lambda size: size and 7)),
    "gemma2: a window one position shorter": ("gemma2", in_kinds(window=lambda size: size and 5)),
    "gemma2: windows on the other layers": (
        "gemma2",
        in_kinds(window=lambda size: None if size else 6),
    ),
    "gemma2: no norm after attention": (
        "gemma2",
        in_layers(lambda layer: attrs.evolve(layer, after_attend=same)),
    ),
    "gemma2: no norm after the feed-forward part": (
        "gemma2",
        in_layers(lambda layer: attrs.evolve(layer, after_feed=same)),
    ),
    "gemma3: rotary tables swapped": ("gemma3", in_kinds(rotary=other_table)),
    "gemma3: one rotary table for all layers": (
        "gemma3",
        in_kinds(rotary=lambda _: "full_attention"),
    ),
    "gemma3: a window one position longer": ("gemma3", in_kinds(window=lambda size: size and 7)),
    "gemma3: the cap that transformers leaves out": ("gemma3", in_attention(softcap=1.0)),
    "gemma3: heads without their norms": ("gemma3", in_attention(head_norm=None)),
    "phi3: no window": ("phi3-window", in_kinds(window=lambda _: None)),
    "phi3: gate and up swapped": ("phi3-window", in_layers(with_halves_swapped)),
    "olmo2: norms before the parts": (
        "olmo2",
        joined_as(PreNormLayer, "after_attend", "after_feed"),
    ),
    "olmo2: heads without their norms": ("olmo2", in_attention(head_norm=None)),
    "olmo2: keys without their norm": (
        "olmo2",
        in_attention(head_norm=lambda attention: attrs.evolve(attention.head_norm, key=same)),
    ),
    "gpt2: no positions": ("gpt2", spoilt(positions=lambda _: None)),
    "gpt2: positions one too far": (
        "gpt2",
        spoilt(positions=lambda look_up: lambda places: look_up(places + 1)),
    ),
    "gpt2: one scale for all layers": ("gpt2-scaled", in_attention(scale=1.0)),
    "gpt_neox: heads in the order of other models": (
        "gpt-neox",
        in_attention(project=lambda attention: attention.project.project),
    ),
    "gpt_neox: parts in turn": ("gpt-neox", joined_as(PreNormLayer)),
    "gpt_neox: parts side by side": ("gpt-neox-in-turn", joined_as(ParallelLayer)),
    "gpt_neox: nothing rotated": ("gpt-neox", spoilt(rotary=lambda _: lambda _: {})),
    "mixtral: experts that count alike": ("mixtral", in_layers(with_equal_weights)),
    "mixtral: no window": ("mixtral-window", in_kinds(window=lambda _: None)),
    "granite: no embedding multiplier": (
        "granite",
        spoilt(embed=lambda embed: lambda tokens: embed(tokens) / 3),
    ),
    "granite: no attention multiplier": ("granite", in_attention(scale=8**-0.5)),
    "granite: no residual multiplier": (
        "granite",
        in_layers(lambda layer: attrs.evolve(layer, multiplier=1.0)),
    ),
    "granite: no scale of logits": (
        "granite",
        spoilt(head=lambda head: lambda states: head(states) * 0.6),
    ),
}


def probed(tiny, configuration, dtype, wrong=same, *, owned=False):
    """Admit a model by its family, or by what ``wrong`` makes of it."""
    name, changes = (LLAMAS | OTHERS)[configuration]
    family = wrong(type(load_registry().family(name).build()))
    with torch.inference_mode():
        return admit(tiny.model(name, dtype=dtype, **changes), family(), "planted", owned=owned)


@pytest.mark.parametrize("owned", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("configuration", each(OTHERS))
def test_a_fitting_family_is_admitted(tiny, configuration, dtype, owned):
    assert probed(tiny, configuration, dtype, owned=owned).num_layers == 4


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("planted", PLANTED)
def test_a_family_that_errs_in_one_thing_is_refused(tiny, planted, dtype):
    configuration, wrong = PLANTED[planted]
    with pytest.raises(ModelError, match="family 'planted' does not fit this model"):
        probed(tiny, configuration, dtype, wrong)
