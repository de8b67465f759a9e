"use strict";
const traces = JSON.parse(document.getElementById("data").textContent);
const aside = document.querySelector("aside");
const detail = aside.querySelector(".detail");
const panes = [...document.querySelectorAll(".pane")].map(readPane);
let now = null, pinned = false;

function readPane(pane, number) {
  const trace = traces[number], tokens = [...pane.querySelectorAll(".flow .t")], places = [];
  trace.rounds.forEach((round, at) => {
    round.first = places.length;
    round.new.forEach((_, place) => places.push([at, place]));
  });
  const text = pane.querySelector(".flow"), strip = pane.querySelector(".strip");
  const one = { trace, tokens, places, text, strip, note: pane.querySelector(".said"), number };
  one.usual = one.note.innerHTML;
  one.column = Number(strip.dataset.column);
  one.cursor = strip.querySelector(".cursor");
  one.order = new Map(tokens.map((token, at) => [token, at]));
  text.addEventListener("pointerover", event => pinned || event.pointerType !== "mouse" || show(one, find(one, event.target)));
  text.addEventListener("click", event => keep(one, find(one, event.target)));
  text.addEventListener("focusin", event => event.target === text ? enter(one) : show(one, find(one, event.target)));
  text.addEventListener("keydown", event => move(one, event));
  strip.addEventListener("pointermove", event => tell(one, roundAt(one, event)));
  strip.addEventListener("pointerleave", () => one.note.innerHTML = one.usual);
  strip.addEventListener("click", event => go(one, one.trace.rounds[roundAt(one, event)].first));
  return one;
}

const find = (pane, element) => pane.order.get(element.closest(".t"));
const number = value => value === null || value === undefined ? "–" : String(Number(value.toPrecision(3)));
const milliseconds = value => `${(value * 1000).toFixed(value < 0.1 ? 2 : 0)} ms`;

function enter(pane) {
  // Tab returns to the last place.
  if (now === null || now.pane !== pane) go(pane, 0);
}

function show(pane, at) {
  if (at === undefined || at >= pane.places.length || (now && now.pane === pane && now.at === at)) return;
  for (const old of document.querySelectorAll(".on, .twin")) old.classList.remove("on", "twin");
  now = { pane, at };
  pane.tokens[at].classList.add("on");
  for (const other of panes) if (other !== pane) other.tokens[at]?.classList.add("twin");
  const [round, place] = pane.places[at];
  pane.cursor.setAttribute("x", round ? (round - 1) * pane.column : -99);
  detail.replaceChildren(...describe(pane, at, round, place));
  const spot = detail.querySelector(".now");
  if (spot) {
    const { e: x, f: y } = spot.transform.baseVal[0].matrix;
    spot.ownerSVGElement.parentElement.scrollTo(x - STEP, y - 4 * HIGH);
  }
  aside.classList.add("open");
  document.body.classList.add("docked");
}

function go(pane, at) {
  if (!pane.tokens.length) return;
  at = Math.max(0, Math.min(at, pane.places.length - 1));
  const token = pane.tokens[at];
  token.tabIndex = -1;
  token.focus({ preventScroll: true });
  show(pane, at);
  token.scrollIntoView({ block: "nearest" });
  const scroller = pane.strip.parentElement, x = Number(pane.cursor.getAttribute("x"));
  if (x < scroller.scrollLeft || x > scroller.scrollLeft + scroller.clientWidth - 20)
    scroller.scrollLeft = x - scroller.clientWidth / 2;
}

function keep(pane, at) {
  if (at === undefined || getSelection().toString()) return;
  const again = pinned && now && now.pane === pane && now.at === at;
  now = null;
  pinned = !again;
  go(pane, at);
}

function leave() {
  pinned = false;
  aside.classList.remove("open");
  document.body.classList.remove("docked");
  detail.querySelector(".kept-on")?.remove();
}

function move(pane, event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape") return leave();
  const at = now && now.pane === pane ? now.at : 0, rounds = pane.trace.rounds;
  const round = (pane.places[at] || [0])[0];
  const to = {
    ArrowLeft: at - 1,
    ArrowRight: at + 1,
    ArrowUp: rounds[Math.max(round - 1, 0)]?.first,
    ArrowDown: rounds[Math.min(round + 1, rounds.length - 1)]?.first,
    Home: 0,
    End: pane.places.length - 1,
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  go(pane, to);
}

function roundAt(pane, event) {
  const x = event.clientX - pane.strip.getBoundingClientRect().left;
  return Math.max(1, Math.min(1 + Math.floor(x / pane.column), pane.trace.rounds.length - 1)) % pane.trace.rounds.length;
}

function tell(pane, at) {
  const round = pane.trace.rounds[at];
  const times = Object.entries(round.seconds).map(([part, spent]) => `${part} ${milliseconds(spent)}`);
  pane.note.textContent = `Round ${at}: ${times.join(", ")}; ${round.path.length} of ${round.draft.length} drafts accepted, ${round.new.length} tokens.`;
}

function make(tag, content = "", kind = "") {
  const element = document.createElement(tag);
  element.className = kind;
  Array.isArray(content) ? element.append(...content) : element.textContent = content;
  return element;
}

function describe(pane, at, roundAt, place) {
  const trace = pane.trace, round = trace.rounds[roundAt], accepted = place < round.path.length;
  const end = round.path.length ? round.path[round.path.length - 1] : -1;
  const tried = accepted ? round.path[place] : round.parents.indexOf(end);
  const kind = accepted ? "accepted" : !roundAt ? "prefill" : !round.draft.length ? "plain" : tried < 0 ? "bonus" : "corrected";
  const name = (text, id) => `${text}  (${id})`;
  const facts = [
    ["draft token", tried < 0 ? "– (nothing was drafted here)" : name(round.texts[tried], round.draft[tried])],
    ["target token", name(round.newTexts[place], round.new[place])],
    ["p", kind === "corrected" ? `${number(round.newP?.[place])}, of the draft ${number(round.p?.[tried])}` : number(round.newP?.[place])],
    ["q", tried < 0 ? "–" : number(round.q?.[tried])],
    ["confidence", tried < 0 ? "–" : number(round.confidence?.[tried])],
    ["position", `new token ${at}, ${trace.prompt + at} in all`],
    ["round", roundAt ? `${roundAt} of ${trace.rounds.length - 1}, token ${place + 1} of ${round.new.length}` : "the prefill"],
    ["round’s time", Object.entries(round.seconds).map(([part, spent]) => `${part} ${milliseconds(spent)}`).join(", ")],
  ];
  aside.querySelector(".spoken").textContent = `${round.newTexts[place]}: ${kind}, ${facts[0].join(" ")}, p ${facts[2][1]}, round ${roundAt}`;
  const heading = make("h3", [make("code", round.newTexts[place]), " ", make("span", kind, `t ${kind === "plain" ? "" : kind[0]}`)]);
  const list = make("dl", facts.flatMap(([term, words]) => [make("dt", term), make("dd", words)]), "pair");
  const parts = pinned ? [heading, make("p", "kept; Escape lets it go", "kept-on"), list] : [heading, list];
  return round.draft.length ? [...parts, drawTree(round, tried, kind), table(round)] : parts;
}

function table(round) {
  const kept = new Set(round.path), depths = [];
  const row = (cells, head) => make("tr", cells.map((cell, at) => {
    const element = make(head || at === 0 ? "th" : "td", head || at ? cell : [make("code", cell)]);
    if (head || at === 0) element.scope = head ? "col" : "row";
    return element;
  }));
  const body = round.draft.map((_, node) => {
    const above = round.parents[node];
    depths.push(above < 0 ? 1 : depths[above] + 1);
    const line = row([
      round.texts[node], String(depths[node]), number(round.q?.[node]), number(round.p?.[node]),
      number(round.confidence?.[node]), round.targetTexts[above + 1] ?? "–",
    ]);
    line.className = kept.has(node) ? "yes" : "no";
    return line;
  });
  const head = make("thead", [row(["draft", "lv.", "q", "p", "conf.", "target"], true)]);
  const box = make("div", [make("table", [head, make("tbody", body)])], "scroll");
  box.tabIndex = 0;
  return box;
}

function svg(tag, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

const WIDE = 92, HIGH = 37, STEP = 112;

function drawTree(round, tried, kind) {
  const kept = new Set(round.path), end = round.path.length ? round.path[round.path.length - 1] : -1;
  const children = new Map([[-1, []]]);
  round.draft.forEach((_, node) => { children.set(node, []); children.get(round.parents[node]).push(node); });
  const own = round.new.length > round.path.length ? round.draft.length : null;
  if (own !== null) { children.get(end).unshift(own); children.set(own, []); }
  const spots = new Map();
  let row = 0, deepest = 0;
  (function place(node, depth) {
    deepest = Math.max(deepest, depth);
    const top = row, below = children.get(node);
    // The accepted path continues straight.
    below.sort((a, b) => (b === own || kept.has(b)) - (a === own || kept.has(a)) || a - b);
    below.forEach((child, at) => { if (at) row += 1; place(child, depth + 1); });
    spots.set(node, [depth * STEP + 2, top * HIGH + 2]);
  })(-1, 0);
  const width = deepest * STEP + WIDE + 22, height = row * HIGH + HIGH;
  const picture = svg("svg", { class: "tree", width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `${round.draft.length} drafts, ${round.path.length} accepted; the table below lists them` });
  const chosen = node => kept.has(node) || node === own;
  for (const [node, below] of children) for (const child of below) {
    const [x, y] = spots.get(node), [to, low] = spots.get(child), bend = to - 8;
    picture.append(svg("path", { class: chosen(child) ? "yes" : "no", d: `M${x + WIDE} ${y + 11}H${bend}V${low + 11}H${to}` }));
  }
  for (const [node, [x, y]] of spots) {
    const isOwn = node === own;
    const [word, small] = node === -1 ? ["root", ""] : isOwn
      ? [round.newTexts[round.path.length], `target, p ${number(round.newP?.[round.path.length])}`]
      : [round.texts[node], `q ${number(round.q?.[node])}  p ${number(round.p?.[node])}`];
    const is = node === -1 ? "root" : isOwn ? `end${kind === "bonus" ? " more" : ""}` : kept.has(node) ? "yes" : "no";
    const group = svg("g", { class: `${is}${node === (tried < 0 ? own : tried) ? " now" : ""}`, transform: `translate(${x} ${y})` });
    const short = [...word].length > 12 ? `${[...word].slice(0, 11).join("")}…` : word;
    group.append(svg("title", {}, word), svg("rect", { width: WIDE, height: 22, rx: 3 }),
      svg("text", { class: "word", x: 6, y: 15 }, short), svg("text", { class: "small", x: 3, y: 33 }, small));
    picture.append(group);
  }
  const box = make("div", [picture], "scroll grove");
  box.tabIndex = 0;
  return box;
}

aside.querySelector(".close").addEventListener("click", leave);
document.addEventListener("keydown", event => { if (event.key === "Escape") leave(); });
document.querySelector(".rejects").addEventListener("change", event => document.body.classList.toggle("bare", !event.target.checked));
const jump = document.querySelector(".jump");
if (jump) {
  jump.hidden = false;
  const at = panes[0].tokens.findIndex(token => token.classList.contains("d"));
  const pane = at < 0 ? panes[1] : panes[0];
  jump.addEventListener("click", () => {
    go(pane, pane.tokens.findIndex(token => token.classList.contains("d")));
    for (const one of panes) one.tokens.find(token => token.classList.contains("d"))?.scrollIntoView({ block: "center" });
  });
}
