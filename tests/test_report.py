"""report.html and the picture: complete, escaped, self-contained, also of partial results."""

import copy
import itertools
import json
import math
import random
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import report_results
from browser import PATH, Browser
from specframe import InputError
from specframe.bench import _picture
from specframe.bench._records import BenchRound, Level, Run, Seconds, Summary, Turn
from specframe.bench.report import _page
from specframe.bench.report._chart import Scale, fitted, words_width
from specframe.bench.report._chart_acceptance import Share
from specframe.bench.report._charts import split_of
from specframe.bench.report._results_by_strategy import ReportedStrategy, read_strategies, unknown
from specframe.bench.report._theory import (
    MeasuredCosts,
    acceptance_rate,
    expected_tokens,
    measure_costs,
    seconds_of_token,
)

EVIL = "<script>alert(1)</script><b onclick='x'>\"&amp;\x00\x1b[31m\ud800"
SIGHT = """[document.documentElement.scrollWidth, innerWidth,
  document.querySelectorAll('svg[role=img]').length,
  [...document.querySelectorAll('svg text')].filter(text => {
    const view = text.ownerSVGElement.viewBox.baseVal, box = text.getBBox();
    return box.x < -0.5 || box.x + box.width > view.width + 0.5;
  }).map(text => text.textContent)]"""
OVERLAPS = """[...document.querySelectorAll('svg')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBBox()]);
  const meet = (a, b) => Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x) > 1
    && Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y) > 4;
  return boxes.flatMap(([one, a], i) =>
    boxes.slice(i + 1).filter(([, b]) => meet(a, b)).map(([two]) => [one, two]));
})"""
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(width=32) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


class Page(HTMLParser):
    """Read a page: its elements with their attributes, and its words."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def render_report(results):
    return _page.render_report(report_results.read(results))


def write_report(results, folder):
    return _page.write_report(report_results.read(results), folder)


def draw_picture(results):
    return _picture.draw_picture(report_results.read(results))


def page_of(results):
    return Page(render_report(results))


def named(results, name):
    strategies = read_strategies(report_results.read(results))
    return next(each for each in strategies if each.name == name)


def strategy_of(name, rounds, levels):
    """Return a strategy with one run of these rounds and this acceptance by position."""
    seconds = Seconds(total=1.0, prefill=0.1)
    turn = Turn(9, [], None, "length", seconds, rounds=[BenchRound(*each) for each in rounds])
    summary = Summary(
        name, "all", 1, 0, acceptance_by_position=[Level(**level) for level in levels]
    )
    return ReportedStrategy(name, unknown(name), {"all": summary}, [Run(name, "p", 0, 0, [turn])])


def places(value, path=()):
    """Return the path of everything in a JSON value; of a list, of its first two."""
    yield path
    entries = value.items() if isinstance(value, dict) else ()
    entries = enumerate(value[:2]) if isinstance(value, list) else entries
    for key, inner in entries:
        yield from places(inner, (*path, key))


def replaced(results, path, value):
    """Return results with another value at one place."""
    changed = copy.deepcopy(results)
    *way, last = path
    holder = changed
    for key in way:
        holder = holder[key]
    holder[last] = value
    return changed


SMALL = report_results.results_of(
    [("none", 0, 0), ("kangaroo", 0.8, 3), ("hf", 0, None)], tasks=("code",), prompts=1
)
PLACES = [path for path in places(SMALL) if path and "token_ids" not in path]


def that_take(value):
    """Return the places that may hold a value; elsewhere the reader refuses it."""
    return [path for path in PLACES if report_results.is_readable(replaced(SMALL, path, value))]


def dotted(path):
    return ".".join(map(str, path))


def test_every_strategy_task_figure_and_failure_is_on_the_page():
    results = report_results.broken()
    page = page_of(results)
    text = re.sub(r"\s+", " ", "".join(page.words))
    for strategy in results["strategies"]:
        assert strategy["name"] in text
    for words in ("code", "prose", "No strategy is called medusa", "out of memory at token 12"):
        assert words in text
    assert "specframe bench --strategies none,kangaroo --prompts 'my file'" in text
    assert "0123456789abcdef0123456789abcdef01234567" in text
    assert "needs >= 1.40 tokens a round at these costs" in text
    assert "Tokens equal plain decoding on 5 of 6 prompts, 1 differ." in text


def test_a_summary_row_states_its_numbers():
    results = report_results.usual()
    row = next(row for row in results["summary"] if row["strategy"] == "kangaroo")
    row |= {"speedup": 1.5234, "speedup_low": 1.4, "speedup_high": 1.666, "peak_memory": 3 << 30}
    row |= {"near_ties": 4321, "repeated_8_grams": 0.057, "tokens_per_second": 1234.56}
    text = render_report(results)
    for words in ("1.52\u00d7", "1.40 to 1.67", "3.00 GiB", "4,321", "5.7%", "1,234.6"):
        assert words in text


def test_each_prompt_is_a_dot_of_its_task_and_of_all():
    results = report_results.results_of([("none", 0, 0), ("kangaroo", 0.8, 3)], prompts=4)
    text = render_report(results)
    (summary,) = [
        row for row in results["summary"] if (row["strategy"], row["task"]) == ("kangaroo", "all")
    ]
    for prompt, ratio in summary["speedup_by_prompt"].items():
        assert text.count(f"{prompt}: {ratio:.2f}\u00d7") == 2


def test_a_single_task_is_not_drawn_twice():
    assert "Speed-up by task" not in render_report(SMALL)
    assert "Speed-up by task" in render_report(report_results.usual())


@pytest.mark.parametrize("results", [SMALL, report_results.broken()])
def test_the_page_is_self_contained_and_accessible(results):
    page = page_of(results)
    for _, attributes in page.elements:
        for name in ("href", "src", "action", "data", "xlink:href"):
            assert attributes.get(name, "#").startswith("#")
    assert "url(" not in re.sub(r"url\(#", "", render_report(results))
    assert len(page.all("script")) == 1
    assert all(header.get("scope") for header in page.all("th"))
    identifiers = [each["id"] for _, each in page.elements if "id" in each]
    assert len(identifiers) == len(set(identifiers))
    for picture in page.all("svg"):
        assert picture["role"] == "img"
        assert set(picture["aria-labelledby"].split()) <= set(identifiers)
    assert len(page.all("title")) > len(page.all("svg"))
    assert len(page.all("desc")) == len(page.all("svg"))


def test_pictures_refer_only_to_patterns_that_they_define():
    text = render_report(report_results.usual())
    used = set(re.findall(r"url\(#([^)]*)\)", text))
    assert used
    assert used <= set(re.findall(r'<pattern id="([^"]*)"', text))


@pytest.mark.slow
@pytest.mark.parametrize("path", that_take(EVIL), ids=dotted)
def test_no_text_of_the_results_is_markup(path):
    changed = replaced(SMALL, path, EVIL)
    text = render_report(changed)
    assert "<script>alert" not in text
    assert "<b onclick" not in text
    text.encode()
    assert not re.search("[\x00\x1b]", text)


def test_no_key_of_the_results_is_markup():
    results = copy.deepcopy(SMALL)
    results["environment"]["versions"][EVIL] = "1"
    results["strategies"][1]["options"] = {EVIL: EVIL}
    for row in results["summary"]:
        row["speedup_by_prompt"] = {EVIL: 1.5}
    for text in (render_report(results), draw_picture(results)):
        assert "<script>alert" not in text
        assert "<b onclick" not in text
        text.encode()


def test_hostile_names_show_as_they_are_typed():
    results = replaced(report_results.broken(), ("strategies", 6, "name"), "<b>:&\"'")
    assert "<b>:&\"'" in "".join(page_of(results).words)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(PLACES), json_values), min_size=1, max_size=4))
def test_nothing_that_results_hold_breaks_the_page(changes):
    """One place after another is replaced, where the reader takes that."""
    results = SMALL
    for path, value in changes:
        try:
            changed = replaced(results, path, value)
        except (KeyError, IndexError, TypeError):  # the place is gone by then
            continue
        if report_results.is_readable(changed):
            results = changed
    text = render_report(results)
    for picture in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        for element in ET.fromstring(picture).iter():
            for name in ("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "width", "height"):
                assert math.isfinite(float(element.get(name, 0)))


@pytest.mark.slow
@pytest.mark.parametrize("path", that_take(None), ids=dotted)
def test_any_part_may_be_null(path):
    assert "</html>" in render_report(replaced(SMALL, path, None))


@pytest.mark.parametrize("key", Summary.__annotations__)
def test_any_figure_may_be_missing_or_no_number(key):
    """Null, not a number, infinite, or left out of results.json altogether."""
    for value in (None, math.nan, math.inf, "left out"):
        results = copy.deepcopy(SMALL)
        for row in results["summary"]:
            if value == "left out":
                del row[key]
            else:
                row[key] = value
        if report_results.is_readable(results):
            text = render_report(results)
            assert not re.search(r"\b(nan|inf|None)\b", text)


@pytest.mark.parametrize("part", ["strategies", "runs", "summary", "prompts"])
def test_any_list_may_be_empty(part):
    assert "</html>" in render_report(SMALL | {part: []})


def test_results_without_anything_are_a_page():
    words = re.sub(r"\s+", " ", "".join(page_of(report_results.nothing()).words))
    assert "No strategy was run." in words
    assert "unnamed model" in words


def test_times_that_are_no_numbers_are_left_out():
    results = copy.deepcopy(SMALL)
    turn = results["runs"][1]["turns"][0]
    expected = named(SMALL, "kangaroo").turn_seconds("total") - turn["seconds"]["total"]
    turn["seconds"]["total"] = math.nan
    turn["rounds"][0][3] = math.inf
    strategy = named(results, "kangaroo")
    assert strategy.turn_seconds("total") == pytest.approx(expected)
    costs = measure_costs(strategy, 0.007)
    assert math.isfinite(costs.per_draft)


def test_without_plain_decoding_no_speed_up_is_claimed():
    results = report_results.results_of([("kangaroo", 0.8, 3), ("hf", 0, None)])
    text = render_report(results)
    assert "no speed-up is known" in text
    assert "This needs a strategy that drafts" in text
    with pytest.raises(InputError, match="with strategy none"):
        draw_picture(results)


def test_a_strategy_whose_every_run_failed_is_a_row_with_its_error():
    results = copy.deepcopy(SMALL)
    for run in results["runs"]:
        if run["strategy"] == "kangaroo":
            run |= {"error": "the adapter is for another model", "turns": []}
    text = "".join(page_of(results).words)
    assert "failed: all 1 runs failed, the first: the adapter is for another model" in text


def test_what_transformers_leaves_together_stays_together():
    split = split_of(named(SMALL, "hf"))
    assert set(split.seconds) == {"prefill", "not split"}
    rate = named(SMALL, "hf").overall.tokens_per_second_with_prefill
    assert split.total == pytest.approx(1 / rate)
    assert split.seconds["prefill"] == pytest.approx(0.02 / 128)


def test_the_parts_of_a_token_add_up_to_its_time():
    for name in ("none", "kangaroo"):
        strategy = named(SMALL, name)
        split, seconds = split_of(strategy), strategy.overall.seconds
        rate = strategy.overall.tokens_per_second_with_prefill
        assert split.total == pytest.approx(1 / rate)
        for part, share in split.seconds.items():
            assert share * rate == pytest.approx(seconds[part] / sum(seconds.values()))


@given(st.floats(0, 0.999), st.integers(0, 12))
def test_expected_tokens_are_those_of_the_enumeration(acceptance, length):
    """Sum over the number of accepted drafts: all of them, or so many and then one refused."""
    stops = sum((k + 1) * acceptance**k * (1 - acceptance) for k in range(length))
    enumerated = stops + (length + 1) * acceptance**length
    assert expected_tokens(acceptance, length) == pytest.approx(enumerated)


def test_all_drafts_accepted_is_the_limit():
    assert expected_tokens(1, 7) == 8
    assert expected_tokens(1 - 1e-9, 7) == pytest.approx(8)


@given(st.floats(0.01, 0.99), st.integers(1, 12), st.floats(0.001, 2))
def test_with_the_costs_of_the_theorem_both_curves_are_one(acceptance, length, per_draft):
    costs = MeasuredCosts({length: 1.0}, length, per_draft, beside=1.0)
    theorem = (1 - acceptance ** (length + 1)) / ((1 - acceptance) * (length * per_draft + 1))
    assert costs.theorem(acceptance) == pytest.approx(theorem)
    assert costs.expected_speedup(acceptance) == pytest.approx(theorem)


def test_costs_are_measured_in_plain_tokens():
    results = report_results.results_of([("none", 0, 0), ("kangaroo", 0.8, 5)], prompts=1)
    plain, strategy = named(results, "none"), named(results, "kangaroo")
    a_token = seconds_of_token(plain)
    rounds = [each for run in strategy.runs for each in run.turns[0].rounds]
    costs = measure_costs(strategy, a_token)
    assert costs.length == costs.drafted == 5
    drafting = sum(each[3] for each in rounds) / sum(each[0] for each in rounds)
    assert costs.per_draft == pytest.approx(drafting / a_token)
    beside = sum(each[4] + each[5] for each in rounds) / len(rounds)
    assert costs.beside == pytest.approx(beside / a_token)


def test_a_round_is_no_deeper_than_what_was_reached():
    """A tree of 12 nodes on 3 levels counts 3 in the exponent and 12 in the cost."""
    rounds = [[12, 2, 3, 0.012, 0.01, 0.0]] * 4
    positions = [{"position": place, "reached": 4, "accepted": 3} for place in (1, 2, 3)]
    positions.append({"position": 4, "reached": 0, "accepted": 0})
    costs = measure_costs(strategy_of("tree", rounds, positions), plain_seconds=0.01)
    assert (costs.length, costs.drafted) == (3, 12)
    assert costs.per_draft == pytest.approx(0.1)
    assert costs.expected_speedup(1) == pytest.approx(4 / (1.2 + 1))


def test_the_speed_up_of_simulated_rounds_lies_on_the_curve():
    """Rounds drawn by the law that the theorem assumes, at costs that are known."""
    draw = random.Random(3)
    rounds = []
    for _ in range(20_000):
        accepted = next((k for k in range(4) if draw.random() >= 0.7), 4)
        rounds.append([4, accepted, accepted + 1, 0.004, 0.011, 0.001])
    chain = strategy_of("chain", rounds, report_results.by_position(rounds))
    costs = measure_costs(chain, plain_seconds=0.01)
    rate = acceptance_rate(chain.overall.acceptance_by_position)
    measured = sum(each[2] for each in rounds) * 0.01 / (len(rounds) * 0.016)
    assert rate == pytest.approx(0.7, abs=0.01)
    assert costs.expected_speedup(rate) == pytest.approx(measured, rel=0.01)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_wilsons_interval_holds_the_share(whole, share):
    found = Share("1", round(whole * share), whole)
    low, high = found.spread()
    assert -1e-9 <= low <= found.share + 1e-9
    assert found.share - 1e-9 <= high <= 1 + 1e-9


@given(st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_are_round_few_and_inside(highest, about):
    ticks = Scale(highest, 0, 100).ticks(about)
    assert ticks[0] == 0
    assert len(ticks) <= about + 1
    assert all(tick <= highest * (1 + 1e-9) for tick in ticks)
    steps = {round(math.log10(b - a) % 1, 3) for a, b in itertools.pairwise(ticks)}
    assert steps <= {0.0, 1.0, 0.301, 0.699}


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_scale_stays_on_the_picture(value):
    assert 5 <= Scale(3.0, 5, 95)(value) <= 95


@given(st.text(max_size=80), st.floats(20, 300))
def test_fitted_words_fit(text, width):
    kept = fitted(text, width)
    assert words_width(kept, 12) <= max(width, words_width("\u2026", 12))
    if kept != text:
        ends = [kept.split("\u2026")] if kept.count("\u2026") == 1 else []
        assert all(text.startswith(head) and text.endswith(tail) for head, tail in ends)


def test_long_names_of_one_sweep_stay_apart():
    names = [f"kangaroo:tree=true:steps=8:adapter=/a/long/folder:threshold={x}" for x in (1, 2)]
    assert len({fitted(name, 180) for name in names}) == 2


def test_the_report_is_written_as_a_whole(tmp_path):
    path = write_report(SMALL, tmp_path)
    assert path == tmp_path / "report.html"
    assert path.read_text(encoding="utf-8") == render_report(SMALL)
    assert list(tmp_path.iterdir()) == [path]


def test_the_picture_is_one_svg_that_needs_no_page():
    text = draw_picture(report_results.broken())
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme: dark" in text
    words = "".join(root.itertext())
    for name in ("none", "kangaroo:tree=true:steps=8", "hf-prompt-lookup", "medusa", "failed"):
        assert name in words
    assert not re.search(r"(href|src)=|url\(|@import", text)


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((0.53, 0.53), "53%"),
        ((0.0, 0.013), "0% to 1.3%"),
        ((None, 0.5), "50%"),
        ((None,), "not known"),
    ],
)
def test_the_picture_says_how_much_the_outputs_repeat(shares, said):
    results = report_results.results_of([(f"s{at}", 0.7, 3) for at, _ in enumerate(shares)])
    for row in results["summary"]:
        row["repeated_8_grams"] = shares[int(row["strategy"][1:])]
        row["speedup"] = 1.5
    words = list(ET.fromstring(draw_picture(results)).itertext())
    assert f"repeated 8-grams in the outputs: {said}" in words


@pytest.mark.cli
def test_the_script_draws_the_picture_of_a_folder(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(SMALL), encoding="utf-8")
    script = Path(__file__).parent.parent / "benchmarks" / "picture.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
    assert (tmp_path / "speedup.svg").read_text(encoding="utf-8") == draw_picture(SMALL)


@pytest.fixture(scope="module")
def browser():
    if PATH is None:
        pytest.skip("chromium is not installed: the page is not opened in a browser")
    browser = Browser()
    yield browser
    browser.close()


def long_names():
    """Return results whose names, errors and draft lengths are as long as they get."""
    name = "kangaroo:tree=true:steps=8:adapter=/data/models/a-long-folder/adapter:threshold=0.45"
    results = report_results.results_of(
        [("none", 0, 0), (name, 0.9, 32), ("x" * 120, 0.5, 9), ("hf", 0, None)],
        tasks=("code", "multi-turn conversation", "t" * 70),
    )
    lost = report_results.describe("y" * 90, 1) | {"error": "cannot read " + "/very/long" * 40}
    results["strategies"].append(lost)
    results["command"] += ["--prompts", "/a/b" * 60]
    results["settings"]["model"] = "m" * 200
    return results


@pytest.mark.parametrize("width", [1280, 768, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "make",
    [report_results.broken, long_names, report_results.nothing],
    ids=["usual", "long names", "empty"],
)
def test_a_browser_shows_the_page_without_complaint(browser, tmp_path, width, scheme, make):
    path = write_report(make(), tmp_path)
    browser.open(path, width, scheme)
    needed, shown, pictures, outside = browser.evaluate(SIGHT)
    assert browser.complaints() == []
    assert browser.requests() == [path.as_uri()]
    assert needed <= shown
    assert bool(pictures) == bool(make()["strategies"])
    assert outside == []
    assert browser.evaluate(OVERLAPS) == []


def test_the_page_copies_its_command(browser, tmp_path):
    browser.open(write_report(SMALL, tmp_path), 1280)
    assert browser.evaluate("document.getElementById('copy').hidden") is False
    browser.evaluate("document.getElementById('copy').click()")
    selected = browser.evaluate("getSelection().toString()")
    assert selected == "specframe bench --strategies none,kangaroo --prompts 'my file'"


def test_what_slips_through_would_not_run(browser, tmp_path):
    """The page's policy knows one script: another one is refused, and the refusal is logged."""
    path = write_report(SMALL, tmp_path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("<main>", "<main><script>window.ran = 1</script>"), "utf-8")
    browser.open(path, 1280)
    assert browser.evaluate("window.ran === undefined")
    assert browser.complaints()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(browser, tmp_path, scheme):
    """WCAG's contrast of 4.5 for every colour of words on the page's backgrounds."""
    browser.open(write_report(SMALL, tmp_path), 1280, scheme)
    style = "getComputedStyle(document.querySelector('{}')).getPropertyValue('--{}').trim()"
    read = lambda where, name: luminance(browser.evaluate(style.format(where, name)))  # noqa: E731
    for words in ("text", "dim", "warn", "link"):
        for back in ("page", "card"):
            assert contrast(read(":root", words), read(":root", back)) >= 4.5
    for words in ("ink", "soft"):
        assert contrast(read(".chart", words), read(":root", "card")) >= 4.5
    for shape in ("accent", "point", "draft", "verify", "quiet"):
        assert contrast(read(".chart", shape), read(":root", "card")) >= (
            2 if shape == "draft" else 3
        )


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, two):
    return (max(one, two) + 0.05) / (min(one, two) + 0.05)
