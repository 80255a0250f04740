/* The console: plots with values on hover, keys for lists and conversations, and the small manners of forms.
 *
 * Pages work without it but for the plots, whose values are in a table below each. */

(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const language = document.documentElement.lang;

  // -- Plots ----------------------------------------------------------------------------------------------------------

  const format = (digits, more = {}) => new Intl.NumberFormat(language, { maximumFractionDigits: digits, ...more });
  const units = {
    usd: (value) => format(Math.abs(value) >= 1 || !value ? 2 : 5).format(value),
    ms: (value) => (Math.abs(value) >= 1000 ? `${format(2).format(value / 1000)} s` : `${format(0).format(value)} ms`),
    share: (value) => format(2, { style: "percent" }).format(value),
    count: (value) => format(0).format(value),
    score: (value) => format(3).format(value),
  };
  const colours = () => ["--s0", "--s1", "--s2", "--s3", "--s4", "--s5"].map(resolved);

  // A canvas knows no light-dark(): the browser resolves it on an element.
  function resolved(name) {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = `var(${name})`;
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  }

  function draw(place) {
    const { labels, series, unit, is_stacked: stacked, bands } = JSON.parse(place.dataset.plot);
    const show = units[unit];
    const palette = colours();
    const edges = new Set(bands.flat());
    const xs = labels.map((_, index) => index);
    const sums = labels.map(() => 0);
    const drawn = series.map(([, values]) => stacked ? values.map((value, i) => (sums[i] += value ?? 0)) : values);
    const bars = uPlot.paths.bars({ size: [0.7, 60] });
    let hues = 0;
    const lines = series.map(([name, values]) => {
      const colour = palette[edges.has(name) ? Math.max(0, hues - 1) % 6 : hues++ % 6];
      const value = (_, __, ___, index) => index == null || values[index] == null ? "–" : show(values[index]);
      if (edges.has(name)) return { label: name, value, stroke: "transparent", points: { show: false } };
      return stacked
        ? { label: name, value, stroke: colour, fill: colour, width: 0, paths: bars, points: { show: false } }
        : { label: name, value, stroke: colour, width: 2, points: { size: 6, fill: colour } };
    });
    // The tallest sum first: the shorter ones are drawn over it.
    const order = series.map((_, index) => index);
    if (stacked) order.reverse();
    const at = (name) => order.indexOf(series.findIndex(([one]) => one === name)) + 1;
    const muted = resolved("--muted"), rule = resolved("--line");
    const axis = { stroke: muted, grid: { stroke: rule, width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const whole = unit === "count" ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 1e5, 1e6] } : {};
    const options = {
      width: place.clientWidth, height: 230,
      scales: {
        x: { time: false, range: [-0.6, labels.length - 0.4] },
        y: { range: (_, low, high) => low == null ? [0, 1] : [Math.min(0, low * 1.08), high > 0 ? high * 1.08 : 0.001] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 34, incrs: [1, 2, 5, 7, 10, 14, 20, 30, 60, 120],
          space: 24 + 7 * Math.max(...labels.map((label) => label.length), 0),
          values: (_, ticks) => ticks.map((tick) => labels[tick] ?? "") },
        { ...axis, ...whole, size: 76, values: (_, ticks) => ticks.map(show) },
      ],
      series: [{ label: "\u00a0", value: (_, index) => index == null ? "" : labels[Math.round(index)] ?? "" }, ...order.map((index) => lines[index])],
      bands: bands.map(([high, low]) => ({ series: [at(high), at(low)], fill: `color-mix(in srgb, ${palette[1]} 16%, transparent)` })),
      cursor: { drag: { x: false, y: false }, points: { show: !stacked } },
    };
    place.replaceChildren();
    return new uPlot(options, [xs, ...order.map((index) => drawn[index])], place);
  }

  if (window.uPlot) {
    const places = $$("[data-plot]");
    const redraw = () => places.forEach(draw);
    redraw();
    let width = innerWidth;
    addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; redraw(); } });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  }

  // -- Keys -----------------------------------------------------------------------------------------------------------

  const rows = () => $$("[data-rows] a[data-row]");

  function step(by) {
    const all = rows();
    const here = all.indexOf(document.activeElement);
    all[here < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, here + by))]?.focus();
  }

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (typing && event.key === "Enter" && (event.ctrlKey || event.metaKey)) typing.form?.requestSubmit();
    if (typing && event.key === "Escape") typing.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
    const wanted = $(`[data-key="${CSS.escape(event.key)}"]`);
    if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
    else if (event.key === "?") $("#keys")?.showModal();
    else if (wanted?.matches("input, textarea")) wanted.focus();
    else if (wanted) wanted.click();
    else return;
    event.preventDefault();
  });

  // -- Forms ----------------------------------------------------------------------------------------------------------

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-open]");
    if (opener) $(`#${opener.dataset.open}`)?.showModal();
  });

  document.addEventListener("change", (event) => {
    const canned = event.target.closest("[data-into]");
    if (!canned || !canned.value) return;
    const text = $(`#${canned.dataset.into}`);
    text.setRangeText(canned.value, text.selectionStart, text.selectionEnd, "end");
    text.dispatchEvent(new Event("input"));
    canned.value = "";
    text.focus();
  });

  // Sent once, however often it is pressed.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
    if (event.target.matches("[action$='/logout']")) sessionStorage.clear();
  });
  addEventListener("pageshow", () => $$("form[data-sent]").forEach((form) => delete form.dataset.sent));

  // What is half written survives every way off the page, until it was taken: the address then says so.
  const was = new URLSearchParams(location.search).get("was");
  if (was) history.replaceState(null, "", location.pathname);
  for (const field of $$("[data-draft]")) {
    const key = field.form.action;
    if (was === field.dataset.draft) sessionStorage.removeItem(key);
    field.value ||= sessionStorage.getItem(key) ?? "";
    field.addEventListener("input", () => sessionStorage.setItem(key, field.value));
  }

  // -- Live parts -----------------------------------------------------------------------------------------------------

  for (const [event, isLost] of [["htmx:sse:error", true], ["htmx:sse:after:connection", false]]) {
    document.addEventListener(event, () => { $("#lost").hidden = !isLost; });
  }
  const unfold = () => { const found = $("details:target"); if (found) found.open = true; };
  addEventListener("hashchange", unfold);
  unfold();
  $(".places [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  const bottom = $("[data-bottom]");
  if (bottom) bottom.scrollTop = bottom.scrollHeight;
  document.addEventListener("htmx:before:swap", () => {
    const log = $("[data-bottom]");
    if (log) log.dataset.follows = log.scrollHeight - log.scrollTop - log.clientHeight < 80 ? "yes" : "";
  });
  document.addEventListener("htmx:after:swap", () => {
    const log = $("[data-bottom]");
    if (log?.dataset.follows) log.scrollTop = log.scrollHeight;
  });
})();
