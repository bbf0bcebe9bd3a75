// The worklist: only the rows in sight are in the document, so that tens of thousands scroll smoothly.
// Text from records is set as text, never as HTML.
(() => {
  const read = (id) => JSON.parse(byId(id).textContent);
  const SPARE = 6; // rows drawn beyond either edge of the window
  const PRINTED = 1000; // rows at most
  const WORDS = { pneumonia: "Pneumonia", normal: "Normal", rejected: "Rejected", error: "Error" };
  const VERDICTS = Object.keys(WORDS); // as they are sorted

  const rows = read("records");
  const runs = read("runs");
  for (const row of rows) {
    row.verdict = (row.label ?? row.status).toLowerCase();
    row.words = [row.path, row.error, row.message, row.subtype].filter(Boolean).join("\n").toLowerCase();
  }

  const state = { filter: "all", words: "", key: "probability", descending: true, order: [], active: 0, printing: false };
  const list = byId("list");
  const body = byId("rows");
  const viewer = byId("viewer");
  const drawn = new Map(); // places in the order to elements

  // Elements

  function icon(kind) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", `icon ${kind}`);
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `#icon-${kind}`);
    svg.append(use);
    return svg;
  }

  const percent = (share) => `${(100 * share).toFixed(1)}%`;
  // Never as certainty, which no model has.
  const chance = (probability) => ({ "0.0%": "<0.1%", "100.0%": ">99.9%" })[percent(probability)] ?? percent(probability);
  const nameOf = (row) => row.path.slice(row.path.lastIndexOf("/") + 1) || row.path;
  const folderOf = (row) => row.path.slice(0, row.path.length - nameOf(row).length);

  function remarkOn(row) {
    if (row.review && !row.message) return "ambiguous probability";
    const said = row.message === "unfamiliar" ? "unlike the training pictures" : row.message;
    const code = row.verdict === "error" ? row.error.replaceAll("_", " ") : null;
    return [code, said].filter(Boolean).join(": ");
  }

  function verdictOf(row) {
    const parts = [make("span", `badge ${row.verdict}`, icon(row.verdict), WORDS[row.verdict])];
    if (row.subtype) parts.push(make("span", "subtype", row.subtype));
    if (row.review) parts.push(make("span", "badge review", icon("review"), "Review"));
    return parts;
  }

  function bar(share, threshold, kind) {
    const fill = make("span", `fill ${kind}`);
    fill.style.width = `${100 * share}%`;
    const whole = make("span", "bar", fill);
    if (threshold !== undefined) {
      const mark = make("span", "mark");
      mark.style.left = `${100 * threshold}%`;
      whole.append(mark);
    }
    return whole;
  }

  // The picture with its heat over it, or a word on why there is none.
  function pictureOf(row, alt) {
    const parts = [];
    if (row.image) {
      const image = make("img", "xray");
      image.alt = alt;
      image.loading = "lazy";
      image.decoding = "async";
      image.addEventListener("error", () => {
        const missing = make("span", "missing", "picture not found");
        image.parentNode?.classList.add("without");
        image.parentNode?.replaceChildren(missing);
      });
      image.src = row.image;
      parts.push(image);
      if (row.heat) {
        const heat = make("img", "heat");
        heat.alt = "";
        heat.src = row.heat;
        parts.push(heat);
      }
    } else {
      parts.push(make("span", "missing", row.missing ?? (row.verdict === "error" ? "no picture" : "picture not embedded")));
    }
    return parts;
  }

  function fit(frame, row) {
    const ratio = row.width && row.height ? row.width / row.height : 1;
    frame.style.setProperty("--ratio", Math.min(Math.max(ratio, 0.05), 20));
    frame.classList.toggle("without", !row.image);
  }

  // Rows

  function cell(className, ...children) {
    const element = make("span", className, ...children);
    element.setAttribute("role", "cell");
    return element;
  }

  function makeRow(place) {
    const row = rows[state.order[place]];
    const frame = make("span", "frame", ...(row.image ? pictureOf(row, "") : []));
    fit(frame, row);
    const open = make("button", "open", nameOf(row));
    open.type = "button";
    open.tabIndex = place === state.active ? 0 : -1;
    open.title = row.path;
    const score = cell("score");
    if (row.probability !== undefined) {
      score.append(make("span", "value", chance(row.probability)), bar(row.probability, row.threshold, row.verdict));
    }
    const element = make("div", `row columns ${row.verdict}`,
      cell("picture", frame),
      cell("name", open, make("span", "folder", folderOf(row))),
      cell("verdict", ...verdictOf(row)),
      score,
      cell("outlier", row.outlier_score === undefined ? "" : row.outlier_score.toFixed(2)),
      cell("remark", remarkOn(row)));
    element.setAttribute("role", "row");
    element.setAttribute("aria-rowindex", place + 2);
    element.dataset.place = place;
    return element;
  }

  const rowHeight = () => parseFloat(getComputedStyle(list).getPropertyValue("--row")) *
    parseFloat(getComputedStyle(document.documentElement).fontSize);

  // Draws what is in sight, and the active row wherever it is, so that it keeps the focus.
  function draw() {
    const height = rowHeight();
    const count = state.order.length;
    body.style.height = `${count * height}px`;
    const above = -body.getBoundingClientRect().top;
    let first = Math.max(0, Math.floor(above / height) - SPARE);
    let last = Math.min(count, Math.ceil((above + innerHeight) / height) + SPARE);
    if (state.printing) [first, last] = [0, Math.min(count, PRINTED)];
    const wanted = new Set();
    for (let place = first; place < last; place++) wanted.add(place);
    if (state.active < count) wanted.add(state.active);
    for (const [place, element] of drawn) {
      if (!wanted.has(place)) {
        element.remove();
        drawn.delete(place);
      }
    }
    let next = body.firstChild; // what is there stays in its place, which keeps the focus
    for (const place of [...wanted].sort((a, b) => a - b)) {
      let element = drawn.get(place);
      if (!element) {
        element = makeRow(place);
        drawn.set(place, element);
        body.insertBefore(element, next);
      } else {
        next = element.nextSibling;
      }
      element.style.top = `${place * height}px`;
    }
  }

  let isDrawing = false;
  function drawSoon() {
    if (isDrawing) return;
    isDrawing = true;
    requestAnimationFrame(() => {
      isDrawing = false;
      draw();
    });
  }

  const fits = (row) => (state.filter === "all" || row.verdict === state.filter || (state.filter === "review" && row.review)) &&
    row.words.includes(state.words);

  const collator = new Intl.Collator("en", { numeric: true });
  const COMPARE = {
    path: (a, b) => collator.compare(a.path, b.path),
    verdict: (a, b) => VERDICTS.indexOf(b.verdict) - VERDICTS.indexOf(a.verdict) || (a.probability ?? -1) - (b.probability ?? -1),
  };

  // What has no value comes last, whatever the direction.
  function compare(a, b) {
    const sign = state.descending ? -1 : 1;
    if (COMPARE[state.key]) return sign * COMPARE[state.key](a, b);
    const [one, other] = [a[state.key], b[state.key]];
    if (one === undefined || other === undefined) return (one === undefined) - (other === undefined);
    return sign * (one - other);
  }

  function refresh() {
    state.order = [...rows.keys()].filter((index) => fits(rows[index])).sort((a, b) => compare(rows[a], rows[b]) || a - b);
    state.active = 0;
    body.replaceChildren();
    drawn.clear();
    draw();
    tell();
    byId("empty").hidden = state.order.length > 0;
    list.setAttribute("aria-rowcount", state.order.length + 1);
  }

  // How many rows there are, on paper too, which has no end to scroll to.
  function tell() {
    const [some, every, printed] = [state.order.length, rows.length, PRINTED].map((count) => count.toLocaleString("en"));
    byId("shown").textContent = `${state.order.length === rows.length ? every : `${some} of ${every}`} picture${rows.length === 1 ? "" : "s"}` +
      (state.printing && state.order.length > PRINTED ? `, of which the first ${printed} are printed` : "");
  }

  function print(isPrinting) {
    state.printing = isPrinting;
    draw();
    tell();
  }

  function choose(filter) {
    state.filter = filter;
    for (const tile of all("[data-filter]")) {
      tile.setAttribute("aria-pressed", tile.dataset.filter === filter);
    }
    refresh();
  }

  function sortBy(key) {
    state.descending = key === state.key ? !state.descending : key !== "path";
    state.key = key;
    for (const button of list.querySelectorAll("[data-sort]")) {
      const header = button.parentNode;
      if (button.dataset.sort === key) header.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
      else header.removeAttribute("aria-sort");
    }
    refresh();
  }

  function activate(place) {
    if (!state.order.length) return;
    const before = drawn.get(state.active)?.querySelector(".open");
    if (before) before.tabIndex = -1;
    state.active = Math.min(Math.max(place, 0), state.order.length - 1);
    draw();
    const element = drawn.get(state.active);
    const open = element.querySelector(".open");
    open.tabIndex = 0;
    if (!viewer.open) open.focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest" });
  }

  // The large view

  function fact(name, value) {
    return make("div", "", make("dt", "", name), make("dd", "", value));
  }

  function show() {
    const row = rows[state.order[state.active]];
    byId("frame").replaceChildren(...pictureOf(row, `Chest X-ray ${nameOf(row)}`));
    fit(byId("frame"), row);
    byId("view-name").textContent = nameOf(row);
    byId("view-folder").textContent = folderOf(row);
    byId("view-verdict").replaceChildren(...verdictOf(row));
    byId("view-score").textContent = row.probability === undefined ? "" : chance(row.probability);
    byId("view-remark").textContent = remarkOn(row);
    byId("view-classes").replaceChildren(...(row.probability === undefined ? [] : ["normal", "bacterial", "viral"].map((kind) =>
      make("div", "class", make("span", "", kind), bar(row[`p_${kind}`], undefined, kind === "normal" ? "normal" : "pneumonia"),
        make("span", "value", chance(row[`p_${kind}`]))))));
    byId("view-heat").hidden = !row.heat;
    const run = runs[row.run];
    const facts = [];
    if (row.width) facts.push(fact("Original", `${row.width} × ${row.height} pixels`));
    if (row.bytes) facts.push(fact("File", `${Math.ceil(row.bytes / 1024).toLocaleString("en")} KiB`));
    if (row.modified) facts.push(fact("Modified", `${row.modified.slice(0, 16).replace("T", " ")} UTC`));
    if (row.outlier_score !== undefined) facts.push(fact("Outlier score", row.outlier_score.toFixed(3)));
    facts.push(fact("Threshold", percent(row.threshold)));
    if (run) facts.push(fact("Model", run.model));
    byId("view-facts").replaceChildren(...facts);
  }

  const { open, move } = largeView({
    place: () => state.active,
    count: () => state.order.length,
    go: activate,
    show,
    hasHeat: rows.some((row) => row.heat),
  });

  // Hands and keys

  for (const tile of all("[data-filter]")) tile.addEventListener("click", () => choose(tile.dataset.filter));
  for (const button of list.querySelectorAll("[data-sort]")) button.addEventListener("click", () => sortBy(button.dataset.sort));
  byId("search").addEventListener("input", (event) => {
    state.words = event.target.value.toLowerCase();
    refresh();
  });
  byId("reset").addEventListener("click", () => {
    byId("search").value = state.words = "";
    choose("all");
  });
  body.addEventListener("click", (event) => {
    const element = event.target.closest(".row");
    if (element) open(Number(element.dataset.place));
  });
  byId("strength").addEventListener("input", (event) => document.body.style.setProperty("--strength", event.target.value / 100));

  const STEPS = { j: 1, ArrowDown: 1, ArrowRight: 1, k: -1, ArrowUp: -1, ArrowLeft: -1 };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    const isLetter = event.key.length === 1;
    const isInList = body.contains(event.target);
    if (event.key in STEPS && (isLetter || viewer.open || isInList)) {
      // From anywhere else, the first press goes to the active row.
      move(viewer.open || isInList ? STEPS[event.key] : 0);
    } else if (event.key === "h") {
      switchHeat();
    } else if (event.key === "/" && !viewer.open) {
      byId("search").focus();
    } else {
      return;
    }
    event.preventDefault();
  });

  addEventListener("scroll", drawSoon, { passive: true });
  addEventListener("resize", drawSoon);
  matchMedia("print").addEventListener("change", (event) => print(event.matches));
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  refresh();
})();
