// The split screen: searching each side, opening studies down to their objects, and taking a study, series or objects to a
// study by mouse or keyboard. What was searched for and opened is in the address, so that Back brings it back.

import { mayCorrect, menus, ofStudy } from "./menu.js";

const panes = document.querySelector("[data-panes]");
const sides = [...panes.querySelectorAll("[data-side]")];
const KEPT = "split";
// Longer addresses are sent as forms.
const LONGEST = 6000;

async function fill(element, address) {
  element.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (answer.redirected) {
      location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
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

// Remembers what each side shows.
function remember() {
  const kept = new URLSearchParams();
  for (const side of sides) {
    for (const [name, value] of new FormData(side.querySelector("form"))) {
      if (value) kept.append(`${side.dataset.side}.${name}`, value);
    }
    if (side.dataset.searched && ![...kept.keys()].some((name) => name.startsWith(`${side.dataset.side}.`))) {
      kept.append(`${side.dataset.side}.all`, "yes");
    }
    const opened = [...side.querySelectorAll("details[data-series-of][open]")].slice(0, 10);
    for (const study of opened) kept.append(`${side.dataset.side}.open`, study.dataset.seriesOf);
  }
  const query = kept.size ? `?${kept}` : "";
  history.replaceState(null, "", `/split${query}`);
  sessionStorage.setItem(KEPT, query);
}

async function search(side) {
  side.dataset.searched = "yes";
  const opened = new Set([...side.querySelectorAll("details[open]")].map((row) => row.dataset.seriesOf));
  await show(side, opened);
  remember();
}

async function show(side, opened) {
  const asked = new URLSearchParams(new FormData(side.querySelector("form")));
  await fill(side.querySelector("[data-results]"), `/panes/studies?${asked}`);
  for (const study of side.querySelectorAll("details[data-series-of]")) {
    if (opened.has(study.dataset.seriesOf)) study.open = true;
  }
  offer();
}

async function restore() {
  const query = location.search || sessionStorage.getItem(KEPT) || "";
  const kept = new URLSearchParams(query);
  await Promise.all(
    sides.map(async (side) => {
      const own = [...kept].filter(([name]) => name.startsWith(`${side.dataset.side}.`));
      if (own.length === 0) return;
      const opened = new Set();
      for (const [name, value] of own) {
        const key = name.slice(side.dataset.side.length + 1);
        const input = side.querySelector(`form [name="${CSS.escape(key)}"]`);
        if (key === "open") opened.add(value);
        else if (input) input.value = value;
      }
      side.dataset.searched = "yes";
      await show(side, opened);
    }),
  );
  remember();
}

// What is ticked: all of one kind, and of one study.
function picked() {
  const boxes = [...panes.querySelectorAll("[data-pick]:checked")];
  if (boxes.length === 0) return null;
  const kind = boxes[0].dataset.pick;
  const from = boxes[0].closest("[data-study]").dataset.study;
  const uid = (box) => box.closest(`[data-${kind}]`).dataset[kind];
  return { kind, from, uids: boxes.map(uid) };
}

function words({ kind, uids }) {
  if (kind === "study") return "the whole study";
  return kind === "series" ? `${uids.length} series` : `${uids.length} object${uids.length === 1 ? "" : "s"}`;
}

// Studies that could take what is ticked offer themselves.
function offer() {
  const pick = picked();
  for (const button of panes.querySelectorAll("[data-drop]")) {
    const study = button.closest("[data-study]").dataset.study;
    button.hidden = !pick || study === pick.from;
    if (pick) button.textContent = pick.kind === "study" ? "Merge it into this study" : `Move ${words(pick)} here`;
  }
}

// The plan of taking something to a study, or to a new one.
function plan({ kind, from, uids }, to) {
  const asked = new URLSearchParams(kind === "study" ? { study: from } : { from });
  if (to) asked.append("to", to);
  const name = { series: "series", object: "instances" }[kind];
  if (name) for (const uid of uids) asked.append(name, uid);
  remember();
  if (`${asked}`.length < LONGEST) {
    location.assign(`/plan?${asked}`);
    return;
  }
  const form = document.createElement("form");
  form.method = "post";
  form.action = "/plan";
  form.hidden = true;
  asked.append("csrf", document.querySelector("input[name=csrf]").value);
  for (const [field, value] of asked) {
    const input = document.createElement("input");
    [input.name, input.value] = [field, value];
    form.append(input);
  }
  document.body.append(form);
  form.submit();
}

panes.addEventListener("submit", (event) => {
  event.preventDefault();
  // A study that was looked for by its UID is not what is typed.
  event.target.elements.StudyInstanceUID.value = "";
  search(event.target.closest("[data-side]"));
});

panes.addEventListener(
  "toggle",
  (event) => {
    const row = event.target.closest("[data-fill]");
    if (!row) return;
    if (row.open && !row.dataset.filled) {
      row.dataset.filled = "yes";
      fill(row.querySelector("[data-list]"), row.dataset.fill).then(offer);
    }
    remember();
  },
  true,
);

panes.addEventListener("change", (event) => {
  if (!event.target.matches("[data-pick]")) return;
  // One kind of one study at a time: ticking something else begins anew.
  const study = event.target.closest("[data-study]");
  if (event.target.checked) {
    for (const box of panes.querySelectorAll("[data-pick]:checked")) {
      if (box.closest("[data-study]") !== study || box.dataset.pick !== event.target.dataset.pick) box.checked = false;
    }
  }
  offer();
});

panes.addEventListener("click", (event) => {
  const button = event.target.closest("[data-drop]");
  if (button) plan(picked(), button.closest("[data-study]").dataset.study);
});

function tick(box) {
  box.checked = !box.checked;
  box.dispatchEvent(new Event("change", { bubbles: true }));
}

function refresh() {
  for (const side of sides) if (side.dataset.searched) search(side);
}

menus(panes, (row, target) => {
  const entries = [];
  const pick = picked();
  const part = target.closest("[data-object], [data-series]");
  if (mayCorrect) {
    if (pick && pick.from !== row.dataset.study) {
      const text = pick.kind === "study" ? "Merge it into this study" : `Move ${words(pick)} here`;
      entries.push({ text, go: () => plan(pick, row.dataset.study) });
    }
    const box = part?.querySelector("[data-pick]");
    if (box) {
      const kind = part.matches("[data-object]") ? "object" : "series";
      entries.push({ text: box.checked ? `Leave this ${kind}` : `Take this ${kind}`, go: () => tick(box) });
      const alone = { kind, from: row.dataset.study, uids: [part.dataset[kind]] };
      if (!box.checked) entries.push({ text: `Split this ${kind} off`, go: () => plan(alone, "") });
    }
    if (pick && pick.from === row.dataset.study && pick.kind !== "study") {
      entries.push({ text: `Split ${words(pick)} off into a new study`, go: () => plan(pick, "") });
    }
    const whole = row.querySelector('[data-pick="study"]');
    if (whole) {
      entries.push({ text: whole.checked ? "Leave the study" : "Take the whole study", go: () => tick(whole) });
    }
  }
  return [...entries, ...ofStudy(row, refresh)];
});

let dragged = null;

panes.addEventListener("dragstart", (event) => {
  const row = event.target.closest("[data-object], [data-series], [data-study]");
  if (!row) return;
  const kind = ["object", "series", "study"].find((known) => row.dataset[known] !== undefined);
  const from = row.closest("[data-study]").dataset.study;
  const ticked = picked();
  const together = ticked && ticked.from === from && ticked.kind === kind && ticked.uids.includes(row.dataset[kind]);
  dragged = together ? ticked : { kind, from, uids: [row.dataset[kind]] };
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", dragged.uids.join("\n"));
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

restore();
