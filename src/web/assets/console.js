// What pages do by themselves: follow a job while it runs, and ask before something is given up.

const number = new Intl.NumberFormat();

function bytes(value) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
}

function duration(seconds) {
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor((seconds % 86400) / 3600);
  const minutes = Math.ceil((seconds % 3600) / 60);
  if (days > 0) return `${days} d ${hours} h`;
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min`;
}

// A running job that says why it cannot work now is waiting.
function stateOf(job) {
  return job.state === "running" && job.message ? "waiting" : job.state;
}

// The texts of a job's page, by the name of the element that shows them.
function texts(job) {
  const done = job.items.total - job.items.pending;
  return {
    state: stateOf(job),
    proven: number.format(job.items.proven),
    total: number.format(job.items.total) + (job.enumerated ? "" : "+"),
    fallout: number.format(job.items.partial + job.items.failed),
    filed: number.format(job.objects.filed),
    received: bytes(job.bytes),
    rate: job.rate_bytes_per_second > 0 ? `${bytes(job.rate_bytes_per_second)}/s` : "–",
    eta: job.eta_seconds == null ? "–" : duration(job.eta_seconds),
    line: job.line ?? "",
    message: job.notice,
    share: job.items.total > 0 ? `${Math.floor((100 * done) / job.items.total)} %` : "",
  };
}

// Draws the pictures of a job again, when something has changed, at most every ten seconds, and not under somebody's hands.
function redraw(pictures) {
  let [seen, last, busy] = ["", Date.now(), false];
  return async (job) => {
    const now = JSON.stringify([job.items, job.bytes]);
    const held = pictures.contains(document.activeElement) || pictures.querySelector("details[open]");
    if (now === seen || Date.now() - last < 10000 || busy || held || document.hidden) return;
    [seen, last, busy] = [now, Date.now(), true];
    try {
      const answer = await fetch(pictures.dataset.pictures);
      if (answer.ok && !answer.redirected) pictures.innerHTML = await answer.text();
    } finally {
      busy = false;
    }
  };
}

function isAtRest(job) {
  return !["running", "stopping"].includes(job.state);
}

// Writes the texts of a job into the elements that show them.
function write(place, job, shown) {
  for (const [name, text] of Object.entries(shown)) {
    const element = place.querySelector(`[data-show="${name}"]`);
    if (element && element.textContent !== text) element.textContent = text;
  }
  const state = place.querySelector('[data-show="state"]');
  if (state) state.className = `state ${shown.state}`;
  const message = place.querySelector('[data-show="message"]');
  if (message) message.className = shown.message ? "note" : "";
  const bar = place.querySelector("progress");
  if (bar) {
    bar.max = Math.max(1, job.items.total);
    bar.value = job.items.total - job.items.pending;
  }
}

// A row of the list of jobs, and what it says below.
function watch(row) {
  const says = row.nextElementSibling;
  const events = new EventSource(row.dataset.watch);
  events.addEventListener("progress", (event) => {
    const job = JSON.parse(event.data);
    const shown = texts(job);
    write(row, job, shown);
    says.lastElementChild.textContent = shown.message || shown.line;
    says.hidden = !says.lastElementChild.textContent;
    if (isAtRest(job)) {
      events.close();
      location.reload();
    }
  });
}

function follow(page) {
  const title = document.title;
  const icon = document.querySelector("link[rel=icon]");
  const pictures = document.querySelector("[data-pictures]");
  const draw = pictures ? redraw(pictures) : () => {};
  const events = new EventSource(page.dataset.events);
  events.addEventListener("error", () => {
    const message = page.querySelector('[data-show="message"]');
    if (message) message.textContent = "The server does not answer: this is how far it was. The page goes on by itself.";
  });
  events.addEventListener("progress", (event) => {
    const job = JSON.parse(event.data);
    const shown = texts(job);
    draw(job);
    write(page, job, shown);
    const bar = page.querySelector("progress");
    const rest = isAtRest(job);
    document.title = rest ? `${job.state}: ${title}` : `${shown.share} ${title}`;
    if (icon) icon.href = rest ? "/assets/icon.svg" : disc(bar ? bar.value / bar.max : 0);
    if (rest) {
      // There is no more to tell; a stream that ends by itself would be asked for again.
      events.close();
      if (window.Notification && Notification.permission === "granted") {
        new Notification(title, { body: `${job.state}: ${shown.proven} of ${shown.total} proven` });
      }
      // The buttons and the list of what fell out are others now.
      location.reload();
    }
  });
}

// A disc that fills, for the tab.
function disc(share) {
  const turn = Math.min(0.999, share) * 2 * Math.PI;
  const x = 16 + 12 * Math.sin(turn);
  const y = 16 - 12 * Math.cos(turn);
  const large = turn > Math.PI ? 1 : 0;
  const picture = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="14" fill="#9fd8ea"/><path d="M16 16V4A12 12 0 ${large} 1 ${x} ${y}z" fill="#0b5c7a"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(picture)}`;
}

const job = document.querySelector("[data-events]");
if (job && job.dataset.rest !== "true") follow(job);

// Each is a connection, of which a browser has few.
for (const row of [...document.querySelectorAll("[data-watch]")].slice(0, 3)) watch(row);

const notify = document.querySelector("[data-notify]");
if (notify && window.Notification && Notification.permission === "default") {
  notify.hidden = false;
  notify.addEventListener("click", async () => {
    await Notification.requestPermission();
    notify.hidden = true;
  });
}

// What is being fetched is looked at again.
const again = document.querySelector("[data-again]");
if (again) setTimeout(() => location.reload(), Number(again.dataset.again));

for (const form of document.querySelectorAll("form[data-ask]")) {
  form.addEventListener("submit", (event) => {
    if (!confirm(form.dataset.ask)) event.preventDefault();
  });
}
