// Asks the server for what its events do not tell.

const base = document.body.dataset.base;
const asked = new Map();

export const address = path => base + path;

// Whether an answer is still waited for. Who asks again and again waits for it: a server that needs longer than the time
// between two questions would never be heard otherwise.
export const isAsked = name => asked.has(name);

// The answer, or nothing when there is none. A question takes the place of one by the same name that has not been answered.
export async function ask(name, path) {
  asked.get(name)?.abort();
  const question = new AbortController();
  asked.set(name, question);
  try {
    const reply = await fetch(address(path), { signal: question.signal });
    return reply.ok ? await reply.json() : null;
  } catch {
    // The stream of events tells that the server cannot be reached.
    return null;
  } finally {
    if (asked.get(name) === question) asked.delete(name);
  }
}
