"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const svgSpace = document.getElementById("defs").namespaceURI;
  const hint = document.getElementById("hint"), aside = document.getElementById("aside");
  const filter = document.getElementById("filter");
  const CANVAS = 5000; // points of a chart, or of all charts, above which they are drawn on a canvas
  const PAGE = 25; // rows of a list that are shown at once
  const KEYS = "Arrow keys go from one point to the next, Page Up and Page Down over a twentieth of them, Home and End to the first and the last.";
  const state = { filter: "", sort: "" };
  const many = data.charts.reduce((count, chart) => count + (chart.count || 0), 0) > CANVAS;

  // ------------------------------------------------------------------ elements; text is never read as markup
  const put = (parent, name, attributes = {}, text) => {
    const made = parent instanceof SVGElement || name === "svg" ? document.createElementNS(svgSpace, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  };
  const figure = (value, digits = 5) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "unknown";
    const size = Math.abs(value);
    if (Number.isInteger(value) && size < 1e15) return value.toLocaleString("en");
    if (size >= 1e6 || (size > 0 && size < 1e-4)) return value.toExponential(digits - 1);
    return String(Number(value.toPrecision(digits)));
  };
  const counted = (value) => value.toLocaleString("en");

  // ------------------------------------------------------------------ the columns of the runs
  const bytes = (text) => {
    const raw = atob(text), made = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) made[i] = raw.charCodeAt(i);
    return made;
  };
  const numbers = (packed) => new (packed.bits === 32 ? Float32Array : Float64Array)(bytes(packed.data).buffer);
  const hex = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));
  const words = (packed) => {
    if (Array.isArray(packed)) return (i) => packed[i];
    const { prefix, digits, data: text } = packed, half = digits / 2, all = bytes(text);
    return (i) => { let word = prefix; for (let k = i * half; k < (i + 1) * half; k++) word += hex[all[k]]; return word; };
  };
  const once = (make) => { let made; return () => (made ??= make()); };
  for (const run of data.runs) {
    run.truth = numbers(run.truth); // NaN is unknown
    for (const label of run.labels) run.scores[label] = numbers(run.scores[label]);
    run.index = run.index && new Uint32Array(bytes(run.index).buffer);
    run.failure = run.failure && new Uint32Array(bytes(run.failure).buffer);
    run.reason = (i) => run.reasons[run.failure ? run.failure[i] : 0];
    run.place = (i) => (run.index ? run.index[i] : i + 1);
    run.keyOf = words(run.key);
    run.nameOf = run.named ? words(run.named) : () => "";
    const rows = (make) => Array.from({ length: run.count }, (_, i) => make(i));
    run.keys = once(() => rows(run.keyOf));
    run.texts = once(() => { const keys = run.keys(); return rows((i) => `${keys[i]} ${run.nameOf(i)} ${run.reason(i)}`.toLowerCase()); });
  }

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
  // Returns which rows of a run have all words in their texts or in those given, which stand for all rows; null is all.
  const matching = (run, words, ...given) => {
    const said = [run.name, ...given].join(" ").toLowerCase(), rest = words.filter((word) => !said.includes(word));
    if (!rest.length) return null;
    if (run.asked !== rest.join(" ")) {
      run.asked = rest.join(" ");
      run.matched = Uint8Array.from(run.texts(), (text) => fits(text, rest));
    }
    return run.matched;
  };

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
      if (value === null || value === undefined || Number.isNaN(value)) continue;
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
  const frame = (plot, spec, xs, ys, words) => {
    const width = Math.max(280, plot.clientWidth), height = Math.round(Math.min(420, Math.max(260, width * 0.62)));
    const box = { left: 58, right: width - 12, top: 12, bottom: height - 44 };
    plot.replaceChildren();
    const about = `about${plot.parentElement.dataset.chart}`;
    const svg = put(plot, "svg", { viewBox: `0 0 ${width} ${height}`, width, height, tabindex: 0, role: "application", "aria-roledescription": "chart", "aria-label": `${spec.y.label} against ${spec.x.label}`, "aria-describedby": about });
    put(svg, "desc", { id: about }, `${words} ${KEYS}`);
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

  // ------------------------------------------------------------------ very many points
  // Draws the points on a canvas above the frame, the darker the more lie in one place, and returns what lies above both,
  // for what must stand out. Pixels are counted here: to draw a hundred thousand shapes takes the browser ten times as long.
  const sheet = (plot, made, points, colour) => {
    const { width, height } = made, rect = made.svg.getBoundingClientRect(), ratio = devicePixelRatio || 1;
    const w = Math.max(1, Math.round(rect.width * ratio)), h = Math.max(1, Math.round(rect.height * ratio));
    const canvas = put(plot, "canvas", { width: w, height: h, "aria-hidden": "true" });
    canvas.style.height = `${rect.height}px`;
    const radius = 1.6 * ratio, disc = [];
    for (let v = -Math.floor(radius); v <= radius; v++) for (let u = -Math.floor(radius); u <= radius; u++) if (u * u + v * v <= radius * radius) disc.push([u, v]);
    const cover = new Uint32Array(w * h);
    for (let k = 0; k < points.count; k++) {
      const x = Math.round((points.x[k] * w) / width), y = Math.round((points.y[k] * h) / height);
      for (const [u, v] of disc) if (x + u >= 0 && x + u < w && y + v >= 0 && y + v < h) cover[(y + v) * w + x + u]++;
    }
    const most = Math.log(cover.reduce((a, b) => Math.max(a, b), 2));
    const [red, green, blue] = getComputedStyle(document.documentElement).getPropertyValue(colour).match(/[0-9a-f]{2}/gi).map((two) => parseInt(two, 16));
    const pen = canvas.getContext("2d"), image = pen.createImageData(w, h), ink = new Uint32Array(image.data.buffer); // alpha, blue, green, red
    for (let at = 0; at < ink.length; at++) if (cover[at]) ink[at] = ((255 * (0.35 + (0.65 * Math.log(cover[at])) / most)) << 24) | (blue << 16) | (green << 8) | red;
    pen.putImageData(image, 0, 0);
    const above = put(plot, "svg", { class: "above", viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" });
    above.style.height = `${rect.height}px`;
    return above;
  };

  // ------------------------------------------------------------------ the hint beside a point
  // Architectures come as (boxes, ends of arrows, marks), see nas/report/page/drawing.py.
  const opened = (drawn, row) => {
    const [flat, ends, marks] = drawn.of[row], boxes = [], arrows = [];
    for (let k = 0; k < flat.length; k += 4) { const [text, w, h] = drawn.texts[flat[k + 2]]; boxes.push({ x: flat[k], y: flat[k + 1], w, h, text, kind: flat[k + 3] }); }
    for (let k = 0; k < ends.length; k += 2) arrows.push([ends[k], ends[k + 1]]);
    return { boxes, arrows, marks };
  };
  const path = (tail, head) => {
    const y0 = tail.y + Math.floor(tail.h / 2), y1 = head.y - Math.floor(head.h / 2) - 3, half = Math.floor((y1 - y0) / 2);
    const bow = y1 - y0 > 62 && Math.abs(head.x - tail.x) < 44.8 ? 46 : 0;
    return `M${tail.x} ${y0}C${tail.x + bow} ${y0 + half} ${head.x + bow} ${y1 - half} ${head.x} ${y1}`;
  };
  const draw = (parent, { boxes, arrows, marks }) => {
    const width = 12 + Math.max(...boxes.map((b) => b.x + b.w / 2)), height = 12 + Math.max(...boxes.map((b) => b.y + b.h / 2));
    const svg = put(parent, "svg", { viewBox: `0 0 ${width} ${height}`, width, height });
    for (const [tail, head] of arrows) put(svg, "path", { class: "arrow", d: path(boxes[tail], boxes[head]), "marker-end": "url(#tip)" });
    for (const [, mark, x, y] of marks) put(svg, "text", { class: "mark", x, y }, mark);
    for (const { x, y, w, h, text, kind } of boxes) {
      put(svg, "rect", { class: `box kind${kind}`, x: x - w / 2, y: y - h / 2, width: w, height: h, rx: 6 });
      const lines = text.split("\n");
      lines.forEach((line, i) => put(svg, "text", { class: "in", x, y: y + 4 + 15 * i - (15 * (lines.length - 1)) / 2 }, line));
    }
  };
  // The same in words: every box that reads others, with what it reads; sources have names, the others are numbered.
  const worded = ({ boxes, arrows }) => {
    const read = boxes.map((_, i) => arrows.filter(([, head]) => head === i).map(([tail]) => tail));
    const name = (i) => (read[i].length ? `${i + 1}` : boxes[i].text);
    return boxes.map((box, i) => (read[i].length ? `${i + 1} is ${box.text.replace(/\n/g, " ")} of ${read[i].map(name).join(" and ")}` : "")).filter(Boolean).join("; ");
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
  let leaving = null; // takes back what points at a point
  const quiet = () => { hint.hidden = true; if (leaving) leaving(); leaving = null; };

  // Points that a pointer or the arrow keys may go to: {count, x, y, lines, drawn}, x and y in pixels of the chart.
  const explore = (made, points, above) => {
    const ring = put(above, "circle", { class: "at", r: 7, visibility: "hidden" });
    const order = once(() => Uint32Array.from({ length: points.count }, (_, i) => i).sort((a, b) => points.x[a] - points.x[b] || points.y[a] - points.y[b]));
    let at = -1, last = -1; // place among the ordered; the point itself
    const show = (k, clientX, clientY, aloud) => {
      last = k;
      for (const [name, value] of [["cx", points.x[k]], ["cy", points.y[k]], ["visibility", "visible"]]) ring.setAttribute(name, value);
      const lines = points.lines(k), drawn = points.drawn && points.drawn(k);
      leaving = () => ring.setAttribute("visibility", "hidden");
      tell(lines, drawn, clientX, clientY);
      if (aloud) aside.textContent = [...lines, ...(drawn ? [worded(drawn)] : [])].join(". ");
    };
    const onto = (event) => {
      const rect = made.svg.getBoundingClientRect();
      const x = ((event.clientX - rect.left) * made.width) / rect.width, y = ((event.clientY - rect.top) * made.height) / rect.height;
      let best = -1, distance = 400;
      for (let k = 0; k < points.count; k++) {
        const across = points.x[k] - x, down = points.y[k] - y, d = across * across + down * down;
        if (d < distance) { distance = d; best = k; }
      }
      if (best < 0) return quiet();
      at = -1;
      show(best, event.clientX, event.clientY, false);
    };
    made.svg.addEventListener("pointermove", onto);
    made.svg.addEventListener("pointerdown", onto);
    made.svg.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") quiet(); });
    made.svg.addEventListener("blur", quiet);
    made.svg.addEventListener("keydown", (event) => {
      const far = Math.max(1, Math.round(points.count / 20));
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 1, ArrowDown: -1, PageDown: far, PageUp: -far }[event.key];
      if (!points.count || (!step && event.key !== "Home" && event.key !== "End")) return;
      event.preventDefault();
      if (at < 0 && last >= 0) at = order().indexOf(last);
      at = event.key === "Home" ? 0 : event.key === "End" ? points.count - 1 : Math.min(points.count - 1, Math.max(0, at + step));
      const k = order()[at], rect = made.svg.getBoundingClientRect();
      show(k, rect.left + (points.x[k] * rect.width) / made.width, rect.top + (points.y[k] * rect.height) / made.height, true);
    });
  };

  // ------------------------------------------------------------------ truth against score
  // Loops over numbers of rows, here and above: the short forms take ten times as long, which many rows make felt.
  const picked = (values, rows) => {
    const made = new Float64Array(rows.length);
    for (let k = 0; k < rows.length; k++) made[k] = values[rows[k]];
    return made;
  };
  const scatter = (plot, spec, words) => {
    const run = data.runs[spec.run], scores = run.scores[spec.label], truth = run.truth;
    const matched = matching(run, words, spec.label), both = new Uint32Array(run.count), fitting = new Uint32Array(run.count);
    let some = 0, shows = 0;
    for (let i = 0; i < run.count; i++) {
      if (Number.isNaN(scores[i]) || Number.isNaN(truth[i])) continue;
      both[some++] = i;
      if (!matched || matched[i]) fitting[shows++] = i;
    }
    const known = both.subarray(0, some), shown = fitting.subarray(0, shows), xs = picked(scores, known), ys = picked(truth, known);
    const range = (values) => `from ${figure(values.reduce((a, b) => Math.min(a, b)))} to ${figure(values.reduce((a, b) => Math.max(a, b)))}`;
    const about = `${counted(shown.length)} points. ${spec.label} ${range(xs)}, truth ${range(ys)} ${run.unit}. ${spec.told} The list of architectures below has the numbers.`;
    const made = frame(plot, spec, xs, ys, about);
    const { svg, x, y, box } = made;
    if (spec.band) {
      const high = Math.max(box.top, Math.min(y.at(spec.band.high), y.at(spec.band.low))), low = Math.min(box.bottom, Math.max(y.at(spec.band.high), y.at(spec.band.low)));
      put(svg, "rect", { class: "band", x: box.left, y: high, width: box.right - box.left, height: Math.max(1, low - high) });
    }
    const points = {
      count: shown.length,
      x: picked(scores, shown).map(x.at),
      y: picked(truth, shown).map(y.at),
      drawn: (k) => (run.drawn.of[shown[k]] ? opened(run.drawn, shown[k]) : null),
      lines: (k) => {
        const i = shown[k], name = run.nameOf(i);
        return [(name && `${name} `) + run.keyOf(i) + (i === spec.place ? " (found)" : ""), `${spec.label}: ${figure(scores[i], 6)}`, `truth: ${figure(truth[i], 6)} ${run.unit}`];
      },
    };
    let above = svg;
    if (points.count > CANVAS || (many && points.count > CANVAS / 10)) above = sheet(plot, made, points, "--s0");
    else {
      const group = put(svg, "g", { "aria-hidden": "true" });
      for (let k = 0; k < points.count; k++) put(group, "circle", { class: "dot", cx: points.x[k].toFixed(1), cy: points.y[k].toFixed(1), r: 3.2 });
    }
    const place = spec.place === null ? -1 : shown.indexOf(spec.place);
    if (place >= 0) put(above, "path", { class: "find", d: `M${points.x[place]} ${points.y[place]}m0 -8l8 8l-8 8l-8 -8z` });
    explore(made, points, above);
    const parts = [];
    if (spec.band) parts.push([spec.band.label, "band", "rect"]);
    if (spec.place !== null && known.includes(spec.place)) parts.push([`found: ${run.keyOf(spec.place)}`, "find", "path"]);
    const list = parts.length ? put(plot, "ul", { class: "key" }) : null;
    for (const [text, kind, shape] of parts) {
      const item = put(list, "li"), icon = put(item, "svg", { viewBox: "0 0 26 10", "aria-hidden": "true" });
      put(icon, shape, shape === "rect" ? { class: kind, width: 26, height: 10 } : { class: kind, d: "M13 0l5 5l-5 5l-5 -5z" });
      item.append(text);
    }
    return words.length ? `${counted(shown.length)} of them match the filter.` : "";
  };

  // ------------------------------------------------------------------ lines with bands
  const dashes = ["", "8 3", "2 3"];
  const lines = (plot, spec, words) => {
    const all = spec.series, named = all.filter((one) => fits(one.name.toLowerCase(), words)), shown = named.length ? named : all;
    const every = all.flatMap((one) => [...one.y, ...(one.low || []), ...(one.high || [])]);
    const about = `${shown.length} lines: ${shown.map((one) => one.name).join(", ")}. Their numbers are in the tables below the chart.`;
    const made = frame(plot, spec, all.flatMap((one) => one.x), every.concat(spec.rules.map((rule) => rule.y)), about);
    const { svg, x, y, box } = made, points = [];
    let above = svg;
    for (const rule of spec.rules) {
      put(svg, "path", { class: "rule", d: `M${box.left} ${y.at(rule.y)}H${box.right}` });
      put(svg, "text", { class: "soft over", x: box.left + 6, y: y.at(rule.y) - 5 }, rule.label);
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
      if (one.style === "points" && at.length > CANVAS) above = sheet(plot, made, { count: at.length, x: at.map(([px]) => px), y: at.map(([, v]) => y.at(v)) }, colour.slice(4, -1));
      else if (one.style === "points" || at.length <= 60) for (const [px, v] of at) put(svg, "circle", { cx: px, cy: y.at(v), r: one.style === "points" ? 3 : 2.6, fill: colour, "fill-opacity": one.style === "points" ? 0.35 : 1 });
      one.x.forEach((v, i) => {
        if (one.y[i] === null) return;
        points.push({ x: x.at(v), y: y.at(one.y[i]), lines: () => [
          one.name, `${spec.x.label.split(":")[0]}: ${figure(v)}`, `${spec.y.label}: ${figure(one.y[i])}` + (one.low && one.low[i] !== null ? ` [${figure(one.low[i])}, ${figure(one.high[i])}]` : "")] });
      });
    }
    explore(made, { count: points.length, x: Float32Array.from(points, (p) => p.x), y: Float32Array.from(points, (p) => p.y), lines: (k) => points[k].lines() }, above);
    const list = put(plot, "ul", { class: "key" });
    for (const one of shown) {
      const { colour, dash } = look(one), item = put(list, "li"), icon = put(item, "svg", { viewBox: "0 0 26 10", "aria-hidden": "true" });
      if (one.style === "points") put(icon, "circle", { cx: 13, cy: 5, r: 3, fill: colour, "fill-opacity": 0.5 });
      else put(icon, "path", { d: "M0 5H26", stroke: colour, "stroke-width": 2, "stroke-dasharray": dash });
      item.append(one.name);
    }
    if (!words.length) return "";
    return named.length ? `${shown.length} of ${all.length} lines match the filter.` : "No line matches the filter: all are shown.";
  };

  // ------------------------------------------------------------------ the list of architectures
  const list = (place, words) => {
    const run = data.runs[place.dataset.run];
    const columns = [
      { name: "place", value: run.place },
      ...(run.named ? [{ name: "name", value: run.nameOf }] : []),
      { name: "key", value: run.keyOf },
      ...run.labels.map((label) => ({ name: label, value: (i) => run.scores[label][i], figure: true })),
      { name: `truth${run.unit ? ` (${run.unit})` : ""}`, value: (i) => run.truth[i], figure: true },
      ...(run.reasons.some(Boolean) ? [{ name: "failure", value: run.reason }] : []),
    ];
    const matched = matching(run, words, ...run.labels), shown = [];
    for (let i = 0; i < run.count; i++) if (!matched || matched[i]) shown.push(i);
    const [column, way] = /^\d+[ad]$/.test(state.sort) ? [Number(state.sort.slice(0, -1)), state.sort.slice(-1)] : [-1, "a"];
    if (columns[column]) {
      const by = columns[column].name === "key" ? run.keys() : Array.from({ length: run.count }, (_, i) => columns[column].value(i)), up = way === "a" ? 1 : -1;
      const gone = (value) => value === "" || Number.isNaN(value);
      shown.sort((i, j) => gone(by[i]) - gone(by[j]) || (by[i] < by[j] ? -up : by[i] > by[j] ? up : 0) || i - j);
    }
    const count = Number(place.dataset.count || PAGE);
    const focused = place.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    place.replaceChildren();
    const wide = put(place, "div", { class: "wide", tabindex: 0, role: "region", "aria-label": `architectures of ${run.name}` });
    const table = put(wide, "table"), total = counted(shown.length);
    put(table, "caption", {}, `${counted(Math.min(count, shown.length))} of ${total}${words.length ? " that match the filter" : ""}`);
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
        cell.textContent = one.figure ? (Number.isNaN(value) ? "" : figure(value, 6)) : value;
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
  addEventListener("pointerdown", (event) => { if (!event.target.closest(".plot")) quiet(); });
  const drawnFor = () => `${innerWidth} ${devicePixelRatio}`; // phones resize when their bars come and go
  let seen = drawnFor();
  addEventListener("resize", () => { if (drawnFor() !== seen) { seen = drawnFor(); soon(charts); } });
  // a canvas is of the colours and of the pixels that there were when it was drawn
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => soon(charts));
  const sharpen = () => {
    const here = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    here.addEventListener("change", () => { soon(charts); sharpen(); }, { once: true });
  };
  sharpen();
  for (const part of document.querySelectorAll("details")) part.addEventListener("toggle", () => { if (part.querySelector(".plot")) charts(); });
  readLink();
  everything();
})();
