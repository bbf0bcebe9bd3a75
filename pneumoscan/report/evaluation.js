// The evaluation: figures at any threshold from counted scores, and the large view of mistakes.
// Text from records is set as text, never as HTML.
(() => {
  // The threshold explorer

  const { at, normal, ill, recorded, named } = JSON.parse(byId("explorer").textContent);
  const sum = (counts) => counts.reduce((total, each) => total + each, 0);
  const [healthy, sick] = [sum(normal), sum(ill)];
  const START = recorded ?? 0.5;
  for (const element of all(".of-recorded")) element.hidden = recorded === null;
  const Z = 1.959964; // as in pneumoscan/metrics.py

  // A share with its Wilson score interval (Wilson, JASA 1927).
  function wilson(hits, cases, of) {
    if (!cases) return { of: `0 ${of}` };
    const [share, z2] = [hits / cases, Z * Z];
    const centre = (share + z2 / (2 * cases)) / (1 + z2 / cases);
    const reach = (Z * Math.sqrt((share * (1 - share)) / cases + z2 / (4 * cases * cases))) / (1 + z2 / cases);
    return { value: share, low: Math.max(0, centre - reach), high: Math.min(1, centre + reach),
      of: `${cases.toLocaleString("en")} ${of}` };
  }

  // The nearest threshold at which the counts are exact: STEPS of pneumoscan/report/explorer.py, or a named one.
  const exact = (threshold) => (named.includes(threshold) ? threshold : Math.round(threshold * 1e4) / 1e4);

  function countsAt(threshold) {
    const counts = { true_negative: 0, false_positive: 0, false_negative: 0, true_positive: 0 };
    at.forEach((from, i) => {
      counts[from >= threshold ? "false_positive" : "true_negative"] += normal[i];
      counts[from >= threshold ? "true_positive" : "false_negative"] += ill[i];
    });
    return counts;
  }

  function figuresAt({ true_negative, false_positive, false_negative, true_positive }) {
    const wrong = false_positive + false_negative;
    return {
      sensitivity: wilson(true_positive, sick, "pneumonia"),
      specificity: wilson(true_negative, healthy, "normal"),
      PPV: wilson(true_positive, true_positive + false_positive, "called PNEUMONIA"),
      NPV: wilson(true_negative, true_negative + false_negative, "called NORMAL"),
      accuracy: wilson(true_negative + true_positive, healthy + sick, "scored"),
      F1: true_positive + wrong ? { value: (2 * true_positive) / (2 * true_positive + wrong), of: "" } : { of: "" },
    };
  }

  const before = figuresAt(countsAt(START));
  const rows = new Map();
  for (const name of Object.keys(before)) {
    const row = { value: make("td", "value"), low: make("span", "reach"), point: make("span", "point"),
      mark: make("span", "mark"), interval: make("td", "interval"), of: make("td", "of") };
    const bar = make("td", "range", make("span", "scale", row.low, row.point, row.mark));
    bar.setAttribute("aria-hidden", "true");
    const head = make("th", "", name);
    head.scope = "row";
    row.mark.hidden = recorded === null || before[name].value === undefined;
    row.mark.style.left = `${100 * (before[name].value ?? 0)}%`;
    byId("live").append(make("tr", "", head, row.value, bar, row.interval, row.of));
    rows.set(name, row);
  }

  const digits = (value) => value.toFixed(3);

  let current = START;

  function showThreshold(threshold, source) {
    current = threshold;
    const counts = countsAt(threshold);
    for (const [name, count] of Object.entries(counts)) byId(name).textContent = count.toLocaleString("en");
    for (const [name, { value, low, high, of }] of Object.entries(figuresAt(counts))) {
      const row = rows.get(name);
      row.value.textContent = value === undefined ? "-" : digits(value);
      row.interval.textContent = low === undefined ? "" : `${digits(low)} to ${digits(high)}`;
      row.of.textContent = of;
      row.point.hidden = value === undefined;
      row.low.hidden = low === undefined;
      row.point.style.left = `${100 * (value ?? 0)}%`;
      row.low.style.left = `${100 * (low ?? 0)}%`;
      row.low.style.width = `${100 * ((high ?? 0) - (low ?? 0))}%`;
    }
    const x = 500 * threshold;
    byId("line").setAttribute("x1", x);
    byId("line").setAttribute("x2", x);
    byId("called").setAttribute("x", x);
    byId("called").setAttribute("width", 500 - x);
    if (source !== "slider") byId("slider").value = threshold;
    if (source !== "threshold") byId("threshold").value = Number(threshold.toFixed(6));
    byId("slider").setAttribute("aria-valuetext", String(Number(threshold.toFixed(4))));
    byId("reset").disabled = threshold === START;
  }

  const say = () => {
    const parts = [...rows].slice(0, 2).map(([name, row]) => `${name} ${row.value.textContent}`);
    byId("said").textContent = `At the threshold ${byId("threshold").value}: ${parts.join(", ")}`;
  };
  byId("slider").addEventListener("input", (event) => showThreshold(Number(event.target.value), "slider"));
  byId("threshold").addEventListener("input", (event) => {
    const threshold = event.target.valueAsNumber;
    if (threshold >= 0 && threshold <= 1) showThreshold(exact(threshold), "threshold");
  });
  byId("slider").addEventListener("change", say);
  byId("threshold").addEventListener("change", () => {
    showThreshold(current); // what is no threshold goes
    say();
  });
  byId("reset").addEventListener("click", () => {
    showThreshold(START);
    say();
    byId("slider").focus();
  });
  byId("reset").textContent = `Back to ${recorded === null ? START : `the recorded ${Number(START.toFixed(4))}`}`;
  showThreshold(START);

  // The large view of mistakes

  const mistakes = all(".mistake");
  const viewer = byId("viewer");
  let active = 0;

  function show() {
    const mistake = mistakes[active];
    byId("stage").replaceChildren(mistake.querySelector(".xray").cloneNode(true));
    byId("view-name").textContent = mistake.dataset.path;
    const flagged = mistake.querySelector(".flagged");
    byId("view-told").textContent = [mistake.dataset.told, flagged?.textContent].filter(Boolean).join("; ");
  }

  function go(place) {
    active = place;
    if (!viewer.open) mistakes[place].focus();
  }

  const hasHeat = all(".mistake .heat").length > 0;
  const { open, move } = largeView({ place: () => active, count: () => mistakes.length, go, show, hasHeat });
  mistakes.forEach((mistake, place) => mistake.addEventListener("click", () => open(place)));

  // On paper nobody can open what is closed.
  const closed = new Set();
  function unfold(isPrinting) {
    if (isPrinting) all("details:not([open])").forEach((each) => closed.add(each));
    for (const each of closed) each.open = isPrinting;
    if (!isPrinting) closed.clear();
  }
  addEventListener("beforeprint", () => unfold(true));
  addEventListener("afterprint", () => unfold(false));
  matchMedia("print").addEventListener("change", (event) => unfold(event.matches));

  const STEPS = { j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1 };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    const place = mistakes.indexOf(event.target);
    if (event.key in STEPS && (viewer.open || place >= 0)) {
      if (!viewer.open) active = place;
      move(STEPS[event.key]);
    } else if (event.key === "h" && hasHeat) {
      switchHeat();
    } else {
      return;
    }
    event.preventDefault();
  });
})();
