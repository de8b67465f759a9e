"""The scripts that measure parts of the engine: what their figures mean."""

import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("tiny")]
FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def script(monkeypatch, request):
    """Import a script as a module."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield __import__(request.param)
    del sys.modules[request.param]


@pytest.mark.parametrize("script", ["engine"], indirect=True)
@pytest.mark.parametrize(
    ("strategy", "options"), [("none", {}), ("kangaroo", {"steps": 1}), ("prompt-lookup", {})]
)
def test_no_tensor_is_kept_for_a_new_token(script, strategy, options, tiny, tmp_path):
    """Caches are sized once, by the longer decode; the last round's tensors are those of two nodes.

    So half a number a token would show, and the state of one node does not.
    """
    import specframe

    model = tiny.model(vocab_size=256, max_position_embeddings=512)
    tiny.saved(tmp_path, model)
    tiny.adapter(tmp_path / "kangaroo", model, exit_layer=2)
    with specframe.load(tmp_path, strategy=strategy, options=options) as decoder:
        script.decode(decoder, 128)
        few, many = (script.alive(decoder, count) for count in (32, 128))
    assert few > 0
    assert (many - few) * 1e6 < (128 - 32) * 4


@pytest.mark.parametrize("script", ["stops"], indirect=True)
def test_a_policys_line_ends_with_its_repeats_and_equal_runs(script):
    """In 9 equal tokens the second 8-gram repeats the first: one of two."""
    loop, fresh = [1] * 9, list(range(9))
    rounds = [(1, 0.1)] * 4
    plain = [[script.Run(loop, 2.0, rounds)], [script.Run(fresh, 2.0, rounds)]]
    ours = [[script.Run(loop, 1.0, rounds)], [script.Run(fresh, 1.0, rounds)]]
    line = script.row_of("fixed 1", {"plain": plain, "fixed 1": ours}, script.Line(1.0, 1.0))
    assert line.split() == ["2.00x", "2.00x", "1.000x", "2.00", "1.00", "25.0%", "2/2"]
