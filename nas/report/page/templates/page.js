"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const svgSpace = document.getElementById("defs").namespaceURI;
  const hint = document.getElementById("hint");
  const filter = document.getElementById("filter");
  const CANVAS = 5000; // points above which a chart is drawn on a canvas
  const PAGE = 25; // rows of a list that are shown at once
  const state = { filter: "", sort: "" };

  // ------------------------------------------------------------------ elements; text is never read as markup
  const put = (parent, name, attributes = {}, text) => {
    const made = parent instanceof SVGElement || name === "svg" ? document.createElementNS(svgSpace, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  };
  const figure = (value, digits = 5) => {
    if (value === null || value === undefined) return "unknown";
    const size = Math.abs(value);
    if (Number.isInteger(value) && size < 1e15) return value.toLocaleString("en");
    if (size >= 1e6 || (size > 0 && size < 1e-4)) return value.toExponential(digits - 1);
    return String(Number(value.toPrecision(digits)));
  };

  // ------------------------------------------------------------------ the filter, kept in the link
  const wanted = () => state.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (text, words) => words.every((word) => text.includes(word));
  const readLink = () => {
    const said = new URLSearchParams(location.hash.slice(1));
    state.filter = said.get("filter") || "";
    state.sort = said.get("sort") || "";
    filter.value = state.filter;
  };
  const writeLink = () => {
    const said = new URLSearchParams();
    for (const name of ["filter", "sort"]) if (state[name]) said.set(name, state[name]);
    const link = said.toString();
    try { history.replaceState(null, "", link ? "#" + link : location.pathname + location.search); }
    catch { location.hash = link; }
  };
  for (const run of data.runs) {
    run.text = run.key.map((key, i) => [run.name, key, run.named ? run.named[i] : "", run.reasons[run.failure[i]]].join(" ").toLowerCase());
  }

  // ------------------------------------------------------------------ scales and axes
  const nice = (low, high, count, whole) => {
    const raw = (high - low) / Math.max(1, count) || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw) || raw;
    if (whole && step < 1) return nice(low, high, Math.floor(high - low) || 1);
    const ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) ticks.push(Number((i * step).toPrecision(12)));
    return ticks;
  };
  const scale = (values, options, from, to, count) => {
    const within = options.within;
    const bend = options.log ? (v) => Math.log10(v)
      : within ? (v) => Math.sign(v) * Math.log10(1 + Math.abs(v) / within) : (v) => v;
    let low = options.low ?? Infinity, high = options.high ?? -Infinity;
    for (const value of values) {
      if (value === null || value === undefined) continue;
      if (options.low === undefined && value < low) low = value;
      if (options.high === undefined && value > high) high = value;
    }
    if (!(high >= low)) { low = 0; high = 1; }
    if (low === high) { const pad = Math.abs(low) * 0.05 || 0.5; high += pad; if (options.low === undefined) low -= pad; }
    let a = bend(low), b = bend(high);
    const margin = (b - a) * 0.04;
    if (options.low === undefined) a -= margin;
    if (options.high === undefined) b += margin;
    const at = (value) => from + ((bend(value) - a) / (b - a)) * (to - from);
    let ticks;
    if (options.log) {
      ticks = [];
      for (let p = Math.ceil(a - 1e-9); p <= b + 1e-9; p++) ticks.push(10 ** p);
      if (ticks.length < 2) ticks = nice(low, high, count);
    } else if (within) {
      ticks = [0];
      for (let p = Math.floor(Math.log10(within)); p < 300 && 10 ** p <= Math.max(Math.abs(low), Math.abs(high)); p++) ticks.push(10 ** p, -(10 ** p));
      ticks = ticks.filter((t) => t >= low && t <= high).sort((x, y) => x - y);
      const apart = [];
      for (const tick of ticks.sort((x, y) => Math.abs(y) - Math.abs(x))) if (apart.every((t) => Math.abs(at(t) - at(tick)) > 58)) apart.push(tick);
      ticks = apart;
    } else ticks = nice(low, high, count, options.whole).filter((t) => bend(t) >= a - 1e-12 && bend(t) <= b + 1e-12);
    return { at, ticks };
  };
  const short = (value) => (Math.abs(value) >= 1e15 || (value !== 0 && Math.abs(value) < 1e-3) ? value.toExponential().replace("e+", "e") : value.toLocaleString("en", Math.abs(value) >= 1e5 ? { notation: "compact", maximumFractionDigits: 2 } : { maximumFractionDigits: 6 }));
  const frame = (plot, spec, xs, ys) => {
    const width = Math.max(280, plot.clientWidth), height = Math.round(Math.min(420, Math.max(260, width * 0.62)));
    const box = { left: 58, right: width - 12, top: 12, bottom: height - 44 };
    plot.replaceChildren();
    const svg = put(plot, "svg", { viewBox: `0 0 ${width} ${height}`, width, height, tabindex: 0, role: "img" });
    put(svg, "title", {}, `${spec.y.label} against ${spec.x.label}`);
    const x = scale(xs, spec.x, box.left, box.right, width / 90), y = scale(ys, spec.y, box.bottom, box.top, 6);
    const back = put(svg, "g", { "aria-hidden": "true" });
    for (const tick of y.ticks) {
      put(back, "path", { class: "gridline", d: `M${box.left} ${y.at(tick)}H${box.right}` });
      put(back, "text", { class: "soft", x: box.left - 6, y: y.at(tick) + 4, "text-anchor": "end" }, short(tick));
    }
    for (const tick of x.ticks) {
      put(back, "path", { class: "axis", d: `M${x.at(tick)} ${box.bottom}v5` });
      put(back, "text", { class: "soft", x: x.at(tick), y: box.bottom + 18, "text-anchor": "middle" }, short(tick));
    }
    put(back, "path", { class: "axis", d: `M${box.left} ${box.top}V${box.bottom}H${box.right}` });
    put(back, "text", { x: (box.left + box.right) / 2, y: height - 6, "text-anchor": "middle" }, spec.x.label);
    const legend = fitted(spec.y.label, height - 30);
    put(back, "text", { x: 0, y: 0, transform: `translate(12 ${(box.top + box.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, legend);
    return { svg, x, y, box, width, height };
  };
  const fitted = (text, room) => (text.length * 6.2 <= room ? text : text.slice(0, Math.max(8, Math.floor(room / 6.2) - 1)) + "\u2026");

  // ------------------------------------------------------------------ the hint beside a point
  const draw = (parent, drawn) => {
    const [width, height] = drawn.size;
    const svg = put(parent, "svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" });
    for (const [path, mark, x, y] of drawn.arrows) {
      put(svg, "path", { class: "arrow", d: path, "marker-end": "url(#tip)" });
      if (mark) put(svg, "text", { class: "mark", x, y }, mark);
    }
    for (const [x, y, w, h, text, kind] of drawn.boxes) {
      put(svg, "rect", { class: `box kind${kind}`, x: x - w / 2, y: y - h / 2, width: w, height: h, rx: 6 });
      const lines = text.split("\n");
      lines.forEach((line, i) => put(svg, "text", { class: "in", x, y: y + 4 + 15 * i - (15 * (lines.length - 1)) / 2 }, line));
    }
  };
  const tell = (lines, drawn, x, y) => {
    hint.replaceChildren();
    for (const line of lines) put(hint, "p", {}, line);
    if (drawn) draw(hint, drawn);
    hint.hidden = false;
    const { width, height } = hint.getBoundingClientRect();
    hint.style.left = `${Math.max(4, x + 14 + width < innerWidth ? x + 14 : x - width - 14)}px`;
    hint.style.top = `${Math.max(4, Math.min(y + 14, innerHeight - height - 4))}px`;
  };
  const quiet = () => { hint.hidden = true; };

  // Points a pointer or the arrow keys may go to: [{x, y, lines, drawn}], in pixels of the chart.
  const explore = (made, points) => {
    const ring = put(made.svg, "circle", { class: "at", r: 7, visibility: "hidden" });
    const order = points.map((_, i) => i).sort((a, b) => points[a].x - points[b].x || points[a].y - points[b].y);
    let at = -1;
    const show = (point, clientX, clientY) => {
      ring.setAttribute("cx", point.x); ring.setAttribute("cy", point.y); ring.setAttribute("visibility", "visible");
      tell(point.lines(), point.drawn, clientX, clientY);
    };
    const leave = () => { ring.setAttribute("visibility", "hidden"); quiet(); };
    const onto = (event) => {
      const rect = made.svg.getBoundingClientRect();
      const x = ((event.clientX - rect.left) * made.width) / rect.width, y = ((event.clientY - rect.top) * made.height) / rect.height;
      let best = -1, distance = 400;
      points.forEach((p, i) => { const d = (p.x - x) ** 2 + (p.y - y) ** 2; if (d < distance) { distance = d; best = i; } });
      if (best < 0) return leave();
      at = order.indexOf(best);
      show(points[best], event.clientX, event.clientY);
    };
    made.svg.addEventListener("pointermove", onto);
    made.svg.addEventListener("pointerdown", onto);
    made.svg.addEventListener("pointerleave", leave);
    made.svg.addEventListener("blur", leave);
    made.svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 1, ArrowDown: -1, PageDown: 20, PageUp: -20 }[event.key];
      if (event.key === "Escape") return leave();
      if (!points.length || (!step && event.key !== "Home" && event.key !== "End")) return;
      event.preventDefault();
      at = event.key === "Home" ? 0 : event.key === "End" ? points.length - 1 : Math.min(points.length - 1, Math.max(0, at + step));
      const point = points[order[at]], rect = made.svg.getBoundingClientRect();
      show(point, rect.left + (point.x * rect.width) / made.width, rect.top + (point.y * rect.height) / made.height);
    });
  };

  // ------------------------------------------------------------------ truth against score
  const scatter = (plot, spec, words) => {
    const run = data.runs[spec.run], scores = run.scores[spec.label], name = spec.label.toLowerCase();
    const known = [];
    for (let i = 0; i < scores.length; i++) if (scores[i] !== null && run.truth[i] !== null) known.push(i);
    const shown = words.length ? known.filter((i) => fits(`${run.text[i]} ${name}`, words)) : known;
    const made = frame(plot, spec, known.map((i) => scores[i]), known.map((i) => run.truth[i]));
    const { svg, x, y, box } = made;
    if (spec.band) {
      const high = Math.max(box.top, Math.min(y.at(spec.band.high), y.at(spec.band.low))), low = Math.min(box.bottom, Math.max(y.at(spec.band.high), y.at(spec.band.low)));
      put(svg, "rect", { class: "band", x: box.left, y: high, width: box.right - box.left, height: Math.max(1, low - high) });
    }
    const points = shown.map((i) => ({
      x: x.at(scores[i]), y: y.at(run.truth[i]), drawn: run.drawn[run.key[i]],
      lines: () => [
        (run.named && run.named[i] ? `${run.named[i]} ` : "") + run.key[i] + (run.key[i] === spec.found ? " (found)" : ""),
        `${spec.label}: ${figure(scores[i], 6)}`, `truth: ${figure(run.truth[i], 6)} ${run.unit}`,
      ],
    }));
    if (points.length > CANVAS) {
      const canvas = put(plot, "canvas"), ratio = devicePixelRatio || 1, rect = svg.getBoundingClientRect();
      canvas.width = rect.width * ratio; canvas.height = rect.height * ratio; canvas.style.height = `${rect.height}px`;
      const pen = canvas.getContext("2d");
      pen.scale(canvas.width / made.width, canvas.height / made.height);
      pen.globalAlpha = 0.4; pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--s0");
      for (const p of points) { pen.beginPath(); pen.arc(p.x, p.y, 2, 0, 7); pen.fill(); }
    } else {
      const group = put(svg, "g");
      for (const p of points) put(group, "circle", { class: "dot", cx: p.x.toFixed(1), cy: p.y.toFixed(1), r: 3.2 });
    }
    const place = shown.findIndex((i) => run.key[i] === spec.found);
    if (place >= 0) put(svg, "path", { class: "find", d: `M${points[place].x} ${points[place].y}m0 -8l8 8l-8 8l-8 -8z` });
    explore(made, points);
    const parts = [];
    if (spec.band) parts.push([spec.band.label, "band", "rect"]);
    if (spec.found && known.some((i) => run.key[i] === spec.found)) parts.push([`found: ${spec.found}`, "find", "path"]);
    const list = parts.length ? put(plot, "ul", { class: "key" }) : null;
    for (const [text, kind, shape] of parts) {
      const item = put(list, "li"), icon = put(item, "svg", { viewBox: "0 0 26 10", "aria-hidden": "true" });
      put(icon, shape, shape === "rect" ? { class: kind, width: 26, height: 10 } : { class: kind, d: "M13 0l5 5l-5 5l-5 -5z" });
      item.append(text);
    }
    return words.length ? `${shown.length.toLocaleString("en")} of them match the filter.` : "";
  };

  // ------------------------------------------------------------------ lines with bands
  const dashes = ["", "8 3", "2 3"];
  const lines = (plot, spec, words) => {
    const all = spec.series, shown = words.length ? all.filter((one) => fits(one.name.toLowerCase(), words)) : all;
    const every = all.flatMap((one) => [...one.y, ...(one.low || []), ...(one.high || [])]);
    const made = frame(plot, spec, all.flatMap((one) => one.x), every.concat(spec.rules.map((rule) => rule.y)));
    const { svg, x, y, box } = made, points = [];
    for (const rule of spec.rules) {
      put(svg, "path", { class: "rule", d: `M${box.left} ${y.at(rule.y)}H${box.right}` });
      put(svg, "text", { class: "soft", x: box.right - 4, y: y.at(rule.y) - 5, "text-anchor": "end" }, rule.label);
    }
    const look = (one) => {
      const number = all.indexOf(one), plain = all.filter((o) => o.style !== "dash").indexOf(one);
      return one.style === "dash" ? { colour: "var(--soft)", dash: ["6 4", "2 3", "10 4 2 4"][all.filter((o) => o.style === "dash").indexOf(one) % 3] }
        : { colour: `var(--s${plain % 7})`, dash: dashes[Math.floor(plain / 7) % 3], number };
    };
    const clip = (value) => Math.max(box.top, Math.min(box.bottom, y.at(value)));
    for (const one of shown) {
      const { colour, dash } = look(one), at = one.x.map((v, i) => [x.at(v), one.y[i]]).filter(([, v]) => v !== null);
      if (one.low && one.low.every((v) => v !== null)) {
        const up = one.x.map((v, i) => `${x.at(v)} ${clip(one.high[i])}`), down = one.x.map((v, i) => `${x.at(v)} ${clip(one.low[i])}`).reverse();
        put(svg, "path", { d: `M${up.concat(down).join("L")}Z`, fill: colour, "fill-opacity": 0.14 });
      }
      if (one.style !== "points" && at.length) put(svg, "path", { d: `M${at.map(([px, v]) => `${px} ${y.at(v)}`).join("L")}`, fill: "none", stroke: colour, "stroke-width": 2, "stroke-dasharray": dash });
      if (one.style === "points" || at.length <= 60) for (const [px, v] of at) put(svg, "circle", { cx: px, cy: y.at(v), r: one.style === "points" ? 3 : 2.6, fill: colour, "fill-opacity": one.style === "points" ? 0.35 : 1 });
      one.x.forEach((v, i) => {
        if (one.y[i] === null) return;
        points.push({ x: x.at(v), y: y.at(one.y[i]), lines: () => [
          one.name, `${spec.x.label.split(":")[0]}: ${figure(v)}`, `${spec.y.label}: ${figure(one.y[i])}` + (one.low && one.low[i] !== null ? ` [${figure(one.low[i])}, ${figure(one.high[i])}]` : "")] });
      });
    }
    explore(made, points);
    const list = put(plot, "ul", { class: "key" });
    for (const one of shown) {
      const { colour, dash } = look(one), item = put(list, "li"), icon = put(item, "svg", { viewBox: "0 0 26 10", "aria-hidden": "true" });
      if (one.style === "points") put(icon, "circle", { cx: 13, cy: 5, r: 3, fill: colour, "fill-opacity": 0.5 });
      else put(icon, "path", { d: "M0 5H26", stroke: colour, "stroke-width": 2, "stroke-dasharray": dash });
      item.append(one.name);
    }
    return words.length ? `${shown.length} of ${all.length} lines match the filter.` : "";
  };

  // ------------------------------------------------------------------ the list of architectures
  const list = (place, words) => {
    const run = data.runs[place.dataset.run];
    const columns = [
      { name: "place", value: (i) => run.index[i] },
      ...(run.named ? [{ name: "name", value: (i) => run.named[i] }] : []),
      { name: "key", value: (i) => run.key[i] },
      ...run.labels.map((label) => ({ name: label, value: (i) => run.scores[label][i], figure: true })),
      { name: `truth${run.unit ? ` (${run.unit})` : ""}`, value: (i) => run.truth[i], figure: true },
      ...(run.reasons.some(Boolean) ? [{ name: "failure", value: (i) => run.reasons[run.failure[i]] }] : []),
    ];
    let shown = run.key.map((_, i) => i);
    if (words.length) { const proxies = run.labels.join(" ").toLowerCase(); shown = shown.filter((i) => fits(`${run.text[i]} ${proxies}`, words)); }
    const [column, way] = /^\d+[ad]$/.test(state.sort) ? [Number(state.sort.slice(0, -1)), state.sort.slice(-1)] : [-1, "a"];
    const by = columns[column];
    if (by) shown.sort((i, j) => {
      const a = by.value(i), b = by.value(j);
      const gone = (a === null || a === "") - (b === null || b === "");
      return gone || (a < b ? -1 : a > b ? 1 : 0) * (way === "a" ? 1 : -1) || i - j;
    });
    const count = Number(place.dataset.count || PAGE);
    const focused = place.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    place.replaceChildren();
    const wide = put(place, "div", { class: "wide", tabindex: 0, role: "region", "aria-label": `architectures of ${run.name}` });
    const table = put(wide, "table"), total = shown.length.toLocaleString("en");
    put(table, "caption", {}, `${Math.min(count, shown.length).toLocaleString("en")} of ${total}${words.length ? " that match the filter" : ""}`);
    const head = put(put(table, "thead"), "tr"), body = put(table, "tbody");
    columns.forEach((one, number) => {
      const sorted = number === column;
      const cell = put(head, "th", { scope: "col", "aria-sort": sorted ? (way === "a" ? "ascending" : "descending") : "none" });
      const button = put(cell, "button", { type: "button", "data-name": one.name }, one.name + (sorted ? (way === "a" ? " \u25b2" : " \u25bc") : ""));
      button.addEventListener("click", () => { state.sort = `${number}${sorted && way === "d" ? "a" : sorted ? "d" : one.figure ? "d" : "a"}`; writeLink(); lists(); });
    });
    for (const i of shown.slice(0, count)) {
      const row = put(body, "tr");
      for (const one of columns) {
        const value = one.value(i), cell = put(row, one.name === "key" ? "th" : "td", one.name === "key" ? { scope: "row" } : {});
        cell.textContent = one.figure ? (value === null ? "" : figure(value, 6)) : value;
      }
    }
    if (shown.length > count) {
      const more = put(place, "button", { type: "button", "data-name": "more" }, `Show ${Math.min(100, shown.length - count)} more`);
      more.addEventListener("click", () => { place.dataset.count = count + 100; list(place, wanted()); });
    }
    if (focused) for (const one of place.querySelectorAll("button")) if (one.dataset.name === focused) one.focus();
  };
  const lists = () => { for (const place of document.querySelectorAll(".list")) list(place, wanted()); };

  // ------------------------------------------------------------------ everything at once
  const kinds = { scatter, lines };
  const charts = () => {
    quiet();
    for (const place of document.querySelectorAll(".chart")) {
      const plot = place.querySelector(".plot");
      if (!plot.clientWidth) continue; // inside a closed part
      const spec = data.charts[place.dataset.chart];
      place.querySelector(".shown").textContent = kinds[spec.kind](plot, spec, wanted());
    }
  };
  const rows = () => {
    const words = wanted();
    for (const row of document.querySelectorAll("table.filtered tbody tr")) row.hidden = !fits(row.textContent.toLowerCase(), words);
  };
  const everything = () => { charts(); rows(); lists(); };
  let waiting = 0;
  const soon = (what) => { clearTimeout(waiting); waiting = setTimeout(what, 120); };
  filter.addEventListener("input", () => { state.filter = filter.value.trim(); writeLink(); soon(everything); });
  document.getElementById("finder").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); document.getElementById("answer").focus(); });
  addEventListener("hashchange", () => { readLink(); everything(); });
  addEventListener("keydown", (event) => { if (event.key === "Escape") quiet(); });
  let seen = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== seen) { seen = innerWidth; soon(charts); } });
  for (const part of document.querySelectorAll("details")) part.addEventListener("toggle", () => { if (part.querySelector(".plot")) charts(); });
  readLink();
  everything();
})();
