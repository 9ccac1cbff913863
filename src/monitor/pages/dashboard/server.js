// The server as a whole and its shards, from the events that it sends.

import { Chart } from "./chart.js";
import { at, bar, bytes, clock, count, fill, mark, percent, row, say, shorter, span, write } from "./figures.js";

const title = document.title;

const rates = new Chart(at("rates"), "Messages per second", largest => {
  // Up to a round number.
  const power = 10 ** Math.floor(Math.log10(Math.max(1, largest)));
  const top = [1, 2, 5, 10].map(factor => factor * power).find(top => top >= Math.max(1, largest));
  const half = top > 1 ? [[0.5, mark(count(top / 2))]] : [];
  return { height: value => value / top, marks: [[0, "0"], ...half, [1, mark(count(top))]] };
}, ([incoming, outgoing]) => outgoing === undefined ? count(incoming) : `${count(incoming)} in, ${count(outgoing)} out`);

// A class of times ends at twice the time of the one before, the first at 1.024 µs.
const classEnd = index => 1.024e-6 * 2 ** index;
// The last class has none; this is where the one before it ends.
let lastEnd = Infinity;
const upTo = (end, none) => end === null ? none : end > lastEnd ? "> " + span(lastEnd) : "≤ " + span(end);
const turnTime = end => upTo(end, "no turn");

const turns = new Chart(at("turns"), "Time of a turn", largest => {
  const top = Math.max(10, Math.ceil(Math.log2(Math.max(1, largest / classEnd(0)))));
  const marked = [0, Math.round(top / 2), top];
  return {
    height: value => Math.log2(value / classEnd(0)) / top,
    marks: marked.map(index => [index / top, mark(span(classEnd(index)))]),
  };
}, ([median, most]) => most === undefined ? turnTime(median) : `median ${turnTime(median)}, 99 % ${turnTime(most)}`);

// The end of the class in which a share of the times is, or null if there was none.
function quantile(classes, share) {
  const all = classes.reduce((sum, times) => sum + times, 0);
  if (!all) return null;
  let left = Math.max(1, Math.ceil(all * share));
  return classEnd(classes.findIndex(times => (left -= times) <= 0));
}

let last = null;
let version = null;
let slowAt = -Infinity;
// How long one more slow consumer stands out.
const SLOW_SECONDS = 60;

// What comes next does not continue what came before.
export function interrupt() { last = null; }

export function show(event) {
  // The files of this page belong to the version that has sent them.
  version ??= event.version;
  if (event.version !== version) { location.reload(); return; }
  const isTheSame = last && last.server_id === event.server_id;
  const before = isTheSame ? last : null;
  last = event;
  const now = Date.parse(event.now) / 1000;
  tell(event);
  say("connections_now", count(event.connections), event.connections_max ? "of " + mark(count(event.connections_max)) : "");
  say("subscriptions_now", count(event.subscriptions));
  say("cpu", percent(event.cpu / 100), "of a core");
  say("mem", bytes(event.mem));
  say("slow_now", count(event.slow_consumers), "since the start");
  if (before && event.slow_consumers > before.slow_consumers) slowAt = now;
  at("slow_now").className = now - slowAt < SLOW_SECONDS ? "bad" : "";
  const seconds = before ? now - Date.parse(before.now) / 1000 : 0;
  if (!(seconds > 0)) return;
  const rate = (now, then) => Math.max(0, now - then) / seconds;
  for (const name of ["in_msgs", "out_msgs", "dropped"]) say(name, count(rate(event[name], before[name])), "/s");
  for (const name of ["in_bytes", "out_bytes"]) say(name, bytes(rate(event[name], before[name])), "/s");
  rates.add(now, [rate(event.in_msgs, before.in_msgs), rate(event.out_msgs, before.out_msgs)]);
  const since = name => event.shards.map((shard, index) => {
    const then = before.shards[index] || shard;
    return shard[name].map((times, place) => Math.max(0, times - then[name][place]));
  });
  const [lately, onLanes] = [since("turn_times"), since("lane_times")];
  lastEnd = classEnd(lately[0].length - 2);
  const together = lately.reduce((sums, classes) => sums.map((sum, place) => sum + classes[place]));
  turns.add(now, [quantile(together, 0.5), quantile(together, 0.99)]);
  fill("shards", event.shards.map((shard, index) => {
    const then = before.shards[index] || shard;
    const work = Math.min(1, rate(shard.busy_us, then.busy_us) / 1e6);
    return row([
      index, [bar(work, percent(work)), "left"], count(rate(shard.turns, then.turns)),
      upTo(quantile(lately[index], 0.99), "–"), upTo(quantile(onLanes[index], 0.99), "–"), count(rate(shard.in_msgs, then.in_msgs)),
      count(rate(shard.out_msgs, then.out_msgs)), count(shard.connections), [count(shard.waiting), shard.waiting ? "bad" : ""],
    ]);
  }));
}

// In one word how it is, and whatever is worse than well in a banner. These are read aloud; the rest, which changes every second, is not.
function put(is, word, alarm) {
  at("state").dataset.is = is;
  write(at("state"), word);
  const banner = at("banner");
  write(banner, alarm);
  banner.hidden = !alarm;
  document.body.classList.toggle("stale", is === "lost");
  document.title = is === "live" ? title : `${word}: ${title}`;
}

function tell(event) {
  write(at("about"), `up ${shorter(event.uptime)} · trunkline ${event.version}`);
  write(at("heard"), clock(new Date()));
  if (!event.lame_duck) put("live", "live", "");
  // How many are left is told below: a banner that changed every second would be read aloud every second.
  else put("lame", "lame duck mode", "Lame duck mode: the server takes no new clients and sends away those it has.");
}

// Nothing comes any more; `why` is the server's own word, if it had one.
export function tellLost(why) {
  const shown = last ? ` What is shown is from ${clock(new Date(last.now))}.` : "";
  const reason = why ? `Not live: ${why}.` : "No connection to the server.";
  put("lost", why ? "not live" : "no connection", `${reason}${shown} Trying again.`);
}

// The picture stands still because somebody wants it to, or goes on. A banner stays: what it tells is still so.
export function tellHeld(isHeld) {
  at("state").dataset.is = isHeld ? "held" : "waiting";
  write(at("state"), isHeld ? "held" : "waiting");
}
