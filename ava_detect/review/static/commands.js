// What a user can do in the edit mode: each command becomes an event.
"use strict";

AvaPage.Commands = class {
  static IDLE_MILLISECONDS = 600; // after the last arrow key the box is saved

  /** `editor`: the AvaPage.Editor, whose selected person and keyframe the commands are about. */
  constructor(editor) {
    // `moving`: the box that arrow keys are moving, and what saves it; null for none.
    Object.assign(this, { editor, moving: null, repeats: 0 });
  }

  get #k() { return this.editor.k; }
  get #selected() { return this.editor.selected; }

  #send(kind, k, details) { return this.editor.saving.send(kind, k, details); }

  /** A box was dragged to its place; null: back to where it was. */
  moved(track, box) {
    const { editor } = this;
    if (this.#k === null) return;
    if (box) {
      editor.person(track).box = box;
      this.#send("move", this.#k, { person: track, box });
    } else editor.saving.reload();
    editor.refresh();
  }

  /** An arrow key on a box; it is saved after a pause. Whether it was used. */
  step(event) {
    const { layer } = this.editor;
    const person = this.editor.person(layer.focused);
    if (!person) return false;
    this.repeats = event.repeat ? this.repeats + 1 : 0;
    const pixels = this.repeats > 20 ? 12 : this.repeats > 6 ? 4 : 1;
    person.box = layer.stepped(person.box, event.key, event.shiftKey, pixels);
    clearTimeout(this.moving?.timer);
    this.moving = { k: this.#k, track: person.track, box: person.box, timer: setTimeout(() => this.flush(), AvaPage.Commands.IDLE_MILLISECONDS) };
    this.editor.refresh();
    return true;
  }

  /** Save a box that was moved by keys. */
  flush() {
    if (!this.moving) return;
    const { k, track, box, timer } = this.moving;
    clearTimeout(timer);
    this.moving = null;
    this.#send("move", k, { person: track, box });
  }

  /** `kind`: "undo" or "redo". */
  shift(kind) {
    const { editor } = this, { state } = editor;
    if (!state.keyframes.length) return;
    this.flush();
    let target;
    this.#send(kind, 0, () => {
      if (!state[kind]) return null;
      const [event, k] = state[kind];
      target = k;
      return { event, seconds: state.keyframes[k].seconds };
    }).then(done => { if (done && this.#k !== target) editor.moment.goTo(target); });
  }

  /** Accept the keyframe and go on, or take the acceptance back. */
  async accept() {
    const { state, moment } = this.editor, k = this.#k;
    if (k === null || this.isAccepting || moment.isSeeking) return; // nothing is accepted that was not seen
    this.flush();
    this.isAccepting = true;
    const isDone = await this.#send(state.keyframes[k].accepted ? "unaccept" : "accept", k);
    this.isAccepting = false;
    if (isDone && state.keyframes[k].accepted) this.next();
  }

  /** Go to the keyframe that is to be reviewed next, in this video or another one. */
  async next() {
    const { editor } = this, { key, moment, state } = editor;
    this.flush();
    let next;
    try {
      next = await AvaPage.Connection.ask(`api/next?video=${key}&keyframe=${Math.max(moment.nearest, 0)}`);
    } catch (error) {
      editor.panel.say(error.message);
      return;
    }
    if (next.video === null) editor.panel.say("All other keyframes are accepted.");
    else if (next.video === key) moment.goTo(state.keyframes.findIndex(({ seconds }) => seconds === next.seconds));
    else {
      location.hash = `v=${next.video}&t=${next.seconds}`;
      location.reload();
    }
  }

  /** Wait for the box of a new person, or stop waiting. */
  add() {
    const { editor } = this, { layer } = editor;
    if (this.#k === null) return;
    this.flush();
    if (layer.isDrawing) {
      layer.cancel();
      return;
    }
    editor.select(null);
    layer.startDrawing();
    editor.show();
    editor.panel.say("Draw a box around the person. Enter puts one in the middle, Escape gives up.");
  }

  /** A box was drawn; null: given up. */
  async drawn(box) {
    const { editor } = this;
    editor.panel.say("");
    editor.show();
    if (box && this.#k !== null && await this.#send("add", this.#k, { box })) editor.layer.focus(this.#selected);
  }

  remove() {
    if (this.#k === null || this.#selected === null) return;
    clearTimeout(this.moving?.timer);
    this.moving = null;
    this.#send("delete", this.#k, { person: this.#selected });
  }

  /** From the keyframe on, the selected person is another one. */
  split() {
    if (this.#k === null || this.#selected === null) return;
    this.flush();
    this.#send("split", this.#k, { person: this.#selected });
  }

  /** The selected person is the same as another one. */
  join(into) {
    if (this.#k === null || this.#selected === null || !this.editor.state.partners(this.#selected).some(([track]) => track === into)) return;
    this.flush();
    this.#send("join", this.#k, { person: this.#selected, into });
  }

  /** Copy the selected person, or all, to the next keyframe, and go there. */
  async copy() {
    const { moment, state } = this.editor, k = this.#k;
    if (k === null || k + 1 >= state.keyframes.length) return;
    this.flush();
    const who = this.#selected === null ? {} : { person: this.#selected };
    if (await this.#send("copy", k, { to_seconds: state.keyframes[k + 1].seconds, ...who })) moment.goTo(k + 1);
  }

  /** The selected person does an action, or does not. */
  tick(index, isOn) {
    const { editor } = this, { state } = editor, person = editor.person(this.#selected);
    if (!person || !state.tickable.has(index)) return;
    this.flush();
    const { id } = editor.meta.actions[index];
    person.ids = [...person.ids.filter(other => other !== id), ...isOn ? [id] : []].sort((a, b) => a - b);
    state.keyframes[this.#k].shown = undefined;
    this.#send("actions", this.#k, { person: person.track, ids: person.ids });
    editor.refresh();
  }

  /** Tick or untick the action with a digit as its key. */
  tickFrequent(digit) {
    const { editor } = this;
    const index = editor.panel.frequent[digit - 1], person = editor.person(this.#selected);
    if (index === undefined || !person) return;
    this.tick(index, !person.ids.includes(editor.meta.actions[index].id));
  }

  /** Select the next person of the keyframe. */
  cycle() {
    if (this.#k === null) return;
    const tracks = [...this.editor.state.keyframes[this.#k].people.keys()].sort((a, b) => a - b);
    if (tracks.length) this.editor.select(tracks[(tracks.indexOf(this.#selected) + 1) % tracks.length]);
  }

  /** Give up what is begun, or select nobody. Whether there was anything. */
  escape() {
    const { layer } = this.editor;
    if (layer.drag || layer.isDrawing) layer.cancel();
    else if (this.#selected !== null) {
      this.editor.select(null);
      document.activeElement?.blur();
    } else return false;
    return true;
  }
};
