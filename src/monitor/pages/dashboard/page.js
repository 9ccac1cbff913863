// Starts what the page shows, and stops it while nobody looks: a hidden page, or a part of it that is not on the screen,
// asks the server for nothing.

import { accounts } from "./accounts.js";
import { connections, limits, slowConsumers } from "./connections.js";
import { at } from "./figures.js";
import { address } from "./questions.js";
import { interrupt, show, tellLost } from "./server.js";
import { lookAgain } from "./subjects.js";

let held = false;
let source = null;

function open() {
  if (source || document.hidden) return;
  source = new EventSource(address("/dashboard/events"));
  source.onmessage = message => {
    if (held) return;
    const event = JSON.parse(message.data);
    limits(event);
    show(event);
    slowConsumers(event);
  };
  source.onerror = () => {
    tellLost();
    if (source && source.readyState === EventSource.CLOSED) { shut(); setTimeout(open, 3000); }
  };
}

function shut() {
  if (source) source.close();
  source = null;
}

// Asks every so often while the part is on the screen.
function whileSeen(part, seconds, question) {
  let seen = false;
  const look = () => { if (seen && !held && !document.hidden) question(); };
  new IntersectionObserver(entries => {
    seen = entries.at(-1).isIntersecting;
    look();
  }).observe(at(part));
  document.addEventListener("visibilitychange", look);
  at("hold").addEventListener("click", look);
  if (seconds) setInterval(look, seconds * 1000);
}

at("hold").addEventListener("click", () => {
  held = !held;
  at("hold").setAttribute("aria-pressed", String(held));
  // Rates over the pause would be wrong.
  if (!held) interrupt();
}, { capture: true });

const dark = matchMedia("(prefers-color-scheme: dark)");
at("theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset;
  theme.theme = (theme.theme || (dark.matches ? "dark" : "light")) === "dark" ? "light" : "dark";
});

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input")) return;
  const keys = { p: () => at("hold").click(), t: () => at("theme").click(), s: () => at("sort").focus(), "/": () => at("search").focus() };
  const act = keys[event.key.toLowerCase()];
  if (act) { event.preventDefault(); act(); }
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) { shut(); interrupt(); } else open();
});

open();
whileSeen("connections", 3, connections);
whileSeen("accounts", 5, accounts);
let looked = false;
whileSeen("subjects", 0, () => { if (!looked) { looked = true; lookAgain(); } });
