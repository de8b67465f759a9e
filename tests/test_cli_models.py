"""The command line with a real (tiny, random) model: decode, JSON, files, chat, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from specframe.cli import main

pytestmark = [pytest.mark.cli, pytest.mark.models]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return the folder of a Llama of two layers that speaks bytes and never ends by itself."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = models.BPE(vocab={letter: index for index, letter in enumerate(letters)}, merges=[])
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=1 << 17,
        bos_token_id=None,
        eos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def plain(model):
    return ["decode", "-m", str(model), "--strategy", "none"]


def test_text_statistics_and_comparison(plain, capsys):
    assert main([*plain, "hello", "--max-new-tokens", "6", "--compare"]) == 0
    said = capsys.readouterr()
    assert said.out.endswith("\n")
    assert "6 tokens in " in said.err
    assert "finished by length" in said.err
    assert "the tokens are identical" in said.err
    assert "needs >= " in said.err


def test_exact_mode_is_a_flag_and_adds_no_key(plain, capsys):
    exact = [*plain, "hello", "--max-new-tokens", "6", "--exact"]
    assert main([*exact, "--compare"]) == 0
    said = capsys.readouterr()
    assert "float32 on cpu, exact\n" in said.err
    assert "the tokens are identical" in said.err
    assert main([*exact, "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main([*exact[:-1], "--json", "--quiet"]) == 0
    normal = json.loads(capsys.readouterr().out)
    assert found.keys() == normal.keys()
    assert found["token_ids"] == normal["token_ids"]


def test_streamed_text_is_the_text_of_the_json(plain, capsys):
    assert main([*plain, "hello", "--max-new-tokens", "20", "--quiet"]) == 0
    streamed = capsys.readouterr()
    assert streamed.err == ""
    assert main([*plain, "hello", "--max-new-tokens", "20", "--quiet", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert streamed.out == f"{found['text']}\n"
    assert found["strategy"] == "none"
    assert found["options"] == {}
    assert found["finish_reason"] == "length"
    assert len(found["token_ids"]) == 20
    assert len(found["prompt_token_ids"]) == 5
    assert found["metrics"]["draft_acceptance_rate"] is None
    assert None not in found["versions"].values()


def test_chat_template_is_applied_unless_forbidden(plain, model, capsys):
    template = model / "chat_template.jinja"
    template.write_text("<{{ messages[0]['content'] }}>{% if add_generation_prompt %}:{% endif %}")
    counts = []
    try:
        for flag in ("--chat", "--no-chat"):
            main([*plain, "hello", "--max-new-tokens", "1", "--json", flag])
            counts.append(len(json.loads(capsys.readouterr().out)["prompt_token_ids"]))
    finally:
        template.unlink()
    assert counts == [len("<hello>:"), len("hello")]


def test_file_of_prompts_is_decoded_and_continued(plain, tmp_path, capsys):
    prompts, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [{"id": 1, "prompt": "a"}, {"id": 2, "prompt_ids": [999]}, {"id": 3, "prompt": "c"}]
    prompts.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    command = [*plain, "--prompts", str(prompts), "--output", str(output), "--max-new-tokens", "3"]
    assert main(command) == 1
    whole = output.read_bytes()
    ids = [json.loads(line)["id"] for line in whole.splitlines()]
    assert ids == [1, 2, 3]
    assert "no token id of this model" in json.loads(whole.splitlines()[1])["error"]
    output.write_bytes(whole[:-20])
    assert main(command) == 1
    again = [json.loads(line) for line in output.read_bytes().splitlines()]
    assert again[2]["token_ids"] == json.loads(whole.splitlines()[2])["token_ids"]
    capsys.readouterr()
    assert main([*command[:-1], "4"]) == 2
    assert "was begun with other options (max_new_tokens 3; now" in capsys.readouterr().err


def test_a_file_is_decoded_in_batches_with_the_same_lines(plain, tmp_path, capsys):
    prompts = tmp_path / "in.jsonl"
    lines = [{"id": at, "prompt": "abc"[: 1 + at % 3]} for at in range(5)]
    lines[1]["max_new_tokens"] = 9
    lines.insert(2, {"id": "bad", "prompt_ids": [1, 999]})
    prompts.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    command = [*plain, "--prompts", str(prompts), "--max-new-tokens", "4"]
    command += ["--temperature", "0.8", "--seed", "7"]
    written = []
    for size in ([], ["--batch-size", "2"], ["--batch-size", "9"]):
        output = tmp_path / f"out{len(written)}.jsonl"
        assert main([*command, "--output", str(output), *size]) == 1
        said = [json.loads(line) for line in output.read_text().splitlines()]
        assert [line["id"] for line in said] == [0, 1, "bad", 2, 3, 4]
        assert "999, which is no token id" in said.pop(2)["error"]
        assert [len(line["token_ids"]) for line in said] == [4, 9, 4, 4, 4]
        written.append([line["token_ids"] for line in said])
    assert written[0] == written[1] == written[2]
    assert written[0][0] == written[0][3], "one seed serves every row alike"
    capsys.readouterr()


def test_sampled_text_is_a_function_of_the_seed(plain, capsys):
    said = []
    flags = ["--temperature", "0.9", "--top-k", "40", "--top-p", "0.95", "--min-p", "0.01"]
    flags += ["--repetition-penalty", "1.1", "--max-new-tokens", "12", "--json", "--quiet"]
    for seed in ("7", "7", "8"):
        assert main([*plain, "hello", *flags, "--seed", seed]) == 0
        said.append(json.loads(capsys.readouterr().out))
    assert said[0]["token_ids"] == said[1]["token_ids"] != said[2]["token_ids"]
    assert [(one["verifier"], one["seed"]) for one in said] == [("match", n) for n in (7, 7, 8)]
    assert main([*plain, "hello", *flags]) == 0
    drawn = json.loads(capsys.readouterr().out)["seed"]
    assert isinstance(drawn, int)


def test_a_lossy_verifier_is_called_so(plain, capsys):
    flags = ["--temperature", "0.9", "--verifier", "typical", "--max-new-tokens", "4"]
    assert main([*plain, "hello", *flags, "--seed", "3"]) == 0
    said = capsys.readouterr().err
    assert "verifier typical (LOSSY: it changes what the model says)" in said
    assert "seed 3" in said


@pytest.mark.parametrize("extra", [[], ["--verifier", "match", "-o", "steps=3"]], ids=str)
def test_the_demo_says_the_same_with_kangaroo_and_without(extra, capsys):
    said = []
    for strategy in ("kangaroo", "none"):
        command = ["decode", "def f(x):", "--temperature", "0.8", "--seed", "7"]
        command += ["--strategy", strategy, "--max-new-tokens", "32"]
        command += extra if strategy == "kangaroo" else []
        assert main(command) == 0
        said.append(capsys.readouterr())
    assert said[0].out == said[1].out
    assert len(said[0].out) > 20
    assert "verifier match (lossless" in said[0].err
    assert "drafted tokens accepted" in said[0].err


def test_comparing_sampled_text_draws_the_same_noise_for_both(capsys):
    command = ["decode", "def f(x):", "--temperature", "0.8", "--max-new-tokens", "16"]
    assert main([*command, "--compare"]) == 0
    assert "the tokens are identical" in capsys.readouterr().err


def test_kangaroo_without_an_adapter_names_the_way_out(model, capsys):
    assert main(["decode", "-m", str(model), "hello"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "`specframe train kangaroo`" in said.err
    assert "-o adapter=" in said.err


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        (["-m", "no/such/folder"], "there is no model folder 'no/such/folder'"),
        (["-o", "steps=3"], "strategy 'none' takes no options, got 'steps'"),
        (["-o", "stop.steps=0"], "must be a whole number >= 1, got '0'"),
    ],
)
def test_fault_found_while_loading_is_one_message(plain, extra, complaint, capsys):
    assert main([*plain, "hello", "--quiet", *extra]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert complaint in said.err
    assert said.err.startswith("error: ")


def test_training_can_be_tried_dry(model, tmp_path, capsys):
    data, output = tmp_path / "data.jsonl", tmp_path / "adapter"
    data.write_text(f"{json.dumps({'text': 'to be or not to be ' * 40})}\n")
    command = ["train", "kangaroo", "-m", str(model), "--data", str(data)]
    command += ["--output", str(output), "--sequence-length", "64", "--exit-layer", "1"]
    assert main([*command, "--dry-run"]) == 0
    assert not list(output.glob("*.safetensors"))
    assert main([*command, "--exit-layer", "9", "--dry-run"]) == 2
    assert "exit" in capsys.readouterr().err


def interrupt(process):
    """Press Ctrl-C, and again if the first one met a finaliser, where Python drops it."""
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=8)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("the process cannot be interrupted")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently there")
def test_ctrl_c_prints_what_was_decoded_and_its_statistics(plain, tmp_path):
    command = [sys.executable, "-m", "specframe", *plain, "hello", "--max-new-tokens", "100000"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=os.environ
    ) as process:
        first = process.stdout.read(1)
        out, err = interrupt(process)
    assert process.returncode == 130
    assert (first + out).endswith(b"\n")
    assert b"finished by interruption" in err
    assert b"interrupted; above is what was decoded" in err
    assert b"Traceback" not in err


def test_draft_model_is_short_for_an_option_and_asks_for_its_strategy(model, capsys):
    common = ["decode", "-m", str(model), "hello", "--max-new-tokens", "6", "--json"]
    assert main([*common, "--draft-model", str(model)]) == 0
    short = json.loads(capsys.readouterr().out)
    assert main([*common, "--strategy", "draft-model", "-o", f"model={model}"]) == 0
    long = json.loads(capsys.readouterr().out)
    assert short["strategy"] == "draft-model"
    assert short["options"] == long["options"]
    assert short["options"]["model"] == str(model)
    assert short["token_ids"] == long["token_ids"]
    assert short["metrics"]["draft_acceptance_rate"] == 1.0


def test_draft_model_goes_to_the_strategy_that_is_named(model, capsys):
    common = ["-m", str(model), "--draft-model", str(model)]
    few = ["--num-prompts", "1", "--max-new-tokens", "8"]
    assert main(["check", "draft-model", *common, *few]) == 0
    assert "identical" in capsys.readouterr().out
    assert main(["decode", *common, "--strategy", "none", "hello"]) == 2
    assert "strategy 'none' takes no options, got 'model'" in capsys.readouterr().err
    assert main(["decode", *common, "-o", f"model={model}", "hello"]) == 2
    assert "option 'model' is given twice" in capsys.readouterr().err


def test_decoding_imports_one_model_file_and_leaves_the_collector_on(plain):
    code = (
        "import gc, sys; from specframe.cli import main;"
        f"assert main({[*plain, 'hello', '--max-new-tokens', '2', '--quiet']}) == 0;"
        "assert gc.isenabled() and not gc.get_freeze_count();"
        "print(*(m for m in sys.modules if '.modeling_' in m and '.models.' in m))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    *_, files = output.splitlines()
    assert set(files.split()) <= {
        "transformers.models.llama.modeling_llama",
        "transformers.models.auto.modeling_auto",  # the table of architectures
    }
