// The stream of events. It notices when nothing comes any more, as after a laptop's sleep, and tries again by itself: at
// once, then less and less often, and not at all while nobody sees the page.

import { address } from "./questions.js";

// An event comes every second; a shard may take five to answer.
const SILENT_SECONDS_MAX = 8;
const WAIT_SECONDS = [1, 2, 4, 8, 15];

export class Stream {
  #source = null;
  #heard = 0;
  #failures = 0;
  #again = 0;

  // `take` is given what comes, `tell` why nothing comes.
  constructor(take, tell) {
    this.take = take;
    this.tell = tell;
    setInterval(() => this.#watch(), 1000);
    addEventListener("online", () => { this.shut(); this.open(); });
  }

  open() {
    if (this.#source || document.hidden) return;
    clearTimeout(this.#again);
    this.#heard = Date.now();
    const source = this.#source = new EventSource(address("/dashboard/events"));
    source.onmessage = message => {
      this.#heard = Date.now();
      this.#failures = 0;
      this.take(JSON.parse(message.data));
    };
    source.onerror = async () => {
      if (source !== this.#source) return;
      // Closed by the browser means that there was an answer, but no stream.
      const wasRefused = source.readyState === EventSource.CLOSED;
      this.#lose(wasRefused ? await refusal() : "");
    };
  }

  shut() {
    clearTimeout(this.#again);
    this.#source?.close();
    this.#source = null;
  }

  #lose(why) {
    this.shut();
    this.tell(why);
    const seconds = WAIT_SECONDS[Math.min(this.#failures++, WAIT_SECONDS.length - 1)];
    // Many pages that have lost the same server do not all come back in the same moment.
    this.#again = setTimeout(() => this.open(), seconds * (750 + Math.random() * 500));
  }

  #watch() {
    if (this.#source && Date.now() - this.#heard > SILENT_SECONDS_MAX * 1000) this.#lose("");
  }
}

// Why the server refuses the stream: the browser keeps that from those who listen to one.
async function refusal() {
  const question = new AbortController();
  try {
    const reply = await fetch(address("/dashboard/events"), { signal: question.signal });
    return reply.ok ? "" : (await reply.text()).slice(0, 200) || `status ${reply.status}`;
  } catch {
    return "";
  } finally {
    question.abort();
  }
}
