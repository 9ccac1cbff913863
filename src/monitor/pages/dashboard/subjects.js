// The subjects that are subscribed to, as a tree. A level is asked for when it is opened, and not again until somebody
// wants to look again: each time all subscriptions are looked at. A level shows its busiest tokens; the others are found by
// writing the beginning of their subject.

import { at, count, made } from "./figures.js";
import { linkTo } from "./connections.js";
import { ask } from "./questions.js";

const tree = at("tree");

async function level(below) {
  const query = new URLSearchParams({ below, acc: at("subjects_account").value });
  return ask("subjects " + below, "/dashboard/subjects?" + query);
}

function node(token, below, branch) {
  const item = made("li");
  item.setAttribute("role", "treeitem");
  item.tabIndex = -1;
  item.dataset.subject = below ? `${below}.${token}` : token;
  const name = made("code", token === "*" || token === ">" ? "token wildcard" : "token", token);
  name.title = name.textContent;
  const number = made("span", "count", count(branch.ending + branch.below), made("span", "unseen", " subscriptions"));
  item.append(made("div", "row", name, " ", number));
  item.setAttribute("aria-expanded", "false");
  return item;
}

function note(text) {
  const item = made("li", "", made("div", "row", made("span", "quiet", text)));
  item.setAttribute("role", "none");
  return item;
}

function subscriber(one) {
  const text = [one.qgroup && `queue ${one.qgroup}`, `sid ${one.sid}`, `${count(one.msgs)} messages`].filter(Boolean).join(", ");
  const place = made("div", "row", made("span", "quiet", "connection "), linkTo(one.cid), made("span", "quiet", text));
  const item = made("li", "", place);
  item.setAttribute("role", "none");
  return item;
}

function items(page) {
  const list = page.here.map(subscriber);
  if (page.ending_here > page.here.length) list.push(note(`and ${count(page.ending_here - page.here.length)} more subscriptions to it`));
  list.push(...page.branches.map(branch => node(branch.token, page.below, branch)));
  if (page.more_tokens) list.push(note(`and ${count(page.more_tokens)} more: write the beginning of a subject above to find them`));
  return list;
}

async function open(item) {
  if (item.getAttribute("aria-expanded") !== "false") return;
  item.setAttribute("aria-busy", "true");
  const page = await level(item.dataset.subject);
  item.removeAttribute("aria-busy");
  if (!page || item.getAttribute("aria-expanded") !== "false") return;
  const group = made("ul", "", ...items(page));
  group.setAttribute("role", "group");
  item.append(group);
  item.setAttribute("aria-expanded", "true");
}

function close(item) {
  item.querySelector(":scope > ul")?.remove();
  item.setAttribute("aria-expanded", "false");
}

const toggle = item => item.getAttribute("aria-expanded") === "true" ? close(item) : open(item);

// The top, and what was open below it.
export async function lookAgain() {
  const wasOpen = [...tree.querySelectorAll("[aria-expanded=true]")].map(item => item.dataset.subject);
  const beginning = at("subjects_from").value.trim().replace(/\.$/, "");
  const page = await level(beginning);
  if (!page || beginning !== at("subjects_from").value.trim().replace(/\.$/, "")) return;
  tree.replaceChildren(...items(page));
  at("no_subjects").hidden = page.branches.length + page.here.length > 0;
  at("no_subjects").textContent = beginning ? "Nobody subscribes to anything that begins like this." : "Nobody subscribes to anything.";
  const first = tree.querySelector("[role=treeitem]");
  if (first) first.tabIndex = 0;
  for (const subject of wasOpen) {
    const item = [...tree.querySelectorAll("[role=treeitem]")].find(item => item.dataset.subject === subject);
    if (item) await open(item);
  }
}

function walkTo(item) {
  if (!item) return;
  for (const other of tree.querySelectorAll("[role=treeitem][tabindex='0']")) other.tabIndex = -1;
  item.tabIndex = 0;
  item.focus();
}

tree.addEventListener("click", event => {
  const place = event.target.closest(".row");
  const item = place?.parentElement;
  if (event.target.closest("button") || item?.getAttribute("role") !== "treeitem") return;
  walkTo(item);
  toggle(item);
});

tree.addEventListener("keydown", event => {
  const item = event.target.closest("[role=treeitem]");
  if (event.target !== item) return;
  const all = [...tree.querySelectorAll("[role=treeitem]")];
  const place = all.indexOf(item);
  const isOpen = item.getAttribute("aria-expanded") === "true";
  const steps = {
    ArrowDown: () => walkTo(all[place + 1]),
    ArrowUp: () => walkTo(all[place - 1]),
    ArrowRight: () => isOpen ? walkTo(item.querySelector("[role=treeitem]")) : open(item),
    ArrowLeft: () => isOpen ? close(item) : walkTo(item.parentElement.closest("[role=treeitem]")),
    Home: () => walkTo(all[0]),
    End: () => walkTo(all.at(-1)),
    Enter: () => toggle(item),
    " ": () => toggle(item),
  };
  if (!steps[event.key]) return;
  event.preventDefault();
  steps[event.key]();
});

at("subjects_again").addEventListener("click", lookAgain);
let typed = 0;
at("subjects_from").addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(lookAgain, 400);
});
at("subjects_account").addEventListener("change", () => { tree.replaceChildren(); lookAgain(); });
