// What can be done with a study: a menu that opens by right click, by its button or by the keyboard, and what it does by
// itself. Pages add what is theirs.

const may = document.querySelector("[data-may]")?.dataset ?? {};
const said = document.querySelector("[data-said]");
const done = document.querySelector("[data-done]");
const ask = document.querySelector("[data-ask-why]");
const csrf = document.querySelector("input[name=csrf]")?.value ?? "";

export const mayCorrect = "correct" in may;

function tell(element, text) {
  for (const other of [said, done]) other.hidden = true;
  element.textContent = text;
  element.hidden = text === "";
}

// Asks why; what was written, or null if it is not to be done.
function why(question) {
  return new Promise((answer) => {
    ask.querySelector("h2").textContent = question;
    ask.querySelector("input").value = "";
    ask.addEventListener(
      "close",
      () => answer(ask.returnValue === "yes" ? ask.querySelector("input").value : null),
      { once: true },
    );
    ask.returnValue = "no";
    ask.showModal();
  });
}

// Locks, unlocks or has a study scanned again; whether it was done.
async function act(study, action, question, words) {
  const reason = await why(question);
  if (reason === null) return false;
  try {
    const answer = await fetch("/api/v1/studies", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
      body: JSON.stringify({ study, action, reason }),
    });
    if (answer.status === 401) {
      location.reload();
      return false;
    }
    if (answer.ok) {
      tell(done, words);
      return true;
    }
    const trouble = await answer.json();
    tell(said, [trouble.detail, trouble.remedy].filter(Boolean).join(": "));
  } catch (error) {
    tell(said, `It was not done: ${error.message}`);
  }
  return false;
}

// What every study offers. `after` is called when something has changed.
export function ofStudy(row, after) {
  const { study, address, locked, name } = row.dataset;
  const doing = (action, question, words) => async () => {
    if (await act(study, action, question, words)) after();
  };
  const entries = [{ text: "Open the study", go: () => location.assign(address) }];
  if (mayCorrect && !locked) {
    entries.push({ text: "Lock study…", go: doing("lock", `Lock the study of ${name}?`, "The study is locked.") });
  }
  if (mayCorrect && locked && (locked === may.who || "unlock" in may)) {
    const question = `Unlock the study of ${name}, which ${locked} has locked?`;
    entries.push({ text: "Unlock study…", go: doing("unlock", question, "The study is unlocked.") });
  }
  if ("rescan" in may) {
    const words = "The AI platform will be asked for a rescan.";
    entries.push({ text: "Rescan…", go: doing("rescan", `Have the study of ${name} scanned again?`, words) });
  }
  const list = `/corrections?study=${encodeURIComponent(study)}`;
  entries.push({ text: "Corrections of this study", go: () => location.assign(list) });
  return entries;
}

let open = null;

function close(focus) {
  if (!open) return;
  const { element, from } = open;
  open = null;
  element.remove();
  if (focus && from?.isConnected) from.focus();
}

function show(entries, x, y, from) {
  close(false);
  const element = document.createElement("div");
  element.className = "menu";
  element.setAttribute("role", "menu");
  for (const entry of entries) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("role", "menuitem");
    button.tabIndex = -1;
    button.textContent = entry.text;
    button.addEventListener("click", () => {
      close(true);
      entry.go();
    });
    element.append(button);
  }
  document.body.append(element);
  const { width, height } = element.getBoundingClientRect();
  element.style.left = `${Math.max(4, Math.min(x, innerWidth - width - 4))}px`;
  element.style.top = `${Math.max(4, Math.min(y, innerHeight - height - 4))}px`;
  open = { element, from };
  element.firstElementChild.focus();
}

document.addEventListener("keydown", (event) => {
  if (!open) return;
  const items = [...open.element.children];
  const at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (to !== undefined) items[(to + items.length) % items.length].focus();
  else if (event.key === "Escape" || event.key === "Tab") close(true);
  else return;
  event.preventDefault();
});

document.addEventListener("pointerdown", (event) => {
  if (open && !open.element.contains(event.target)) close(false);
});
addEventListener("scroll", () => close(false), true);

// Opens menus within `root`: `entries` says what is in the one of a row.
export function menus(root, entries) {
  root.addEventListener("contextmenu", (event) => {
    const row = event.target.closest("[data-study]");
    if (!row || event.target.closest("input[type=search], dialog")) return;
    event.preventDefault();
    const place = event.target.getBoundingClientRect();
    const [x, y] = event.clientX || event.clientY ? [event.clientX, event.clientY] : [place.left, place.bottom];
    const from = event.target.closest("summary, input, button, a") ?? row.querySelector("[data-menu]");
    show(entries(row, event.target), x, y, from);
  });
  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-menu]");
    if (!button) return;
    const place = button.getBoundingClientRect();
    show(entries(button.closest("[data-study]"), button), place.left, place.bottom, button);
  });
}
