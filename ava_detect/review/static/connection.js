// The connection to the review server: events are sent one after another, kept until they are saved, and sent again.
"use strict";

/** The state of a connection: "saved", "saving", or why changes are not saved now: "lost", "restarted", "refused". */
AvaPage.Connection = class {
  static RETRY_MILLISECONDS = 2000;

  /** `review`: the value of api/review. `onState(state, reason)`: whether everything is saved has changed. */
  constructor(review, onState) {
    Object.assign(this, { review, onState, queue: [], isSending: false, state: "saved" });
    this.session = AvaPage.Connection.#session();
    this.prefix = `ava-review:${review.id}:`;
  }

  /** Ask the server for a value; an error says what to do. */
  static async ask(path) {
    let response;
    try {
      response = await fetch(path, { cache: "no-store" });
    } catch {
      throw new Error("The review server does not answer: start ava-detect review again, and open the address that it prints.");
    }
    if (!response.ok) throw new Error("The review was started again or has ended: open the address that ava-detect review prints.");
    return response.json();
  }

  /** The name of this window for its undo and redo; a reload keeps it. */
  static #session() {
    const fresh = Array.from(crypto.getRandomValues(new Uint8Array(8)), byte => byte.toString(16).padStart(2, "0")).join("");
    try {
      const known = sessionStorage.getItem("ava-review-session") ?? fresh;
      sessionStorage.setItem("ava-review-session", known);
      return known;
    } catch {
      return fresh;
    }
  }

  get isIdle() { return !this.queue.length && !this.isSending; }

  /**
   * Send an event of a video. `make()`: the event without session and call when its turn comes, or null for none. The event
   * is kept in the browser until the server has it. `take(answer)`: called before the next event is made; `answer` is
   * { status, value, isLast }, `isLast` whether no other event waits. Returns a promise of what `take` returns, or of null.
   */
  send(key, make, take) {
    return new Promise(resolve => {
      const number = crypto.getRandomValues(new Uint32Array(2));
      const call = 1 + (number[0] & 0x1fffff) * 2 ** 32 + number[1];
      this.queue.push({ key, make, take, resolve, call });
      this.#run();
    });
  }

  /** The events that an earlier page could not send, of all windows of this review. */
  async sendKept() {
    const kept = [];
    try {
      for (const name of Object.keys(localStorage).filter(key => key.startsWith(this.prefix))) {
        const event = JSON.parse(localStorage.getItem(name));
        if (event) kept.push({ name, ...event }); // null where another window has just sent it
      }
    } catch { /* without storage nothing was kept */ }
    kept.sort((a, b) => a.at - b.at);
    const answers = [];
    for (const { name, key, body } of kept) {
      const answer = await this.#post(key, body);
      if (!answer) return { answers, isWhole: false };
      this.#keep(name, null);
      answers.push(answer);
    }
    return { answers, isWhole: true };
  }

  async #run() {
    if (this.isSending) return;
    this.isSending = true;
    while (this.queue.length) {
      const { key, make, take, resolve, call } = this.queue[0];
      const made = make();
      if (made === null) {
        this.queue.shift();
        resolve(null);
        continue;
      }
      const body = { session: this.session, call, ...made };
      this.#keep(`${this.prefix}${call}`, JSON.stringify({ key, body, at: Date.now() }));
      this.#tell("saving");
      let answer;
      while (!(answer = await this.#post(key, body))) await new Promise(done => setTimeout(done, AvaPage.Connection.RETRY_MILLISECONDS));
      this.#keep(`${this.prefix}${call}`, null);
      this.queue.shift();
      resolve(await take({ ...answer, isLast: !this.queue.length }));
    }
    this.isSending = false;
    this.#tell("saved");
  }

  /** Post an event; null where the server has not taken it, and it has to be sent again. */
  async #post(key, body) {
    try {
      const response = await fetch(`api/videos/${key}/events`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), keepalive: true });
      if ([200, 400, 409].includes(response.status)) return { status: response.status, value: await response.json() };
      if (response.status === 404) this.#tell("restarted");
      else this.#tell("refused", response.status === 507 ? (await response.json()).reason : `the server answers ${response.status}`);
    } catch {
      this.#tell("lost");
    }
    return null;
  }

  #keep(name, text) {
    try {
      if (text === null) localStorage.removeItem(name);
      else localStorage.setItem(name, text);
    } catch { /* the event is in memory only */ }
  }

  #tell(state, reason = "") {
    this.state = state;
    this.onState(state, reason);
  }
};
