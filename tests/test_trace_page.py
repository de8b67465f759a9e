"""The page of a trace: whole, escaped, self-contained; usable in a browser by eye and by key."""

import copy
import json
import os
import re
import statistics
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import trace_records
import trace_times
from browser import PATH, Browser
from specframe import InputError
from specframe._trace import read_trace, render_comparison, render_trace
from specframe._trace.reading import trace_of
from specframe.cli import main

EVIL = "</script><script>window.ran=1</script><b onclick='x'>\"&amp;\x00\x1b[31m\u202e\ud800"
SMALL = trace_records.small()
ODD = [
    "\u05e9\u05dc",
    "\u05d5\u05dd",
    "\u202egnp.exe",
    "\t\t",
    "\r\n",
    "",
    "\U0001f468\u200d",
    "\n",
]
SIGHT = """[document.documentElement.scrollWidth, innerWidth,
  document.querySelectorAll('.flow .t').length]"""


def page_of(lines):
    return render_trace(trace_of(lines, "here"))


class Words(HTMLParser):
    """Read the words of the text's tokens, one string for each, their drafts left out."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tokens, self.elements = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        if tag in {"meta", "input"}:
            return
        self.open.append((tag, attributes.get("class") or ""))
        if self.in_flow() and tag == "span" and self.open[-1][1].startswith("t "):
            self.tokens.append("")

    def handle_endtag(self, tag):
        self.open.pop()

    def handle_data(self, data):
        is_token = any(classes.startswith("t ") for _, classes in self.open)
        is_draft = any(tag == "small" for tag, _ in self.open)
        if self.in_flow() and is_token and not is_draft:
            self.tokens[-1] += data

    def in_flow(self):
        return any(classes == "flow" for _, classes in self.open)


def places(lines):
    """Return the path of every text in the lines of a trace."""
    for number, line in enumerate(lines):
        for key, value in line.items():
            if isinstance(value, str) and key != "kind":
                yield number, key
            if isinstance(value, list) and value and isinstance(value[0], str):
                yield number, key, 0
            if isinstance(value, dict):
                yield from ((number, key, name) for name in list(value)[:2])


def replaced(lines, path, value):
    changed = copy.deepcopy(lines)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return changed


PLACES = [path for path in places(SMALL) if "seconds" not in path]


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_no_text_of_a_trace_is_markup(path):
    text = page_of(replaced(SMALL, path, EVIL))
    assert text.count("<script") == 2
    assert "<b onclick" not in text
    text.encode()
    assert not re.search("[\x00\x1b\u202e]", text)


def test_no_name_of_an_option_is_markup():
    lines = copy.deepcopy(SMALL)
    lines[0]["options"][EVIL] = lines[0]["versions"][EVIL] = EVIL
    text = page_of(lines)
    assert text.count("<script") == 2
    assert "<b onclick" not in text


def test_the_tokens_of_the_page_are_the_text():
    lines = trace_records.long(700, seed=2)
    expected = [text for line in lines[1:-1] for text in line["committed_texts"]]
    assert Words(page_of(lines)).tokens == expected


@pytest.mark.parametrize("lines", [SMALL, SMALL[:1], SMALL[:2], SMALL[:4], trace_records.long(300)])
def test_the_page_is_self_contained(lines):
    text = page_of(lines)
    for _, attributes in Words(text).elements:
        for name in ("href", "src", "action", "data", "xlink:href"):
            assert attributes.get(name, "#").startswith("#")
    assert "url(" not in re.sub(r"url\(#", "", text)
    assert "@import" not in text
    strips = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert all(ET.fromstring(strip).get("aria-label") for strip in strips)
    assert len(strips) == 1


def test_figures_are_counted_from_the_rounds():
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page_of(SMALL)))
    for words in ("55% of 11", "2.20", "Accepted drafts a round", "2 (40%)", "3 (60%)", "length"):
        assert words in text, words
    assert "being cut off" in page_of(SMALL[:-1])


def test_two_traces_show_their_first_difference():
    other = replaced(SMALL, (3, "committed", 1), 99)
    text = render_comparison((trace_of(SMALL, "a"), trace_of(other, "b")), ("a.jsonl", "b.jsonl"))
    assert "The first difference is new token 5." in text
    assert len(re.findall(r'class="t [^"]*\bd"', text)) == 2
    same = render_comparison((trace_of(SMALL, "a"), trace_of(SMALL, "b")), ("a", "b"))
    assert "The 12 tokens are the same." in same


def test_pages_stand_beside_their_traces(tmp_path, capsys):
    one, other = (
        str(trace_records.written(tmp_path / f"{name}.jsonl", SMALL)) for name in ("a", "b")
    )
    for given_paths, page in (([one], "a.html"), ([one, other], "a-and-b.html")):
        assert main(["trace", "view", *given_paths]) == 0
        assert capsys.readouterr().out == f"{tmp_path / page}\n"
        assert (tmp_path / page).read_text(encoding="utf-8").endswith("</html>")


def test_a_trace_that_continues_differs_where_the_other_ends():
    short = trace_of(SMALL[:-2], "a")
    text = render_comparison((short, trace_of(SMALL, "b")), ("a", "b"))
    assert "The first difference is new token 11." in text
    assert len(re.findall(r'class="t [^"]*\bd"', text)) == 1


def test_traces_of_different_prompts_are_not_compared(tmp_path, capsys):
    one = trace_records.written(tmp_path / "a.jsonl", SMALL)
    other = trace_records.written(
        tmp_path / "b.jsonl", replaced(SMALL, (0, "prompt_token_ids"), [9])
    )
    assert main(["trace", "view", str(one), str(other)]) == 2
    assert "traces of different prompts" in capsys.readouterr().err
    with pytest.raises(InputError):
        render_comparison((read_trace(one), read_trace(other)), ("a", "b"))


def test_the_page_is_never_written_over_a_trace(tmp_path, capsys):
    path = trace_records.written(tmp_path / "a.html", SMALL)
    assert main(["trace", "view", str(path)]) == 2
    assert "is the trace itself" in capsys.readouterr().err
    assert read_trace(path).end is not None


@pytest.mark.cli
def test_viewing_needs_no_torch(tmp_path):
    path = trace_records.written(tmp_path / "a.jsonl", SMALL)
    code = (
        "import sys\n"
        "from specframe.cli import main\n"
        f"assert main(['trace', 'view', {str(path)!r}]) == 0\n"
        "assert not {'torch', 'transformers', 'numpy'} & sys.modules.keys()"
    )
    environment = os.environ | {"PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, env=environment, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def browser():
    if PATH is None:
        pytest.skip("chromium is not installed: the page is not opened in a browser")
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def shown(browser, tmp_path):
    """Return what opens the page of lines, or of two traces, and returns the browser."""

    def show(lines, other=None, width=1280, scheme="light"):
        path = tmp_path / "page.html"
        text = page_of(lines)
        if other is not None:
            text = render_comparison((trace_of(lines, "a"), trace_of(other, "b")), ("a", "b"))
        path.write_text(text, encoding="utf-8")
        browser.open(path, width, scheme)
        return browser

    return show


def odd():
    """Return a trace of texts that pages stumble over."""
    lines = [trace_records.header(prompt=EVIL[:-1] + "\n\t<i>" + ODD[0]), trace_records.prefill()]
    for number, text in enumerate([*ODD, EVIL[:-1], "x" * 300], 1):
        lines.append(trace_records.round_line(number, [text, "no"], [0], [text, "\u00e9"]))
    return lines


TRACES = {
    "one": (SMALL, None),
    "two": (SMALL, replaced(SMALL, (3, "committed", 1), 99)),
    "odd": (odd(), None),
    "nothing": (SMALL[:1], None),
    "no texts": (
        [line | dict.fromkeys([key for key in line if key.endswith("_texts")]) for line in SMALL],
        None,
    ),
}


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
@pytest.mark.parametrize("name", TRACES)
def test_a_browser_shows_the_page_without_complaint(shown, tmp_path, name, width, scheme):
    lines, other = TRACES[name]
    browser = shown(lines, other, width, scheme)
    needed, wide, tokens = browser.evaluate(SIGHT)
    assert needed <= wide
    assert tokens == sum(len(line.get("committed", ())) for line in [*lines, *(other or ())])
    for key in ("End", "ArrowUp", "ArrowLeft", "Home", "ArrowDown"):
        press(browser, key)
    assert browser.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [wide, wide]
    assert browser.evaluate("window.ran === undefined")
    assert browser.complaints() == []
    assert browser.requests() == [(tmp_path / "page.html").as_uri()]


def press(browser, key, pane=0):
    """Press a key where the focus is, in the text from the first time on."""
    browser.evaluate(
        f"""(() => {{
          const flow = document.querySelectorAll('.flow')[{pane}];
          if (!flow.contains(document.activeElement)) flow.focus();
          document.activeElement.dispatchEvent(
            new KeyboardEvent('keydown', {{ key: {json.dumps(key)}, bubbles: true }}));
        }})()"""
    )


def facts(browser):
    """Return what the details say of the token that is looked at."""
    return browser.evaluate(
        """Object.fromEntries([...document.querySelectorAll('.detail .pair dt')]
          .map(term => [term.textContent, term.nextElementSibling.textContent]))"""
    )


def looked_at(browser):
    """Return which tokens of the page are marked as looked at."""
    return browser.evaluate(
        """[...document.querySelectorAll('.flow .t')]
          .flatMap((token, at) => token.classList.contains('on') ? [at] : [])"""
    )


def test_keys_go_by_token_and_by_round(shown):
    browser = shown(SMALL)
    trail = []
    for key in (
        "Right",
        "Right",
        "Down",
        "Down",
        "Up",
        "End",
        "Right",
        "Down",
        "Left",
        "Home",
        "Left",
    ):
        press(browser, key if key in {"End", "Home"} else f"Arrow{key}")
        trail += looked_at(browser)
    assert trail == [1, 2, 4, 7, 4, 11, 11, 11, 10, 0, 0]
    focused = "[...document.querySelectorAll('.flow .t')].indexOf(document.activeElement)"
    assert browser.evaluate(focused) == 0


def test_details_say_what_the_trace_holds(shown):
    browser = shown(SMALL)
    first, corrected = SMALL[2], 3
    for _ in range(corrected):
        press(browser, "ArrowRight")
    p, of_draft = (f"{value:.3g}" for value in (first["committed_p"][2], first["draft_p"][2]))
    assert facts(browser) == {
        "draft token": f"!  ({first['draft_tokens'][2]})",
        "target token": f"(  ({first['committed'][2]})",
        "p": f"{p}, of the draft {of_draft}",
        "q": f"{first['draft_q'][2]:.3g}",
        "confidence": f"{first['draft_confidences'][2]:.3g}",
        "position": "new token 3, 8 in all",
        "round": "1 of 5, token 3 of 3",
        "round\u2019s time": "draft 4.00 ms, verify 9.00 ms, other 0.40 ms",
    }
    spoken = browser.evaluate("document.querySelector('[aria-live]').textContent")
    assert spoken.startswith(f"(: corrected, draft token !  ({first['draft_tokens'][2]}), p {p},")
    press(browser, "Home")
    assert facts(browser)["round"] == "the prefill"
    assert facts(browser)["draft token"].startswith("\u2013")


def test_the_tree_of_a_round_is_drawn_with_its_path(shown):
    browser = shown(SMALL)
    for _ in range(3):
        press(browser, "ArrowDown")
    drawn = browser.evaluate(
        """[...document.querySelectorAll('.tree g')].map(group => [
          group.getAttribute('class').split(' ')[0], group.querySelector('title').textContent])"""
    )
    assert sorted(drawn) == sorted(
        [["root", "root"], ["yes", "\u2423yield"], ["yes", "\u2423c"], ["end", "\u21b5"],
         ["no", "\u2423return"], ["no", "\u2423a"], ["no", "\u2423b"]]
    )  # fmt: skip
    boxes = browser.evaluate(
        """[...document.querySelectorAll('.tree rect')].map(rect => {
          const box = rect.getBoundingClientRect();
          return [Math.round(box.left), Math.round(box.top)];
        })"""
    )
    assert len({tuple(box) for box in boxes}) == len(drawn)
    rows = browser.evaluate(
        "[...document.querySelectorAll('.detail tbody tr')].map(row => row.className)"
    )
    assert rows == ["no", "yes", "no", "no", "yes"]


TWO_FRAMES = """new Promise(done =>
  requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"""


def test_pointing_shows_a_token_and_a_click_keeps_it(shown):
    browser = shown(SMALL)

    def mouse(kind, at, **more):
        x, y = browser.evaluate(
            f"""(() => {{ const box = document.querySelectorAll('.flow .t')[{at}]
              .getClientRects()[0]; return [box.left + 3, box.top + 8]; }})()"""
        )
        browser.wait_for(TWO_FRAMES)  # nothing reacts to the pointer before it was painted
        browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)
        browser.wait_for(TWO_FRAMES)

    def click(at):
        for kind in ("mousePressed", "mouseReleased"):
            mouse(kind, at, button="left", clickCount=1)

    mouse("mouseMoved", 2)
    assert looked_at(browser) == [2]
    click(3)
    mouse("mouseMoved", 8)
    assert looked_at(browser) == [3]
    press(browser, "Escape")
    mouse("mouseMoved", 7)
    assert looked_at(browser) == [7]


def test_the_strip_tells_of_a_round_and_goes_there(shown):
    browser = shown(SMALL)
    column = browser.evaluate("Number(document.querySelector('.strip').dataset.column)")
    over = f"""(() => {{ const strip = document.querySelector('.strip');
      const clientX = strip.getBoundingClientRect().left + {column} * 2.5;
      strip.dispatchEvent(new PointerEvent('pointermove', {{ clientX }}));
      strip.dispatchEvent(new MouseEvent('click', {{ clientX }})); }})()"""
    browser.evaluate(over)
    assert looked_at(browser) == [7]
    assert browser.evaluate("document.querySelector('.said').textContent") == (
        "Round 3: draft 4.00 ms, verify 9.00 ms, other 0.40 ms; 2 of 5 drafts accepted, 3 tokens."
    )


def test_rejected_drafts_stand_under_their_place_and_can_be_hidden(shown):
    browser = shown(SMALL)
    below = """[...document.querySelectorAll('.flow .v')].map(token => {
      const word = token.querySelector('.x').getBoundingClientRect();
      const draft = token.querySelector('.r').getBoundingClientRect();
      return [draft.height > 0, draft.top >= word.bottom - 1, Math.abs(draft.left - word.left) < 4];
    })"""
    assert browser.evaluate(below) == [[True, True, True]] * 4
    browser.evaluate("document.querySelector('.rejects').click()")
    assert all(not row[0] for row in browser.evaluate(below))


def test_kinds_are_told_apart_without_colour(shown):
    browser = shown(SMALL)
    lines = browser.evaluate(
        """Object.fromEntries([...document.querySelectorAll('.legend .t')].map(token => {
          const style = getComputedStyle(token);
          return [token.textContent, style.textDecorationLine + ' ' + style.textDecorationStyle];
        }))"""
    )
    assert len(lines) == 5
    assert len(set(lines.values())) == 5


def test_two_traces_move_together_and_jump_to_the_difference(shown):
    browser = shown(SMALL, replaced(SMALL, (3, "committed", 1), 99))
    browser.evaluate("document.querySelector('.jump').click()")
    assert looked_at(browser) == [5]
    twins = """[...document.querySelectorAll('.pane')[1].querySelectorAll('.flow .t')]
      .flatMap((token, at) => token.classList.contains('twin') ? [at] : [])"""
    assert browser.evaluate(twins) == [5]
    press(browser, "ArrowRight")
    assert browser.evaluate(twins) == [6]


def test_on_a_phone_details_open_below_and_close(shown):
    browser = shown(SMALL, width=390)
    hidden = "getComputedStyle(document.querySelector('aside')).display"
    assert browser.evaluate(hidden) == "none"
    browser.evaluate("document.querySelectorAll('.flow .t')[3].click()")
    assert browser.evaluate(hidden) == "block"
    box = "document.querySelector('aside').getBoundingClientRect()"
    assert browser.evaluate(f"[{box}.left, {box}.right, {box}.bottom - innerHeight]") == [0, 390, 0]
    token = "document.querySelectorAll('.flow .t')[3].getBoundingClientRect()"
    assert browser.evaluate(f"{token}.bottom <= {box}.top")
    browser.evaluate("document.querySelector('.close').click()")
    assert browser.evaluate(hidden) == "none"


def test_what_slips_through_would_not_run(shown, tmp_path, browser):
    shown(SMALL)
    path = tmp_path / "page.html"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("<main>", "<main><script>window.ran = 1</script>"), "utf-8")
    browser.open(path, 1280)
    assert browser.evaluate("window.ran === undefined")
    assert browser.complaints()


@pytest.mark.slow
def test_ten_thousand_tokens_do_not_lag(browser, tmp_path):
    """Loose bounds, for machines with other work; benchmarks/trace_page.py prints the times."""
    path = tmp_path / "page.html"
    path.write_text(page_of(trace_records.long(10_000)), encoding="utf-8")
    times = trace_times.measure(browser, path)
    assert browser.evaluate("document.querySelectorAll('.flow .t').length") == 10_000
    assert len(times["frames"]) > 20
    laid_out = "getComputedStyle(document.querySelector('.chunk')).contentVisibility"
    assert browser.evaluate(laid_out) == "auto"
    assert browser.evaluate("document.querySelectorAll('.detail, .tree').length") == 2
    assert times["load"] < 8000
    assert statistics.median(times["frames"]) < 250
    assert statistics.median(times["keys"]) < 250


@pytest.mark.slow
@pytest.mark.usefixtures("browser")
def test_the_script_prints_the_times_of_a_page():
    script = Path(__file__).parent.parent / "benchmarks" / "trace_page.py"
    done = subprocess.run(
        [sys.executable, script, "times", "50"], capture_output=True, check=True, text=True
    )
    assert re.search(r"50 tokens, 0\.\d MB: loaded in \d+ ms; scrolled in", done.stdout)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_marks(shown, scheme):
    """WCAG's contrast of 4.5 for the text on each mark, 3 for the lines that tell marks apart."""
    browser = shown(SMALL, scheme=scheme)
    style = "getComputedStyle(document.documentElement).getPropertyValue('--{}').trim()"
    read = lambda name: luminance(browser.evaluate(style.format(name)))  # noqa: E731
    for back in ("yes-back", "no-back", "more-back", "mark-back", "code"):
        assert contrast(read("text"), read(back)) >= 4.5
    for line, back in (("yes", "yes-back"), ("no", "no-back"), ("more", "more-back")):
        assert contrast(read(line), read(back)) >= 3
    assert contrast(read("dim"), read("card")) >= 4.5


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, two):
    return (max(one, two) + 0.05) / (min(one, two) + 0.05)
