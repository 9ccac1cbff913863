// What goes on in accounts, the busiest first.

import { at, count, fill, made, row } from "./figures.js";
import { ask } from "./questions.js";

let before = null;

export async function accounts() {
  const page = await ask("accounts", "/dashboard/accounts");
  if (!page) return;
  const now = Date.parse(page.now);
  const seconds = before ? (now - before.now) / 1000 : 0;
  const known = new Map(page.accounts.map(one => [one.name, one]));
  const rate = (one, way) => {
    const then = before?.known.get(one.name);
    return then && seconds > 0 ? count(Math.max(0, one[way].msgs - then[way].msgs) / seconds) : "–";
  };
  fill("account_rows", page.accounts.map(one => row([
    [one.name, "left long"], count(one.conns), count(one.num_subscriptions), rate(one, "received"), rate(one, "sent"),
    [count(one.slow_consumers), one.slow_consumers ? "bad" : ""],
  ])));
  at("accounts_shown").textContent = page.total > page.accounts.length ? `the busiest ${page.accounts.length} of ${count(page.total)}` : "";
  before = { now, known };
  offer(page.accounts.map(one => one.name));
}

// Lets the subjects of one account be chosen.
function offer(names) {
  const choice = at("subjects_account");
  const offered = [...choice.options].slice(1).map(option => option.value);
  if (names.length === offered.length && names.every(name => offered.includes(name))) return;
  const chosen = choice.value;
  choice.replaceChildren(choice.options[0], ...names.sort().map(name => {
    const option = made("option", "", name);
    option.value = name;
    return option;
  }));
  choice.value = names.includes(chosen) ? chosen : "";
  at("subjects_account_label").hidden = names.length < 2;
}
