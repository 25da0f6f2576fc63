// Saving: events of the edit mode go to the server, and what it answers is taken over.
"use strict";

AvaPage.Saving = class {
  /**
   * `key`, `meta`: of the video; `state`: an AvaPage.Corrected; `on`: `state(state, reason)` of the connection, `change(kind, value)`: keyframes
   * have changed, by an event of this kind of the page (null: by others), `sentence(text)` to be told; `isBusy()`: whether the user is in the middle of a change.
   */
  constructor(key, meta, state, review, on) {
    Object.assign(this, { key, meta, state, on });
    this.connection = new AvaPage.Connection(review, on.state);
  }

  #ask(more = "") {
    return AvaPage.Connection.ask(`api/videos/${this.key}?session=${this.connection.session}${more}`);
  }

  /** Send what a page that was closed could not send, then fetch the keyframes. Returns a sentence on it, or "". */
  async open() {
    const { answers, isWhole } = await this.connection.sendKept();
    this.state.take(await this.#ask());
    const refused = answers.find(({ status }) => status !== 200);
    if (!isWhole) return "A change of an earlier window is still not saved.";
    if (refused) return `A change of an earlier window could not be saved: ${refused.value.reason}.`;
    return answers.length ? `${AvaPage.formatCount(answers.length, "change")} of an earlier window saved.` : "";
  }

  /** Send an event of keyframe k; `details` may be a function that makes them when its turn comes, or null. Returns the answer, or null. */
  send(kind, k, details = {}) {
    const { seconds } = this.state.keyframes[k];
    const make = () => {
      const made = typeof details === "function" ? details() : details;
      return made && { seen: this.state.seen, video: this.meta.id, kind, seconds, ...made };
    };
    return this.connection.send(this.key, make, answer => this.#answered(kind, answer));
  }

  async #answered(kind, { status, value, isLast }) {
    if (status !== 200) {
      await this.reload();
      this.on.sentence(`Not changed: ${value.reason}. This is how it is now.`);
      return null;
    }
    // Until all is saved, what the user has done since is shown, and not what the server knew before.
    this.state.late.push(...value.keyframes);
    this.state.take({ ...value, keyframes: isLast ? this.state.late.splice(0) : [] });
    this.on.sentence("");
    this.on.change(kind, value);
    return value;
  }

  /** Ask for what other windows have changed, unless a change of this one is on its way. */
  async update() {
    const isFree = () => this.connection.isIdle && !this.on.isBusy();
    if (!isFree()) return;
    try {
      const state = await this.#ask(`&seen=${this.state.seen}`);
      if (!isFree()) return;
      this.state.take(state);
      this.on.change(null, state);
    } catch (error) {
      this.on.sentence(error.message);
    }
  }

  /** Show again what the server knows. */
  async reload() {
    try {
      this.state.take(await this.#ask());
    } catch (error) {
      this.on.sentence(error.message);
    }
    this.state.late = [];
    this.on.change(null, null);
  }
};
