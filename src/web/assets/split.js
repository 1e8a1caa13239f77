// The split screen: searching each side, opening studies, and taking series from one study to another by mouse or keyboard.

const panes = document.querySelector("[data-panes]");

async function fill(element, address) {
  element.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (answer.redirected) {
      location.assign("/sign-in?next=/split");
      return;
    }
    if (!answer.ok) throw new Error(`the console answered ${answer.status}`);
    element.innerHTML = await answer.text();
  } catch (error) {
    element.textContent = `This cannot be shown: ${error.message}`;
  } finally {
    element.removeAttribute("aria-busy");
  }
}

// The series that are ticked, all of one study.
function picked() {
  const boxes = [...panes.querySelectorAll("[data-pick]:checked")];
  const from = boxes[0]?.closest("[data-study]").dataset.study;
  return { from, series: boxes.map((box) => box.closest("[data-series]").dataset.series) };
}

// Studies that could take what is ticked offer themselves.
function offer() {
  const { from, series } = picked();
  for (const button of panes.querySelectorAll("[data-drop]")) {
    const study = button.closest("[data-study]").dataset.study;
    button.hidden = series.length === 0 || study === from;
    button.textContent = series.length === 1 ? "Move 1 series here" : `Move ${series.length} series here`;
  }
}

function plan({ from, series }, to) {
  const query = new URLSearchParams({ from, to });
  for (const uid of series) query.append("series", uid);
  location.assign(`/plan?${query}`);
}

panes.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const results = form.closest(".pane").querySelector("[data-results]");
  fill(results, `/panes/studies?${new URLSearchParams(new FormData(form))}`).then(offer);
});

panes.addEventListener(
  "toggle",
  (event) => {
    const study = event.target.closest("[data-series-of]");
    if (!study || !study.open || study.dataset.filled) return;
    study.dataset.filled = "yes";
    fill(study.querySelector("[data-list]"), `/panes/studies/${encodeURIComponent(study.dataset.seriesOf)}`);
  },
  true,
);

panes.addEventListener("change", (event) => {
  if (!event.target.matches("[data-pick]")) return;
  // Series of one study at a time: ticking in another one begins anew.
  const study = event.target.closest("[data-study]");
  if (event.target.checked) {
    for (const box of panes.querySelectorAll("[data-pick]:checked")) {
      if (box.closest("[data-study]") !== study) box.checked = false;
    }
  }
  offer();
});

panes.addEventListener("click", (event) => {
  const button = event.target.closest("[data-drop]");
  if (button) plan(picked(), button.closest("[data-study]").dataset.study);
});

let dragged = null;

panes.addEventListener("dragstart", (event) => {
  const row = event.target.closest("[data-series]");
  if (!row) return;
  const from = row.closest("[data-study]").dataset.study;
  const ticked = picked();
  const together = ticked.from === from && ticked.series.includes(row.dataset.series);
  dragged = together ? ticked : { from, series: [row.dataset.series] };
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", dragged.series.join("\n"));
});

function target(event) {
  const study = event.target.closest("[data-study]");
  return dragged && study && study.dataset.study !== dragged.from ? study : null;
}

function mark(study) {
  for (const other of panes.querySelectorAll(".over")) other.classList.remove("over");
  study?.classList.add("over");
}

panes.addEventListener("dragover", (event) => {
  const study = target(event);
  mark(study);
  if (!study) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "move";
});

panes.addEventListener("drop", (event) => {
  const study = target(event);
  if (!study) return;
  event.preventDefault();
  plan(dragged, study.dataset.study);
});

panes.addEventListener("dragend", () => {
  dragged = null;
  mark(null);
});
