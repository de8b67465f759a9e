"""Who competes: shared weights, transformers' state put back, faults apart, memory measured."""

from __future__ import annotations

import pytest

from bench_runs import header, run, strategy, turn
from specframe._errors import InputError, OptionError
from specframe.bench import BenchPrompt, read_contestants
from specframe.bench._memory import MemoryLedger

pytestmark = pytest.mark.models

PROMPT = BenchPrompt("p", "x", ([5, 6, 7, 5, 6, 7, 5, 6],))
TOKENS = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny):
    return tiny.full_of_ties(tmp_path_factory.mktemp("ties"))


@pytest.fixture
def line_up(folder):
    """Return what loads contestants by name."""
    from specframe._loading.loading import Source
    from specframe._plugins.discovery import load_registry
    from specframe.bench._competitor import Draws
    from specframe.bench._competitor_loading import load_competitors

    def load(names, model=str(folder)):
        draws = Draws(temperature=0.0, seed=0)
        source = Source(model, device="cpu")
        return load_competitors(source, read_contestants(names), load_registry(), draws)

    return load


def decode(field, name, prompts=(PROMPT.turns[0],)):
    competitor = field.competitors[name]
    competitor.reset()
    return competitor.decode([list(prompt) for prompt in prompts], [TOKENS] * len(prompts))


def test_our_competitors_share_one_copy_of_the_weights(line_up):
    field = line_up("none,kangaroo,kangaroo:tree=true")
    splits = [each.decoder.target.engine._split for each in field.competitors.values()]
    assert len(splits) == 3
    assert len({id(split) for split in splits}) == 1
    caches = [each.decoder.target.engine for each in field.competitors.values()]
    assert len({id(engine) for engine in caches}) == 3
    assert field.stock is None


def test_transformers_has_a_stock_copy_of_the_same_weights(line_up, folder):
    import torch
    from transformers import AutoModelForCausalLM

    field = line_up("none,hf,hf-prompt-lookup")
    stock = field.stock.model
    assert field.competitors["hf"]._stock is field.competitors["hf-prompt-lookup"]._stock
    saved = AutoModelForCausalLM.from_pretrained(folder)
    for name, weight in stock.state_dict().items():
        assert torch.equal(weight, saved.state_dict()[name])


def test_a_stock_copy_that_cannot_be_made_costs_transformers_rows_alone(line_up, tiny):
    import threading

    model = tiny.model(vocab_size=60)
    model.lock = threading.Lock()  # nobody can copy that
    field = line_up("none,hf,hf-prompt-lookup", model=model)
    assert list(field.competitors) == ["none"]
    assert len(decode(field, "none")[0].token_ids) == TOKENS
    errors = {each.name: each.error for each in field.records}
    assert errors["none"] is None
    for name in ("hf", "hf-prompt-lookup"):
        assert errors[name].startswith("transformers' own copy of the model could not be made: ")
        assert "lock" in errors[name]


def test_chunks_and_seconds_of_transformers_add_up(line_up):
    names = "hf,hf-prompt-lookup,hf-early-exit:exit_layer=2:threshold=0"
    field = line_up(names)
    for name in names.split(","):
        (found,) = decode(field, name)
        assert sum(found.chunks) == len(found.token_ids) == TOKENS
        assert 0 < found.seconds.prefill < found.seconds.total
        assert found.finish_reason == "length"
    assert decode(field, "hf")[0].chunks == [1] * TOKENS


def test_draft_settings_reach_transformers(line_up):
    long, short = (f"hf-early-exit:exit_layer=3:threshold=0:steps={steps}" for steps in (8, 1))
    field = line_up(f"{long},{short}")
    assert max(decode(field, long)[0].chunks) > 2
    assert max(decode(field, short)[0].chunks) == 2


def test_early_exit_gives_its_layers_back_when_it_is_interrupted(line_up):
    field = line_up("hf,hf-early-exit:exit_layer=2")
    stock = field.stock.model
    layer = stock.model.layers[1]

    def interrupt(*_):
        if stock.config.num_hidden_layers == 2:
            raise KeyboardInterrupt

    handle = layer.register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        decode(field, "hf-early-exit:exit_layer=2")
    handle.remove()
    assert stock.config.num_hidden_layers == 4
    assert decode(field, "hf")[0].token_ids == decode(line_up("none"), "none")[0].token_ids


def test_what_transformers_tunes_is_set_anew_before_each_run(line_up):
    name = "hf-early-exit:exit_layer=2:threshold=0.3:steps=5"
    field = line_up(name)
    config = field.stock.model.generation_config
    config.assistant_confidence_threshold = 0.99
    field.competitors[name].decode([[5, 6, 7]], [8])  # as a second turn, without a reset between
    config = field.stock.model.generation_config
    assert config.assistant_confidence_threshold == 0.3
    assert config.num_assistant_tokens == 5
    assert config.num_assistant_tokens_schedule == "constant"


def test_no_threshold_is_none_of_transformers_own(line_up, folder):
    """Left out, it would be 0.4."""
    field = line_up(f"hf-assisted:model={folder}:steps=3")
    decode(field, f"hf-assisted:model={folder}:steps=3")
    config = field.competitors[f"hf-assisted:model={folder}:steps=3"]._assistant.generation_config
    assert config.assistant_confidence_threshold == 0
    assert config.num_assistant_tokens == 3


def test_what_the_models_generation_config_says_beyond_its_ends_is_left_out(line_up):
    config = line_up("hf").stock.model.generation_config
    assert config.repetition_penalty is None
    assert config.top_k is None


def test_padded_rows_say_what_they_say_alone(line_up):
    prompts = [[5, 6, 7], [9, 8, 7, 6, 5, 4, 3]]
    field = line_up("hf,none")
    both = [turn.token_ids for turn in decode(field, "hf", prompts)]
    alone = [decode(field, "none", [prompt])[0].token_ids for prompt in prompts]
    assert both == alone


def test_only_plain_generate_takes_several_rows(line_up):
    field = line_up("hf-prompt-lookup")
    with pytest.raises(InputError, match="one prompt at a time"):
        decode(field, "hf-prompt-lookup", [[1, 2], [3, 4]])


def test_a_layer_to_leave_at_must_be_one_of_the_models(line_up):
    (record,) = line_up("hf-early-exit:exit_layer=4").records
    assert "exit before the last one" in record.error
    with pytest.raises(OptionError, match=">= 1"):
        line_up_options("hf-prompt-lookup:steps=0")


def line_up_options(name):
    from specframe.bench._competitor_loading import check_contestants

    check_contestants(read_contestants(name), None)


def test_our_seconds_are_those_of_the_wall_clock(line_up):
    """Time around and between the rounds counts, as it does for ``generate``."""
    import time

    import pluggy

    from specframe import hookimpl
    from specframe._plugins import hooks
    from specframe._plugins.discovery import Member, load_plugins
    from specframe._plugins.plugin_info import PluginInfo

    class Slow:
        @hookimpl
        def specframe_decode_finished(self, result):
            time.sleep(0.3)

    manager = pluggy.PluginManager(hooks.GROUP)
    manager.add_hookspecs(hooks)
    manager.register(Slow())
    field = line_up("none")
    observers = load_plugins().observers["specframe_decode_finished"]
    observers.append(Member(PluginInfo("slow", "slow", "1", "slow"), manager))
    try:
        (found,) = decode(field, "none")
    finally:
        observers.pop()
    assert found.seconds.other > 0.3
    parts = (found.seconds.prefill, found.seconds.draft, found.seconds.verify, found.seconds.other)
    assert found.seconds.total == pytest.approx(sum(parts))


# --- memory


class Level:
    """A gauge that shows what it is told."""

    def __init__(self):
        self.level = self.highest = 100

    def mark(self):
        self.highest = self.level

    def now(self):
        return self.level

    def peak(self):
        return max(self.highest, self.level)


def test_a_peak_leaves_out_what_others_hold():
    gauge = Level()
    gauge.level = 150
    ledger = MemoryLedger(gauge, 100, "weights")
    with ledger.booked("one"):
        gauge.level = 170
    with ledger.booked("two"):
        gauge.level = 175
    ledger.mark()
    with ledger.booked("one"):
        gauge.highest = 250
        gauge.level = 180
    assert ledger.peak({"weights", "one"}) == 250 - 100 - 5
    assert ledger.peak({"two"}) == 250 - 100 - 50 - 25


def test_the_resident_set_is_told_on_linux():
    import sys

    import torch

    from specframe.bench._memory import gauge_for

    gauge = gauge_for(torch.device("cpu"))
    if not sys.platform.startswith("linux"):
        assert gauge.now() is None
        return
    gauge.mark()
    before = gauge.now()
    block = bytearray(64 << 20)
    assert gauge.now() - before > 60 << 20
    del block
    assert gauge.peak() - before > 60 << 20


# --- watching


def test_a_terminal_sees_a_table_that_only_moves_between_runs(monkeypatch):
    import io

    from specframe.cli._display import Notes
    from specframe.cli.bench import _progress_display

    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", screen)
    watch = _progress_display.watch(Notes())
    records = [strategy("none"), strategy("gone", error="no weights")]
    done = run("none", "a", [turn([(2, 1)])])
    watch.begin(records, 2, [done])
    watch.ran([run("none", "b", [], error="it broke")])
    watch.end()
    said = screen.getvalue()
    assert "gone cannot take part: no weights" in said
    assert "1 of 2 runs are there already" in said
    assert "tokens/s" in said
    assert "2/2" in said
    assert "none failed on prompt b: it broke" in said


def test_judging_has_its_own_bar_that_an_end_takes_away(monkeypatch):
    import io

    from specframe.cli._display import Notes
    from specframe.cli.bench import _progress_display

    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", screen)
    watch = _progress_display.watch(Notes())
    watch.judged(0, 3)
    watch.judged(2, 3)
    watch.end()
    said = screen.getvalue()
    assert "judging differences" in said
    assert "2/3" in said
    assert said.rindex("\x1b[?25h") > said.rindex("2/3")  # the cursor is back


def test_a_pipe_hears_of_judging_in_a_few_lines(capsys):
    from specframe.cli._display import Notes
    from specframe.cli.bench._progress_display import watch

    watcher = watch(Notes())
    for done in range(61):
        watcher.judged(done, 60)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[0] == "0 of 60 differences from plain decoding judged"
    assert lines[-1] == "60 of 60 differences from plain decoding judged"


def test_a_pipe_gets_a_few_plain_lines(capsys):
    from specframe.cli._display import Notes
    from specframe.cli.bench._progress_display import watch

    watcher = watch(Notes())
    prompts = [(f"p{number}", "x") for number in range(40)]
    watcher.begin(header(prompts, [strategy("none")]).strategies, 40, [])
    for prompt, _ in prompts:
        watcher.ran([run("none", prompt, [turn([(2, 1)])])])
    watcher.end()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[-1].startswith("40 of 40 runs; tokens/s: none ")
    assert "\x1b" not in "".join(lines)
