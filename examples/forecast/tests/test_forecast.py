"""Random and fitted maps: the output never changes, and the fit is what makes it fast."""

import json
from importlib import resources
from pathlib import Path
from typing import ClassVar

import pytest
import torch

import specframe
from specframe.testing import StrategyConformance
from specframe.training import TrainRequest
from specframe_forecast import ForecastOptions
from specframe_forecast._drafter import ForecastDrafter
from specframe_forecast._map import Forecast, load_forecast, save_forecast
from specframe_forecast._training import example, fit, train

PROMPT = "def read_config(path):\n    "
WIDTH = 256  # of the demo model


class TestConformance(StrategyConformance):
    strategy = "forecast"
    options: ClassVar = {"weights": "none"}
    level = "full"


def request(output, **changes):
    demo = resources.files("specframe_demo") / "model"
    values = {"model": str(demo), "data": Path(json.__file__).parent, "output": output}
    return TrainRequest(**(values | {"sequence_length": 256} | changes))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Return a map for the demo model, fitted to one package of the standard library."""
    folder = tmp_path_factory.mktemp("fitted")
    train(request(folder, max_steps=4))
    return folder


def decoded(folder, **sampling):
    """Return how a prompt is decoded on the demo model, and plainly."""
    options = {"weights": folder, "threshold": 0.0}
    with specframe.load(strategy="forecast", options=options) as decoder:
        result = decoder.decode(PROMPT, max_new_tokens=48, **sampling)
        return result, decoder.plain().decode(PROMPT, max_new_tokens=48, **sampling)


@pytest.mark.parametrize("sampling", [{}, {"temperature": 0.8, "seed": 1}])
def test_a_fitted_map_is_accepted_and_changes_nothing(fitted, sampling):
    result, plain = decoded(fitted, **sampling)
    assert result.token_ids == plain.token_ids
    assert result.metrics.mean_acceptance_length > 1.3


def test_a_map_that_forecasts_nothing_changes_nothing_either(tmp_path):
    save_forecast(
        Forecast(*(torch.zeros(WIDTH, WIDTH) for _ in "st"), torch.zeros(WIDTH)), tmp_path
    )
    result, plain = decoded(tmp_path)
    assert result.token_ids == plain.token_ids
    assert result.metrics.mean_acceptance_length < 1.3


def test_the_fit_finds_a_linear_law():
    torch.manual_seed(0)
    law = Forecast(torch.randn(4, 4) / 3, torch.randn(4, 4), torch.randn(4))
    tokens, states = torch.randn(8, 40, 4), [torch.randn(8, 4)]
    for place in range(1, 40):
        states.append(law(states[-1], tokens[:, place]))
    found = fit(iter([example(tokens, torch.stack(states, dim=1))] * 50))
    for name in ("from_state", "from_token", "bias"):
        torch.testing.assert_close(getattr(found, name), getattr(law, name), atol=1e-2, rtol=0)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    save_forecast(Forecast(torch.zeros(4, 4), torch.zeros(4, 4), torch.zeros(4)), tmp_path)
    with pytest.raises(specframe.AdapterError, match="width 256"):
        specframe.load(strategy=ForecastDrafter(ForecastOptions(weights=tmp_path)))
    save_forecast(
        Forecast(torch.zeros(4, 4), torch.zeros(4, 4), torch.full((4,), torch.inf)), tmp_path
    )
    with pytest.raises(specframe.AdapterError, match="not finite"):
        load_forecast(tmp_path, 4)
    (tmp_path / "forecast.safetensors").write_bytes(b"nothing")
    with pytest.raises(specframe.AdapterError, match="cannot be read"):
        load_forecast(tmp_path, 4)
    with pytest.raises(specframe.AdapterError, match="cannot be read"):
        load_forecast(tmp_path / "missing", 4)


def test_what_the_trainer_does_not_do_is_refused_by_name(tmp_path):
    with pytest.raises(specframe.OptionError, match="exit_layer"):
        train(request(tmp_path, exit_layer=3))


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    train(request(tmp_path / "out", dry_run=True, max_steps=2, batch_size=3))
    assert not (tmp_path / "out").exists()
    assert "would fit to 6 windows" in capsys.readouterr().err
