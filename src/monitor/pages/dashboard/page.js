// Starts what the page shows, and stops it while nobody looks: a hidden page, or a part of it that is not on the screen,
// asks the server for nothing.

import { accounts } from "./accounts.js";
import { connections, limits, slowConsumers } from "./connections.js";
import { at } from "./figures.js";
import { isAsked } from "./questions.js";
import { interrupt, show, tellHeld, tellLost } from "./server.js";
import { Stream } from "./stream.js";
import { lookAgain } from "./subjects.js";

let held = false;

const stream = new Stream(event => {
  if (held) return;
  limits(event);
  show(event);
  slowConsumers(event);
}, why => { if (!held) tellLost(why); });

// Asks every so often while the part is on the screen. A part has the name of its question.
function whileSeen(part, seconds, question) {
  let seen = false;
  const look = () => { if (seen && !held && !document.hidden && !isAsked(part)) question(); };
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
  tellHeld(held);
  // Rates over the pause would be averages of a time that nobody asked about.
  if (!held) interrupt();
}, { capture: true });

// What somebody has chosen here stays, where the browser lets it.
const chosen = {
  read(name) { try { return localStorage.getItem("trunkline." + name); } catch { return null; } },
  keep(name, value) { try { localStorage.setItem("trunkline." + name, value); } catch { /* It lasts as long as the page. */ } },
};

const theme = document.documentElement.dataset;
if (["light", "dark"].includes(chosen.read("theme"))) theme.theme = chosen.read("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
at("theme").addEventListener("click", () => {
  theme.theme = (theme.theme || (dark.matches ? "dark" : "light")) === "dark" ? "light" : "dark";
  chosen.keep("theme", theme.theme);
});

// Who speaks to the computer says single letters by accident.
at("keys").checked = chosen.read("keys") !== "off";
at("keys").addEventListener("change", () => chosen.keep("keys", at("keys").checked ? "on" : "off"));

document.addEventListener("keydown", event => {
  if (!at("keys").checked || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("select, input:not([type=checkbox])")) return;
  const keys = { p: () => at("hold").click(), t: () => at("theme").click(), s: () => at("sort").focus(), "/": () => at("search").focus() };
  const act = keys[event.key.toLowerCase()];
  if (act) { event.preventDefault(); act(); }
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) { stream.shut(); interrupt(); } else stream.open();
});

stream.open();
whileSeen("connections", 3, connections);
whileSeen("accounts", 5, accounts);
let looked = false;
whileSeen("subjects", 0, () => { if (!looked) { looked = true; lookAgain(); } });
