"""The GPU benchmark: its bounds are the reference's, and it runs at toy sizes on any machine."""

import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("tiny")]
FOLDER = Path(__file__).parent.parent / "benchmarks"
# Best speed-up at acceptance 0.5 to 0.9, and the chain's length, for 4.3 TB/s.
KNOWN = {
    "vicuna-7b": ([1.45, 1.67, 1.97, 2.46, 3.43], [2, 3, 4, 6, 10]),
    "llama-3.1-8b": ([1.35, 1.51, 1.76, 2.13, 2.83], None),
}


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import gpu

    yield gpu
    for name in ("gpu", "gpu_runs", "planted"):
        del sys.modules[name]


@pytest.mark.parametrize("name", KNOWN)
def test_bounds_are_those_of_the_reference(gpu, name):
    floors = gpu.Floors.of(gpu.SHAPES[name], 4.3e12, 2)
    bounds = [floors.bound(rate) for rate in (0.5, 0.6, 0.7, 0.8, 0.9)]
    speedups, lengths = KNOWN[name]
    assert [speedup for speedup, _ in bounds] == pytest.approx(speedups, abs=0.02)
    assert lengths is None or [length for _, length in bounds] == lengths


def test_the_bound_may_take_the_longest_chain_that_is_drafted(gpu):
    floors = gpu.Floors.of(gpu.SHAPES["vicuna-7b"], 4.3e12, 2)
    assert floors.bound(0.999)[1] == gpu.LONGEST_CHAIN


def test_planted_acceptance_is_what_was_asked_for(gpu):
    import torch
    from gpu_runs import Bench, Setting, kangaroo, random_model
    from planted import PlantedStop, Script

    setting = Setting(torch.device("cpu"), torch.float32, list(range(9)), 300, 1)
    shape = gpu.TINY["tiny-gqa"]
    with torch.inference_mode():
        bench = Bench(random_model(shape, setting), setting)
        script = Script.of(0.7, 400, shape.vocab, setting.device)
        chain = bench.measure(kangaroo(shape, tree=False), PlantedStop(1), script)
        tree = bench.measure(kangaroo(shape, tree=True), PlantedStop(1), script)
    assert chain.length == pytest.approx(1.7, abs=0.1)
    assert tree.length == pytest.approx(chain.length, abs=0.05)


@pytest.mark.usefixtures("gpu")
def test_planted_choices_stay_on_the_device():
    import torch
    from planted import PlantedSampler, Script

    from specframe import Draft, Scores, Stops
    from specframe.testing import make_rows

    sampler = PlantedSampler(Script.of(0.5, 20, 9, torch.device("meta")))
    scores = Scores(torch.empty(1, 3, 9, device="meta"))
    rows = make_rows([[1]], Stops(9, 99))
    assert sampler.choose(rows, Draft.chains([1], [[2, 3]]), scores).is_meta


@pytest.mark.parametrize("runner", ["eager", "graph"])
def test_it_runs_at_toy_sizes(gpu, runner, monkeypatch, capsys):
    from specframe._round.verdict import AwaitedVerdict

    begun, begin = [], AwaitedVerdict.__init__
    monkeypatch.setattr(
        AwaitedVerdict, "__init__", lambda self, told: (begun.append(told), begin(self, told))[1]
    )
    monkeypatch.setenv("SPECFRAME_RUNNER", runner)
    given = ["gpu.py", "--tiny", "--max-new-tokens", "8", "--repeats", "1", "--acceptance", "0.8"]
    monkeypatch.setattr(sys, "argv", given)
    assert gpu.main() == 0
    assert bool(begun) == (runner == "graph"), "acceptance is measured where it will be"
    lines = capsys.readouterr().out.splitlines()
    assert sum("PLANTED" in line for line in lines) == 2
    assert sum("of the bound" in line for line in lines) == 2
    assert sum("ms/token" in line for line in lines) == 2 * 6


def test_a_row_that_fails_says_why_and_the_others_run(gpu, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "TREE_STEPS", "six")  # a limit that no drafter can count to
    given = ["gpu.py", "--tiny", "--max-new-tokens", "4", "--repeats", "1", "--acceptance", "0.8"]
    monkeypatch.setattr(sys, "argv", [*given, "0.9"])
    assert gpu.main() == 1
    lines = capsys.readouterr().out.splitlines()
    failed = [line for line in lines if " failed: " in line]
    assert [line.split(" failed: ")[0].strip() for line in failed] == [
        "0.8 Kangaroo, tree",
        "0.9 Kangaroo, tree",
    ] * 2
    assert all("Error: " in line for line in failed)
    assert sum("ms/token" in line for line in lines) == 2 * (3 + 2 * 2)
