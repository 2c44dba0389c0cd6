"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const {per_unit: PER_UNIT, reach: REACH, threshold_cell: THRESHOLD, widest: WIDEST} = data.histogram;
  const EDGE = REACH * PER_UNIT + PER_UNIT; // number of the edge at the threshold, counted from the lowest
  const MOST_BARS = 110;
  const views = {};

  const percent = share => share === null ? "not measured" : (100 * share).toFixed(1) + " %";
  const number = value => value === null ? "not measured" : String(Number(value.toPrecision(4)));

  // Charts. ---------------------------------------------------------------------------------------------

  async function draw(id) {
    const place = document.getElementById(id);
    const spec = {...data.charts[id]};
    spec.config = {...spec.config, background: null, view: {stroke: null}, font: "system-ui, sans-serif"};
    const made = await vegaEmbed(place, spec, {renderer: "svg", actions: false});
    views[id] = made.view;
  }

  function save(name, kind, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], {type: kind}));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function csvOf(rows) {
    if (!rows.length) return "";
    const names = Object.keys(rows[0]).filter(name => typeof rows[0][name] !== "symbol");
    const quoted = value => {
      const text = value === null || value === undefined ? "" : String(value);
      return /[",\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
    };
    return [names, ...rows.map(row => names.map(name => row[name]))].map(row => row.map(quoted).join(",")).join("\n") + "\n";
  }

  function numbers(id) {
    if (id in data.tables) return data.tables[id];
    if (id.endsWith("-potentials")) return explorers[id.replace(/-potentials$/, "")].csv();
    return Object.values(data.charts[id].datasets || {}).map(csvOf).join("\n");
  }

  document.querySelectorAll("button[data-svg]").forEach(button => button.addEventListener("click", async () => {
    save(button.dataset.svg + ".svg", "image/svg+xml", await views[button.dataset.svg].toSVG());
  }));
  document.querySelectorAll("button[data-csv]").forEach(button => button.addEventListener("click", () => {
    save(button.dataset.csv + ".csv", "text/csv", numbers(button.dataset.csv));
  }));

  // Tables. ---------------------------------------------------------------------------------------------

  function sort(table, column, heading) {
    const descending = heading.getAttribute("aria-sort") === "ascending";
    table.querySelectorAll("th[aria-sort]").forEach(th => th.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = table.tBodies[0];
    const key = row => row.cells[column].dataset.value;
    const compare = (one, other) => {
      const [a, b] = [key(one), key(other)];
      if (a === "" || b === "") return (a === "") - (b === ""); // what is not known comes last, always
      const order = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
      return descending ? -order : order;
    };
    body.append(...[...body.rows].sort(compare));
  }

  document.querySelectorAll("table.sortable").forEach(table => {
    table.querySelectorAll("thead th").forEach((heading, column) => {
      heading.querySelector("button").addEventListener("click", () => sort(table, column, heading));
    });
  });

  // A layer and timestep: its potentials under an interval. ----------------------------------------------

  /** Counts strictly inside, at or below, and at or above the interval of so many bins on either side. */
  function count(step, half) {
    const low = THRESHOLD - 2 * half, high = THRESHOLD + 2 * half;
    let below = 0, inside = 0, above = 0;
    step.cells.forEach((counted, place) => {
      const cell = step.first + place;
      if (cell <= low) below += counted;
      else if (cell >= high) above += counted;
      else inside += counted;
    });
    return {below, inside, above, all: below + inside + above};
  }

  function shares(step, layer, half) {
    const {below, inside, above, all} = count(step, half);
    const kappa = 2 * half * layer.unit / PER_UNIT;
    const of = part => all ? part / all : null;
    return {kappa, below: of(below), inside: of(inside), above: of(above), gain: all ? inside / all / kappa : null};
  }

  /** The narrowest interval that holds a share of the potentials; null where the widest does not. */
  function narrowest(step, wanted) {
    for (let half = 1; half <= WIDEST; half++) {
      const {inside, all} = count(step, half);
      if (all && inside / all >= wanted) return half;
    }
    return null;
  }

  class Explorer {
    constructor(id, {layers, start}) {
      this.id = id;
      this.layers = layers;
      this.root = document.getElementById(id);
      this.map = views[id + "-map"];
      this.view = views[id + "-potentials"];
      this.find("layer").replaceChildren(...layers.map(layer => new Option(`${layer.number}  ${layer.name}`, layer.number)));
      this.find("layer").addEventListener("change", () => this.choose(Number(this.find("layer").value), this.step.timestep));
      this.find("timestep").addEventListener("change", () => this.choose(this.layer.number, Number(this.find("timestep").value)));
      this.find("width").addEventListener("input", () => this.show(Number(this.find("width").value)));
      this.find("target").addEventListener("input", () => this.tell());
      this.find("reach").addEventListener("click", () => {
        const half = this.targeted();
        if (half !== null) this.show(half);
      });
      this.find("recorded").addEventListener("click", () => this.show(this.recorded()));
      this.map.addEventListener("click", (_, item) => {
        if (item && item.datum && item.datum.timestep) this.choose(item.datum.layer, item.datum.timestep);
      });
      this.drag(document.getElementById(id + "-potentials"));
      this.choose(...start);
    }

    find(role) { return this.root.querySelector(`[data-role="${role}"]`); }
    say(name, text) { this.root.querySelector(`[data-out="${name}"]`).textContent = text; }

    drag(place) {
      let dragging = false;
      const move = event => {
        const svg = place.querySelector("svg");
        const box = svg.getBoundingClientRect();
        const x = (event.clientX - box.left) * svg.width.baseVal.value / box.width - this.view.origin()[0];
        const v = this.view.scale("x").invert(x);
        const half = Math.round(Math.abs(v - this.step.v_th) * PER_UNIT / this.layer.unit);
        this.show(half);
      };
      place.addEventListener("pointerdown", event => {
        if (!event.target.closest("svg")) return;
        dragging = true;
        place.setPointerCapture(event.pointerId);
        move(event);
        event.preventDefault();
      });
      place.addEventListener("pointermove", event => { if (dragging) move(event); });
      for (const end of ["pointerup", "pointercancel"]) place.addEventListener(end, () => { dragging = false; });
    }

    choose(number, timestep) {
      this.layer = this.layers.find(layer => layer.number === number);
      const steps = this.layer.steps;
      this.step = steps.find(step => step.timestep === timestep) || steps[0];
      this.find("timestep").replaceChildren(...steps.map(step => new Option(step.timestep, step.timestep)));
      this.find("layer").value = number;
      this.find("timestep").value = this.step.timestep;
      this.map.signal("chosen_layer", number).signal("chosen_timestep", this.step.timestep).runAsync();
      this.show(this.recorded());
    }

    /** Half the recorded interval in bins, as near as edges allow; of an unknown one that of one unit. */
    recorded() {
      const {lower, upper} = this.step;
      const width = lower === null || upper === null ? this.layer.unit : upper - lower;
      return Math.round(width / 2 * PER_UNIT / this.layer.unit);
    }

    targeted() {
      const wanted = Number(this.find("target").value) / 100;
      return wanted > 0 && wanted < 1 ? narrowest(this.step, wanted) : null;
    }

    show(half) {
      this.half = Math.min(WIDEST, Math.max(1, half));
      const {unit} = this.layer, {v_th, lower, upper} = this.step;
      const reach = this.half * unit / PER_UNIT;
      const low = v_th - reach, high = v_th + reach;
      const [from, to] = this.range();
      const view = this.view;
      view.signal("x_low", Math.min(from, low - unit / 16)).signal("x_high", Math.max(to, high + unit / 16));
      const marks = [{v: v_th, what: "threshold"}, {v: low, what: "interval"}, {v: high, what: "interval"}];
      if (lower !== null && upper !== null) marks.push({v: lower, what: "recorded"}, {v: upper, what: "recorded"});
      this.bars = this.made();
      const fill = (name, rows) => view.data(name, rows);
      fill("bars", this.bars);
      fill("band", [{low, high}]);
      fill("marks", marks);
      fill("predicted", this.predicted(Math.min(from, low), Math.max(to, high)));
      this.drawn = view.runAsync();
      const width = this.find("width");
      width.value = this.half;
      width.setAttribute("aria-valuetext", "kappa " + number(2 * reach));
      this.tell();
    }

    tell() {
      const target = this.targeted();
      const rows = {
        "": shares(this.step, this.layer, this.half),
        "-target": target === null ? {kappa: null, below: null, inside: null, above: null, gain: null} : shares(this.step, this.layer, target),
        "-recorded": {
          kappa: this.step.kappa, below: this.step.below_ratio, inside: this.step.available_ratio,
          above: this.step.above_ratio, gain: this.step.mean_gain,
        },
      };
      for (const [suffix, row] of Object.entries(rows)) {
        for (const name of ["below", "inside", "above"]) this.say(name + suffix, percent(row[name]));
        for (const name of ["kappa", "gain"]) this.say(name + suffix, number(row[name]));
      }
      if (target === null) for (const name of ["kappa", "below", "inside", "above", "gain"]) this.say(name + "-target", "out of reach");
      const [from, to] = this.range();
      const all = this.step.cells.reduce((sum, counted) => sum + counted, 0);
      const beyond = this.step.cells.reduce((sum, counted, place) => {
        const v = this.value(Math.floor((this.step.first + place - 1) / 2));
        return sum + (v < from || v > to ? counted : 0);
      }, 0);
      const notes = [`${this.layer.surrogate} surrogate, as recorded.`];
      if (beyond) notes.push(`${beyond / all < 0.0005 ? "Less than 0.1 %" : percent(beyond / all)} of the potentials lie beyond what is shown.`);
      if (!all) notes.push("No finite potentials were recorded here.");
      this.say("note", notes.join(" "));
    }

    /** The potential at an edge of the histogram. */
    value(edge) { return this.step.v_th + (edge - EDGE) * this.layer.unit / PER_UNIT; }

    /** Counts of the histogram's bins `[edge, next edge)`, by the number of the edge. */
    bins() {
      const found = new Map();
      this.step.cells.forEach((counted, place) => {
        const edge = Math.floor((this.step.first + place - 1) / 2);
        if (counted) found.set(edge, (found.get(edge) || 0) + counted);
      });
      return found;
    }

    /** Ends of the axis: all but a thousandth of the potentials, and the recorded interval. */
    range() {
      if (this.ranged && this.ranged.step === this.step) return this.ranged.ends;
      const {lower, upper, v_th} = this.step, {unit} = this.layer;
      const bins = [...this.bins()].sort((one, other) => one[0] - other[0]);
      const all = bins.reduce((sum, bin) => sum + bin[1], 0);
      let low = lower ?? v_th - unit, high = upper ?? v_th + unit, seen = 0;
      for (const [edge, counted] of bins) {
        if (seen + counted > all * 0.0005 && edge >= 0) { low = Math.min(low, this.value(edge)); break; }
        seen += counted;
      }
      seen = 0;
      for (const [edge, counted] of bins.reverse()) {
        if (seen + counted > all * 0.0005 && edge < 2 * REACH * PER_UNIT) { high = Math.max(high, this.value(edge + 1)); break; }
        seen += counted;
      }
      const room = 0.04 * (high - low);
      this.ranged = {step: this.step, ends: [low - room, high + room]};
      return this.ranged.ends;
    }

    /** Bars of several bins each, split where the interval ends. */
    made() {
      const [from, to] = this.range();
      const {unit} = this.layer;
      const first = Math.floor((from - this.step.v_th) * PER_UNIT / unit) + EDGE;
      const last = Math.ceil((to - this.step.v_th) * PER_UNIT / unit) + EDGE;
      let group = 1;
      while ((last - first) / group > MOST_BARS) group *= 2;
      const bins = this.bins();
      const all = [...bins.values()].reduce((sum, counted) => sum + counted, 0) || 1;
      const ends = [EDGE - this.half, EDGE + this.half];
      const cuts = new Set(ends);
      for (let edge = Math.floor(first / group) * group; edge <= last; edge += group) cuts.add(edge);
      const edges = [...cuts].sort((one, other) => one - other);
      return edges.slice(1).map((right, place) => {
        const left = edges[place];
        let counted = 0;
        for (let edge = left; edge < right; edge++) counted += bins.get(edge) || 0;
        const part = right <= ends[0] ? "below" : left >= ends[1] ? "above" : "inside";
        return {left: this.value(left), right: this.value(right), count: counted,
          density: counted / all / ((right - left) * unit / PER_UNIT), part};
      });
    }

    /** The predicted densities, each at the middles of its bins, as far as the axis goes. */
    predicted(from, to) {
      const points = Object.entries(this.step.predicted).flatMap(([source, {low, high, density}]) =>
        density.map((value, place) => ({source, v: low + (high - low) * (place + 0.5) / density.length, density: value})));
      const shown = points.filter(point => point.v >= from && point.v <= to);
      // One point draws no line; no point at all would be an axis without an extent.
      return shown.length ? shown : [{source: "", v: from, density: 0}];
    }

    csv() { return csvOf(this.bars); }
  }

  const explorers = {};
  (async () => {
    for (const id of Object.keys(data.charts)) await draw(id);
    for (const [id, content] of Object.entries(data.explorers)) explorers[id] = new Explorer(id, content);
    window.mpdviz = {views, explorers};
    document.documentElement.dataset.ready = "yes";
  })();
})();
