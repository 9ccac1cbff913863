// Connections, those first that are looked for; and consumers that were too slow.

import { at, bar, bytes, clock, count, fill, made, row, shorter } from "./figures.js";
import { ask, isAsked } from "./questions.js";

// How many are listed; more each time somebody wants more.
const SHOWN = [25, 100, 400, 1000];
let step = 0;
let pendingMax = 0;
let slowKnown = null;
// What each had moved when the list was last read.
let before = { now: 0, known: new Map() };

export function limits(event) { pendingMax = event.pending_max; }

// A link to the connection in the list of connections, or in that of those that have ended.
export function linkTo(cid, isOver) {
  const link = made("button", "", String(cid));
  link.type = "button";
  link.title = "find this connection";
  link.addEventListener("click", () => {
    at("search").value = cid;
    if (isOver) at("sort").value = "closed";
    else if (at("sort").value === "closed") at("sort").value = "pending";
    at("search").focus();
    connections();
  });
  return link;
}

export async function connections() {
  const order = at("sort").value;
  const isOver = order === "closed";
  const search = at("search").value.trim();
  const limit = SHOWN[step];
  const query = new URLSearchParams({ limit, auth: 1, search, sort: isOver ? "stop" : order });
  if (isOver) query.set("state", "closed");
  const page = await ask("connections", "/dashboard/connections?" + query);
  if (!page) return;
  const list = page.connections || [];
  at("last_column").textContent = isOver ? "Ended" : "Idle";
  for (const button of document.querySelectorAll("th [data-sort]")) {
    const heading = button.closest("th");
    const ascends = ["cid", "idle"].includes(order);
    if (button.dataset.sort === order) heading.setAttribute("aria-sort", ascends ? "ascending" : "descending");
    else heading.removeAttribute("aria-sort");
  }
  const now = Date.parse(page.now) / 1000;
  const rate = (one, way) => {
    const then = before.known.get(one.cid);
    const seconds = now - before.now;
    return isOver || !then || seconds <= 0 ? "–" : count(Math.max(0, one[way] - then[way]) / seconds);
  };
  fill("connection_rows", list.map(one => {
    const share = pendingMax ? one.pending_bytes / pendingMax : 0;
    return row([
      one.cid, [one.name || "–", "left long"], one.pending_bytes ? bar(share, bytes(one.pending_bytes)) : bytes(0),
      rate(one, "in_msgs"), rate(one, "out_msgs"), count(one.in_msgs), count(one.out_msgs),
      bytes(one.in_bytes), bytes(one.out_bytes), count(one.subscriptions), shorter(one.rtt) || "–", one.reason || shorter(one.idle),
      [one.authorized_user || "–", "left long"], [one.account || "$G", "left long"],
      [one.port ? `${one.ip}:${one.port}` : one.ip, "left long"], [[one.lang, one.version].filter(Boolean).join(" ") || "–", "left long"],
    ]);
  }));
  before = { now, known: new Map(list.map(one => [one.cid, one])) };
  // Of closed ones the server does not say how many there are altogether.
  const isPart = list.length === limit;
  at("connections_shown").textContent = isPart ? `the first ${list.length}${isOver ? "" : " of " + count(page.total)}` : search ? `${list.length} found` : "";
  at("more_connections").hidden = !isPart || step === SHOWN.length - 1;
  at("no_connections").hidden = list.length > 0;
  at("no_connections").textContent = search ? "None that this is found in." : isOver ? "None has ended yet." : "Nobody is connected.";
}

// Asked for only when there is one more.
export async function slowConsumers(event) {
  if (event.slow_consumers === slowKnown || isAsked("slow")) return;
  const page = await ask("slow", "/dashboard/slow");
  if (!page) return;
  slowKnown = event.slow_consumers;
  fill("slow_rows", page.slow_consumers.map(one => row([
    [clock(new Date(one.at)), "left"], linkTo(one.cid, true), [one.account, "left long"],
    [one.subject ? made("span", "", made("code", "", one.subject), ` ${one.percent} %`) : "–", "left long"],
    [one.subject ? subscription(one) : "–", "left long"], bytes(one.pending_bytes), [one.reason, "left"], [one.address, "left"],
  ])));
  at("slow_table").hidden = !page.slow_consumers.length;
  at("no_slow").hidden = page.slow_consumers.length > 0;
}

function subscription(one) {
  const parts = [one.subscription ? made("code", "", one.subscription) : "one that has ended", ` sid ${one.sid}`];
  if (one.queue) parts.push(` queue ${one.queue}`);
  if (one.subscription_percent > one.percent) parts.push(` ${one.subscription_percent} %`);
  return made("span", "", ...parts);
}

for (const button of document.querySelectorAll("th [data-sort]")) {
  button.addEventListener("click", () => { at("sort").value = button.dataset.sort; connections(); });
}
at("sort").addEventListener("change", connections);
at("more_connections").addEventListener("click", () => {
  step = Math.min(step + 1, SHOWN.length - 1);
  connections();
});
let typed = 0;
at("search").addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(connections, 250);
});
