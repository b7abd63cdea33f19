// The report of many designs: table, filter, structure and plot, all showing the same choice.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const content = JSON.parse(find("content").textContent);
  const columns = content.columns;
  const names = columns.map((column) => column.name);
  const designs = content.designs.map((design, place) => {
    const row = Object.fromEntries(names.map((name, i) => [name, design.values[i]]));
    return { ...design, place, row: { ...row, rank: design.rank, name: design.name } };
  });
  const known = [...names, "rank", "name"];
  const AT_ONCE = 200;
  let shown = designs;
  let sorted = { name: "rank", down: false };
  let chosen = null;
  let drawn = 0;

  find("title").textContent = content.title;
  for (const note of content.notes) {
    const item = document.createElement("li");
    item.textContent = note;
    find("notes").append(item);
  }
  for (const part of ["histogram", "errors"]) {
    find(part).textContent = content[part].join("\n");
    find(part).hidden = find(`${part}-title`).hidden = content[part].length === 0;
  }

  // As the tables have them, so that what is read here can be written into a filter.
  const number = (value) => {
    if (value === null || value === undefined) return "–";
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (typeof value === "string") return value;
    return Number.isInteger(value) ? String(value) : value.toPrecision(3);
  };

  // table ---------------------------------------------------------------------------------------------------------
  const requests = (design) => design.verdicts.filter((verdict) => verdict.requested !== false);
  const met = (design) => `${requests(design).filter((verdict) => verdict.met).length}/${requests(design).length}`;
  function head() {
    const titles = [["rank", "rank", ""], ["name", "name", ""], [null, "met", ""]];
    columns.forEach((column) => titles.push([column.name, column.name, `${column.label}: ${column.formula}`]));
    find("head").replaceChildren(...titles.map(([name, text, help]) => {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = text;
      cell.title = help;
      if (name) {
        cell.dataset.name = name;
        cell.tabIndex = 0;
        const sort = () => {
          const better = columns.find((column) => column.name === name);
          const down = sorted.name === name ? !sorted.down : Boolean(better) && better.better === "higher";
          sorted = { name, down };
          refresh();
        };
        cell.addEventListener("click", sort);
        cell.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
      }
      return cell;
    }));
  }
  function line(design) {
    const row = document.createElement("tr");
    row.dataset.place = design.place;
    row.className = design.accepted ? "" : "rejected";
    row.setAttribute("aria-selected", String(chosen === design));
    const cells = [design.rank, design.name, requests(design).length ? met(design) : "–"];
    cells.push(...design.values.map(number));
    for (const text of cells) row.insertCell().textContent = text;
    if (design.reasons.length) row.title = `rejected: ${design.reasons.join("; ")}`;
    return row;
  }
  function more() {
    const next = shown.slice(drawn, drawn + AT_ONCE);
    find("body").append(...next.map(line));
    drawn += next.length;
  }
  function refresh() {
    let test = () => true;
    find("problem").textContent = "";
    const text = find("filter").value.trim();
    if (text) {
      try { test = structdiffFilter(text, known); } catch (error) { find("problem").textContent = error.message; }
    }
    const { name, down } = sorted;
    const missing = (value) => value === null || value === undefined;
    shown = designs.filter((design) => test(design.row) && (design.accepted || !find("kept").checked));
    shown.sort((a, b) => {
      const [x, y] = [a.row[name], b.row[name]];
      if (missing(x) || missing(y)) return missing(x) - missing(y) || a.rank - b.rank;
      const order = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y;
      return (down ? -order : order) || a.rank - b.rank;
    });
    for (const cell of find("head").children) {
      if (cell.dataset.name === name) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    find("body").replaceChildren();
    drawn = 0;
    more();
    find("box").scrollTop = 0;
    const accepted = designs.filter((design) => design.accepted).length;
    find("summary").textContent = `${designs.length} design${designs.length === 1 ? "" : "s"}, ${accepted} accepted, ${shown.length} shown`;
    plot();
  }
  find("box").addEventListener("scroll", () => {
    const box = find("box");
    if (drawn < shown.length && box.scrollTop + box.clientHeight > box.scrollHeight - 400) more();
  });
  find("body").addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row) choose(designs[Number(row.dataset.place)]);
  });
  document.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || /INPUT|SELECT/.test(event.target.tagName) || !chosen) return;
    const next = shown[shown.indexOf(chosen) + step];
    if (next) { event.preventDefault(); choose(next); }
  });
  let waiting = null;
  find("filter").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(refresh, 150); });
  find("kept").addEventListener("change", refresh);

  // structure -----------------------------------------------------------------------------------------------------
  const background = () => getComputedStyle(document.documentElement).getPropertyValue("--back").trim();
  let viewer = null;
  try {
    viewer = $3Dmol.createViewer(find("stage"), { backgroundColor: background(), antialias: true });
  } catch (error) { viewer = null; }
  if (!viewer) find("stage").textContent = "This browser does not offer WebGL, so structures cannot be drawn.";

  async function sceneOf(place) {
    const text = find(`scene-${place}`).textContent;
    if (!text) return null;
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }
  let painting = null;
  const styles = { cartoon: "Cartoon", trace: "Trace", sticks: "Sticks", spheres: "Spheres" };
  const colors = { motif: "Motif and scaffold", confidence: "Confidence", chain: "Chain" };
  Object.entries(styles).forEach(([value, text]) => find("style").add(new Option(text, value)));

  function paint() {
    const { scene, drawing } = painting;
    const color = find("color").value in scene.colors ? find("color").value : scene.color;
    drawing.paint(color, find("style").value);
    viewer.removeAllShapes();
    for (const [chain, resi] of scene.hotspots) {
      viewer.addStyle({ chain, resi }, { sphere: { scale: 0.35, color: "#c2185b" } });
    }
    viewer.render();
    const legend = [...(scene.legends[color] || [])];
    if (scene.hotspots.length) legend.push(["#c2185b", "Hotspots"]);
    find("legend").replaceChildren(...legend.map(([swatch, text]) => {
      const item = document.createElement("li");
      const box = document.createElement("span");
      box.className = "swatch";
      box.style.background = swatch;
      item.append(box, text);
      return item;
    }));
  }
  async function choose(design) {
    chosen = design;
    for (const row of find("body").rows) row.setAttribute("aria-selected", String(Number(row.dataset.place) === design.place));
    describe(design);
    plot();
    if (!viewer) return;
    const scene = await sceneOf(design.place);
    if (chosen !== design) return;
    viewer.removeAllModels();
    document.body.dataset.structure = "";
    if (!scene) { viewer.render(); return; }
    const before = find("color").value;
    find("color").replaceChildren();
    Object.keys(colors).filter((name) => name in scene.colors).forEach((name) => find("color").add(new Option(colors[name], name)));
    find("color").value = before in scene.colors ? before : scene.color;
    painting = { scene, drawing: structdiffScene(viewer, scene) };
    paint();
    viewer.zoomTo();
    viewer.render();
    document.body.dataset.structure = design.name;
  }
  find("color").addEventListener("change", () => painting && paint());
  find("style").addEventListener("change", () => painting && paint());

  function describe(design) {
    const details = find("details");
    details.replaceChildren();
    const title = document.createElement("h2");
    title.textContent = `${design.name}, rank ${design.rank}`;
    const list = document.createElement("dl");
    const add = (term, text, kind) => {
      const [first, second] = [document.createElement("dt"), document.createElement("dd")];
      first.textContent = term;
      second.textContent = text;
      second.className = kind || "";
      list.append(first, second);
    };
    for (const verdict of design.verdicts) {
      if (verdict.requested === false) {
        add(verdict.name, `${verdict.asked}: ${verdict.reached}`);
        continue;
      }
      add(verdict.name, `${verdict.asked}: ${verdict.reached}, ${verdict.met ? "met" : "not met"}`, verdict.met ? "good" : "bad");
    }
    for (const reason of design.reasons) add("rejected", reason, "bad");
    const sequences = document.createElement("pre");
    sequences.textContent = Object.entries(design.sequences).map(([chain, text]) => `>${design.name}_${chain}\n${text}`).join("\n");
    details.append(title, list, sequences);
  }

  // plot ----------------------------------------------------------------------------------------------------------
  const SVG = "http://www.w3.org/2000/svg";
  const numeric = columns.filter((column, i) => designs.some((design) => typeof design.values[i] === "number"));
  const wanted = (list) => list.find((name) => numeric.some((column) => column.name === name));
  for (const [id, favourites] of [["across", ["sc_rmsd", "polymer_residues"]], ["up", ["plddt", "rg"]]]) {
    numeric.forEach((column) => find(id).add(new Option(column.name, column.name)));
    if (wanted(favourites)) find(id).value = wanted(favourites);
    find(id).addEventListener("change", () => plot());
  }
  function element(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    if (text !== undefined) made.textContent = text;
    return made;
  }
  function plot() {
    const [x, y] = [find("across").value, find("up").value];
    const points = shown.filter((design) => typeof design.row[x] === "number" && typeof design.row[y] === "number");
    const svg = find("plot");
    const [width, height, left, bottom] = [svg.clientWidth || 400, svg.clientHeight || 256, 48, 30];
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const parts = [];
    const range = (name) => {
      const values = points.map((design) => design.row[name]);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      return low < high ? [low, high] : [low - 0.5, high + 0.5];
    };
    if (points.length) {
      const [[x0, x1], [y0, y1]] = [range(x), range(y)];
      const across = (value) => left + 8 + (value - x0) / (x1 - x0) * (width - left - 20);
      const up = (value) => height - bottom - 8 - (value - y0) / (y1 - y0) * (height - bottom - 36);
      const style = { "font-size": 11, fill: "var(--soft)" };
      for (const value of [x0, (x0 + x1) / 2, x1]) {
        parts.push(element("text", { ...style, x: across(value), y: height - 14, "text-anchor": "middle" }, number(value)));
      }
      for (const value of [y0, (y0 + y1) / 2, y1]) {
        parts.push(element("text", { ...style, x: left, y: up(value) + 4, "text-anchor": "end" }, number(value)));
      }
      parts.push(element("text", { ...style, x: width / 2, y: height - 2, "text-anchor": "middle" }, x));
      parts.push(element("text", { ...style, x: 8, y: 14 }, y));
      for (const design of points) {
        const color = design.accepted ? "var(--accent)" : "var(--soft)";
        const dot = element("circle", {
          cx: across(design.row[x]), cy: up(design.row[y]), r: chosen === design ? 7 : 4, fill: color,
          "fill-opacity": chosen === design ? 1 : 0.6, "data-place": design.place,
        });
        dot.append(element("title", {}, design.name));
        parts.push(dot);
      }
    }
    svg.replaceChildren(...parts);
  }
  find("plot").addEventListener("click", (event) => {
    const place = event.target.dataset && event.target.dataset.place;
    if (place !== undefined) choose(designs[Number(place)]);
  });

  head();
  refresh();
  if (shown.length) choose(shown[0]);
})();
