// Connections, those first that are looked for; and consumers that were too slow.

import { at, bar, bytes, count, made, row, shorter } from "./figures.js";
import { ask } from "./questions.js";

const LIMIT = 25;
let pendingMax = 0;
let slowKnown = null;

export function limits(event) { pendingMax = event.pending_max; }

// A link to the connection in the list of connections.
export function linkTo(cid) {
  const link = made("button", "", String(cid));
  link.type = "button";
  link.addEventListener("click", () => {
    at("search").value = cid;
    at("search").focus();
    connections();
  });
  return link;
}

export async function connections() {
  const order = at("sort").value;
  const query = new URLSearchParams({ limit: LIMIT, auth: 1, search: at("search").value });
  if (order === "closed") { query.set("state", "closed"); query.set("sort", "stop"); } else query.set("sort", order);
  const page = await ask("connections", "/dashboard/connections?" + query);
  if (!page) return;
  const list = page.connections || [];
  at("last_column").textContent = order === "closed" ? "Ended" : "Idle";
  for (const button of document.querySelectorAll("th [data-sort]")) {
    const heading = button.closest("th");
    const ascends = ["cid", "idle"].includes(order);
    if (button.dataset.sort === order) heading.setAttribute("aria-sort", ascends ? "ascending" : "descending");
    else heading.removeAttribute("aria-sort");
  }
  at("connection_rows").replaceChildren(...list.map(one => {
    const share = pendingMax ? one.pending_bytes / pendingMax : 0;
    return row([
      one.cid, [one.name || "–", "left long"], one.pending_bytes ? bar(share, bytes(one.pending_bytes)) : "0 B",
      count(one.in_msgs), count(one.out_msgs), count(one.subscriptions), shorter(one.rtt), one.reason || one.idle,
      [one.authorized_user || "–", "left long"], [one.account || "$G", "left long"],
      [`${one.ip}:${one.port}`, "left"], [[one.lang, one.version].filter(Boolean).join(" ") || "–", "left"],
    ]);
  }));
  const more = list.length === LIMIT;
  at("connections_shown").textContent = order === "closed" || !more ? "" : `the first ${list.length} of ${count(page.total)}`;
  at("no_connections").hidden = list.length > 0;
}

// Asked for only when there is one more.
export async function slowConsumers(event) {
  if (event.slow_consumers === slowKnown) return;
  const page = await ask("slow", "/dashboard/slow");
  if (!page) return;
  slowKnown = event.slow_consumers;
  at("slow_rows").replaceChildren(...page.slow_consumers.map(one => row([
    [new Date(one.at).toLocaleTimeString(), "left"], linkTo(one.cid), [one.account, "left long"],
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
let typed = 0;
at("search").addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(connections, 250);
});
