// Charts: what the server wrote into data-chart, drawn by uPlot. The figures are
// in the table of the page too; here they are read at a glance, and exactly
// under the pointer or with the arrow keys.
"use strict";

{
  const lang = document.documentElement.lang || "en";
  const region = lang === "en" ? "en-GB" : lang; // day before month, and 24 hours
  const format = (options) => new Intl.DateTimeFormat(region, options);
  const clock = format({ hour: "2-digit", minute: "2-digit" });
  const day = format({ day: "numeric", month: "short" });
  const month = format({ month: "short", year: "numeric" });
  const moment = format({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  const fill = (pattern, ...args) => pattern.replace(/\{(\d)\}/g, (_, i) => args[i]);
  const drawn = new Map(); // element → what was made for it

  // A colour of the stylesheet, as it is in the theme of the page.
  const tint = (element, name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(--${name})`;
    element.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  };
  const faint = (colour, alpha) => colour.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);

  // The words of one point: when, how much, how many failed.
  const textAt = (data, i) => {
    const number = (value) => new Intl.NumberFormat(lang, { maximumFractionDigits: data.digits, minimumFractionDigits: data.digits }).format(value);
    const at = new Date(data.at[i] * 1000);
    const parts = [data.step >= 86400 ? day.format(at) : moment.format(at)];
    for (const line of data.lines) {
      if (line.values[i] == null) continue;
      let text = fill(data.unit, number(line.values[i]));
      if (data.lines.length > 1) text = `${line.name} ${text}`;
      if (line.low && line.low[i] !== line.high[i]) text += ` (${number(line.low[i])}–${number(line.high[i])})`;
      parts.push(text);
    }
    if (data.failed?.[i]) parts.push(data.done[i] > 1 ? fill(data.words.some, data.failed[i], data.done[i]) : data.words.one);
    return parts.join(" · ");
  };

  const options = (element, data, width, out) => {
    const ink = tint(element, "ink-3");
    const grid = tint(element, "line");
    const accent = tint(element, "accent");
    const second = tint(element, "ink-2");
    const bad = tint(element, "bad");
    const font = `11px ${getComputedStyle(element).fontFamily}`;
    const ratio = devicePixelRatio || 1;
    const series = [{}];
    const bands = [];
    const known = data.lines.some((line) => line.values.some((value) => value != null));
    const few = data.at.length <= 60;
    data.lines.forEach((line, i) => {
      const stroke = i ? second : accent;
      series.push({
        stroke, width: 1.75, dash: i ? [5, 4] : undefined,
        fill: !i && !line.low ? faint(stroke, 0.08) : undefined,
        points: few ? { show: true, size: 4.5, width: 0, fill: stroke } : { fill: stroke },
      });
      if (line.low) {
        series.push({ stroke: "transparent", width: 0, points: { show: false } }, { stroke: "transparent", width: 0, points: { show: false } });
        bands.push({ series: [series.length - 1, series.length - 2], fill: faint(stroke, 0.14) });
      }
    });
    // Failures stand as marks on the ground, as high as their share.
    const failures = (plot) => {
      if (!data.failed) return;
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.fillStyle = bad;
      data.failed.forEach((failed, i) => {
        if (!failed) return;
        const share = failed / Math.max(1, data.done[i]);
        const height = (5 + 13 * share) * ratio;
        const wide = 3 * ratio;
        const x = plot.valToPos(data.at[i], "x", true);
        ctx.fillRect(Math.round(x - wide / 2), bbox.top + bbox.height - height, wide, height);
      });
      ctx.restore();
    };
    const times = (plot, splits, axis, space, step) => splits.map((at, i) => {
      const date = new Date(at * 1000);
      if (step >= 28 * 86400) return month.format(date);
      if (step >= 86400) return day.format(date);
      return date.getHours() === 0 && date.getMinutes() === 0 && step >= 3600 ? day.format(date) : clock.format(date);
    });
    const figures = new Intl.NumberFormat(lang, { maximumFractionDigits: 1 });
    return {
      width, height: "tall" in element.dataset ? 200 : 150, series, bands,
      padding: [8, 18, 0, 0],
      legend: { show: false },
      scales: {
        x: { range: () => [data.from, data.to] },
        y: { range: (plot, low, high) => [0, high > 0 ? high * 1.12 : 1] },
      },
      axes: [
        { stroke: ink, font, size: 26, gap: 4, grid: { show: false }, ticks: { show: false }, space: 64, values: times },
        {
          stroke: ink, font, size: (plot, values) => 14 + 7 * Math.max(3, ...(values || []).map((v) => v.length)), gap: 6, space: 34,
          grid: { stroke: grid, width: 1 }, ticks: { show: false }, values: (plot, splits) => splits.map((v) => (known ? figures.format(v) : "")),
          incrs: data.whole ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000] : undefined,
        },
      ],
      cursor: {
        y: false, drag: { x: false, y: false }, sync: element.dataset.sync ? { key: element.dataset.sync } : undefined,
        points: { size: 7, width: 0, fill: (plot, i) => series[i].stroke },
      },
      hooks: {
        draw: [failures],
        setCursor: [(plot) => {
          const i = plot.cursor.idx;
          out.textContent = i == null || plot.cursor.left < 0 ? "" : textAt(data, i);
        }],
      },
    };
  };

  const draw = (element) => {
    const text = element.dataset.chart;
    const old = drawn.get(element);
    if (old?.text === text && old.plot.root.isConnected) return;
    const data = JSON.parse(text);
    const at = old?.plot.cursor.idx;
    old?.plot.destroy();
    element.replaceChildren();
    const out = document.createElement("output");
    element.append(out);
    const values = [data.at];
    for (const line of data.lines) {
      values.push(line.values);
      if (line.low) values.push(line.low, line.high);
    }
    const width = element.clientWidth;
    const plot = new uPlot(options(element, data, width, out), values, element);
    drawn.set(element, { text, plot, data });
    if (at != null && element === document.activeElement) point(element, Math.min(at, data.at.length - 1));
  };

  const point = (element, i) => {
    const { plot, data } = drawn.get(element);
    if (!data.at.length) return;
    plot.setCursor({ left: plot.valToPos(data.at[i], "x"), top: 10 });
  };

  const widths = new ResizeObserver((list) => {
    for (const { target } of list) {
      const made = drawn.get(target);
      const width = target.clientWidth;
      if (made && width && width !== made.plot.width) made.plot.setSize({ width, height: made.plot.height });
    }
  });
  const look = () => {
    for (const [element, { plot }] of drawn) {
      if (element.isConnected) continue;
      plot.destroy();
      widths.unobserve(element);
      drawn.delete(element);
    }
    for (const element of document.querySelectorAll("[data-chart]")) {
      const fresh = !drawn.has(element);
      draw(element);
      if (fresh) widths.observe(element);
    }
  };
  const again = () => {
    for (const made of drawn.values()) made.text = "";
    look();
  };

  document.addEventListener("keydown", (event) => {
    const made = drawn.get(event.target);
    if (!made || !made.data.at.length) return;
    const last = made.data.at.length - 1;
    const now = made.plot.cursor.idx ?? last + 1;
    const to = { ArrowLeft: Math.max(0, now - 1), ArrowRight: Math.min(last, now + 1), Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    point(event.target, to);
  });
  document.addEventListener("focusin", (event) => {
    const made = drawn.get(event.target);
    if (made && event.target.matches(":focus-visible")) point(event.target, made.data.at.length - 1);
  });
  document.addEventListener("focusout", (event) => drawn.get(event.target)?.plot.setCursor({ left: -10, top: -10 }));
  document.addEventListener("htmx:after:swap", look);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  (document.fonts?.ready ?? Promise.resolve()).then(again);
  look();
}

// A row of bars: the words of the one under the pointer, or chosen with the
// arrow keys, stand below it.
{
  const bars = (row) => [...row.children];
  const choose = (row, bar) => {
    for (const other of bars(row)) other.classList.toggle("at", other === bar);
    const out = document.getElementById(row.dataset.bars);
    if (!out) return;
    out.dataset.rest ??= out.textContent;
    out.textContent = bar ? bar.dataset.text : out.dataset.rest;
    if (!bar) delete out.dataset.rest;
  };
  const rowOf = (event) => event.target.closest?.("[data-bars]");
  document.addEventListener("pointerover", (event) => {
    const row = rowOf(event);
    if (row && event.target !== row) choose(row, event.target.closest("[data-text]"));
  });
  document.addEventListener("pointerout", (event) => {
    const row = rowOf(event);
    if (row && !row.contains(event.relatedTarget)) choose(row, null);
  });
  document.addEventListener("keydown", (event) => {
    const row = event.target.matches?.("[data-bars]") ? event.target : null;
    if (!row) return;
    const list = bars(row);
    const now = list.findIndex((bar) => bar.classList.contains("at"));
    const to = { ArrowLeft: now < 0 ? list.length - 1 : Math.max(0, now - 1), ArrowRight: Math.min(list.length - 1, now + 1), Home: 0, End: list.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(row, list[to]);
  });
  document.addEventListener("focusout", (event) => event.target.matches?.("[data-bars]") && choose(event.target, null));
}
