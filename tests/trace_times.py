"""How long the page of a trace takes: to load, to scroll through, to answer a key."""

LOAD = "performance.getEntriesByType('navigation')[0].loadEventEnd"
# Steps of most of a screen, a frame each; what a frame takes beyond its share is lag.
SCROLL = """new Promise(done => {
  const times = [], step = innerHeight * 0.8;
  let last = performance.now();
  const frame = now => {
    times.push(now - last);
    last = now;
    if (scrollY + innerHeight >= document.documentElement.scrollHeight - 2 || times.length > 400)
      return done(times);
    scrollBy(0, step);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})"""
# The time from a key to the next frame, all over the text.
KEYS = """new Promise(done => {
  const flow = document.querySelector('.flow'), times = [];
  flow.focus();
  const press = count => {
    if (!count) return done(times);
    const start = performance.now(), key = count % 2 ? 'ArrowRight' : 'ArrowDown';
    flow.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    requestAnimationFrame(() => { times.push(performance.now() - start); press(count - 1); });
  };
  press(60);
})"""


def measure(browser, path, width=1280):
    """Open a page and return milliseconds: until loaded, of each frame, of each key."""
    browser.open(path, width)
    loaded = browser.evaluate(LOAD)
    frames, keys = (browser.wait_for(script) for script in (SCROLL, KEYS))
    return {"load": loaded, "frames": frames[1:], "keys": keys}
