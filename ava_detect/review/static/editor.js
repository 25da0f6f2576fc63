// The edit mode: turns what the user does into events, and shows what has become of the keyframes.
"use strict";

AvaPage.Editor = class {
  static MOST_FREQUENT = 9;
  static IDLE_MILLISECONDS = 600; // after the last arrow key the box is saved

  /** Fetch the review and the corrected keyframes of a video; adds the actions that may be ticked to `meta`. */
  static async open(key, meta) {
    const review = await AvaPage.Connection.ask("api/review");
    const editor = new AvaPage.Editor(key, meta, review);
    await editor.#sendKept();
    editor.state.take(await AvaPage.Connection.ask(`api/videos/${key}?session=${editor.connection.session}`));
    return editor;
  }

  constructor(key, meta, review) {
    Object.assign(this, { key, meta, review, selected: null, shownAt: 0, moving: null, aim: null, k: null, repeats: 0 });
    this.state = new AvaPage.Corrected(meta, review.actions);
    this.connection = new AvaPage.Connection(review, (state, reason) => this.panel?.showSaved(state, reason));
  }

  /** Connect to the parts of the page. */
  attach(parts) {
    Object.assign(this, parts);
    const { people, meta } = this;
    this.found = people.at.bind(people); // what the network said, while its piece is there
    people.at = k => {
      this.found(k); // loads what the network said
      return this.state.peopleOf(k);
    };
    const often = (index, level) => meta.actions[index].histogram[level];
    const frequent = meta.actions.map((_, index) => index).filter(index => this.state.tickable.has(index))
      .sort((a, b) => often(b, 10) - often(a, 10) || often(b, 2) - often(a, 2) || a - b).slice(0, AvaPage.Editor.MOST_FREQUENT);
    this.panel = new AvaPage.ReviewPanel(meta, frequent, {
      back: () => this.go(-1), forward: () => this.go(1), undo: () => this.#shift("undo"), redo: () => this.#shift("redo"),
      accept: () => this.#accept(), next: () => this.#next(), add: () => this.#add(), select: track => this.select(track),
      copy: () => this.#copy(), remove: () => this.#remove(), split: () => this.#split(), join: into => this.#join(into), tick: (index, isOn) => this.#tick(index, isOn),
    });
    this.layer = new AvaPage.BoxLayer(document.getElementById("stage"), {
      onSelect: track => { if (track !== this.selected) this.select(track, false); },
      onChange: (track, box) => { this.#person(track).box = box; this.refresh(); },
      onEnd: (track, box) => this.#moved(track, box),
      onDrawn: box => this.#drawn(box),
    });
    this.#addKeys(frequent);
    document.getElementById("overlay").classList.add("below-boxes");
    document.querySelector(".people").hidden = true;
    this.panel.showProgress(this.state.progress);
    this.panel.showSaved(this.connection.state, "");
    if (this.keptNote) this.say(this.keptNote);
    // The first picture may come without any other event.
    for (const name of ["loadeddata", "canplay", "seeked"]) document.getElementById("video").addEventListener(name, () => this.refresh());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#update();
      else this.#flush();
    });
    window.addEventListener("pagehide", () => this.#flush());
    window.addEventListener("focus", () => this.#update());
    window.addEventListener("beforeunload", event => { if (!this.connection.isIdle) event.preventDefault(); });
    this.#showTracks();
  }

  /** Events of a page that was closed before the server had them. */
  async #sendKept() {
    const { answers, isWhole } = await this.connection.sendKept();
    const refused = answers.filter(({ status }) => status !== 200);
    if (!isWhole) this.keptNote = "A change of an earlier window is still not saved.";
    else if (refused.length) this.keptNote = `A change of an earlier window could not be saved: ${refused[0].value.reason}.`;
    else if (answers.length) this.keptNote = `${AvaPage.formatCount(answers.length, "change")} of an earlier window saved.`;
  }

  /**
   * The time whose boxes are drawn over the frame of a time: of a keyframe where the video is paused on one. The keyframe is told by
   * the player's clock, because the frame of a keyframe may begin long before it. `k` is its index; null while the video plays and between keyframes.
   */
  timeShown(seconds) {
    const { times, fps, spacing } = this.meta, { player } = this;
    if (player.isPlaying || this.isSeeking) {
      if (player.isPlaying) this.k = null;
      return this.k === null ? seconds : times[this.k];
    }
    const k = AvaPage.Editor.#nearest(times, player.time);
    const isThere = k >= 0 && Math.abs(times[k] - player.time) <= Math.min(Math.max(0.5 / fps, 0.012), spacing / 2);
    this.k = isThere ? k : null;
    if (isThere) return times[k];
    // In a gap of a video of variable rate browsers report frames that are not on the screen.
    return Math.abs(player.time - seconds) <= 1.5 / fps ? seconds : player.time;
  }

  /** Whether the picture of the time that was chosen is still to come. */
  get isSeeking() {
    const video = document.getElementById("video");
    return this.player.hasVideo && (video.seeking || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA);
  }

  get nearest() { return AvaPage.Editor.#nearest(this.meta.times, this.shownAt); }

  static #nearest(times, seconds) {
    const after = AvaPage.upperBound(times, seconds);
    if (after === times.length || after === 0) return Math.min(after, times.length - 1);
    return seconds - times[after - 1] <= times[after] - seconds ? after - 1 : after;
  }

  #person(track) { return this.k === null ? undefined : this.state.keyframes[this.k]?.people.get(track); }

  /** The page shows the frame of a time. */
  onFrame(seconds) {
    this.shownAt = seconds;
    if (!this.isSeeking) this.aim = null;
    const { k } = this;
    if (k !== this.lastK) {
      if (this.lastK !== undefined) this.#flush();
      if (this.layer.isDrawing) this.layer.cancel();
      this.panel.say("");
      this.lastK = k;
    }
    this.#show();
  }

  #show() {
    const { k, meta } = this;
    const keyframe = k === null ? null : this.state.keyframes[k];
    if (keyframe && !keyframe.people.has(this.selected)) this.selected = null;
    const person = keyframe?.people.get(this.selected) ?? null;
    const people = keyframe && [...keyframe.people.values()].map(one => {
      const names = one.ids.map(id => meta.actions[meta.indexOf.get(id)].short).join(", ") || "no action";
      return { track: one.track, box: one.box, name: `Person ${one.track}: ${names}. Arrow keys move the box, with Shift they resize it.`, colour: AvaPage.trackColour(meta, one.track) };
    });
    this.layer.show(people, this.selected);
    this.panel.show({
      k, nearest: this.nearest, keyframe, undo: this.state.undo, redo: this.state.redo, isDrawing: this.layer.isDrawing, isPlaying: this.player.isPlaying,
      person: person && { ...person, isBefore: this.state.keyframes.slice(0, k).some(other => other.people.has(person.track)) },
      hints: person ? this.state.hints(this.found(k) ?? [], person) : null, partners: person ? this.state.partners(person.track) : [],
    });
  }

  /** The lanes of the timeline follow the corrected tracks. */
  #showTracks() {
    this.state.describe();
    this.timeline.retrack();
  }

  select(track, isFocused = true) {
    this.#flush();
    this.selected = track;
    this.#show();
    if (isFocused && track !== null) this.layer.focus(track);
  }

  /** Go `steps` keyframes forward. */
  go(steps) {
    const { times } = this.meta;
    const from = this.aim ?? this.nearest; // a key may be pressed again before the video has got there
    const isOnTheWay = this.aim === null && this.k === null && Math.sign(times[from] - this.shownAt) === Math.sign(steps);
    const target = isOnTheWay ? from : from + steps;
    this.goTo(Math.min(Math.max(target, 0), times.length - 1));
  }

  goTo(k) {
    this.#flush();
    if (this.player.isPlaying) this.player.pause();
    if (k < 0) return;
    this.aim = k;
    this.jump(this.meta.times[k]);
  }

  /** Send an event of keyframe k; `details` may be a function that makes them when its turn comes, or null. Returns the answer, or null. */
  #send(kind, k, details = {}) {
    const { seconds } = this.state.keyframes[k];
    const make = () => {
      const made = typeof details === "function" ? details() : details;
      return made && { seen: this.state.seen, video: this.meta.id, kind, seconds, ...made };
    };
    return this.connection.send(this.key, make, answer => this.#answered(kind, answer));
  }

  async #answered(kind, { status, value, isLast }) {
    if (status !== 200) {
      await this.#reload();
      this.panel.say(`Not changed: ${value.reason}. This is how it is now.`);
      return null;
    }
    // Until all is saved, what the user has done since is shown, and not what the server knew before.
    this.state.late.push(...value.keyframes);
    this.state.take({ ...value, keyframes: isLast ? this.state.late.splice(0) : [] });
    this.panel.say("");
    if (["add", "split", "join"].includes(kind)) this.selected = value.person;
    this.#shownAnew();
    return value;
  }

  /** Show everything that follows from the keyframes. */
  #shownAnew() {
    this.panel.showProgress(this.state.progress);
    this.#showTracks();
    this.refresh();
  }

  /** Ask for what other windows have changed. */
  async #update() {
    if (!this.connection.isIdle || this.layer.drag || this.moving) return;
    try {
      const state = await AvaPage.Connection.ask(`api/videos/${this.key}?session=${this.connection.session}&seen=${this.state.seen}`);
      if (!this.connection.isIdle || this.layer.drag || this.moving) return;
      this.state.take(state);
      this.#shownAnew();
    } catch (error) {
      this.panel.say(error.message);
    }
  }

  /** A box was dragged to its place; null: back to where it was. */
  #moved(track, box) {
    const { k } = this;
    if (k === null) return;
    if (box) {
      this.#person(track).box = box;
      this.#send("move", k, { person: track, box });
    } else this.#reload();
    this.refresh();
  }

  /** Show again what the server knows. */
  async #reload() {
    try {
      this.state.take(await AvaPage.Connection.ask(`api/videos/${this.key}?session=${this.connection.session}`));
    } catch (error) {
      this.panel.say(error.message);
    }
    this.state.late = [];
    this.#shownAnew();
  }

  /** An arrow key on a box; it is saved after a pause. */
  #step(event) {
    const person = this.#person(this.layer.focused);
    if (!person) return false;
    this.repeats = event.repeat ? this.repeats + 1 : 0;
    const pixels = this.repeats > 20 ? 12 : this.repeats > 6 ? 4 : 1;
    person.box = this.layer.stepped(person.box, event.key, event.shiftKey, pixels);
    clearTimeout(this.moving?.timer);
    this.moving = { k: this.k, track: person.track, box: person.box, timer: setTimeout(() => this.#flush(), AvaPage.Editor.IDLE_MILLISECONDS) };
    this.refresh();
    return true;
  }

  /** Save a box that was moved by keys. */
  #flush() {
    if (!this.moving) return;
    const { k, track, box, timer } = this.moving;
    clearTimeout(timer);
    this.moving = null;
    this.#send("move", k, { person: track, box });
  }

  #shift(kind) {
    if (!this.state.keyframes.length) return;
    this.#flush();
    this.#send(kind, 0, () => {
      const next = this.state[kind];
      if (!next) return null;
      this.shiftedTo = next[1];
      return { event: next[0], seconds: this.state.keyframes[next[1]].seconds };
    }).then(done => { if (done && this.k !== this.shiftedTo) this.goTo(this.shiftedTo); });
  }

  async #accept() {
    const { k } = this;
    if (k === null || this.isAccepting || this.isSeeking) return; // nothing is accepted that was not seen
    this.#flush();
    this.isAccepting = true;
    const isDone = await this.#send(this.state.keyframes[k].accepted ? "unaccept" : "accept", k);
    this.isAccepting = false;
    if (isDone && this.state.keyframes[k].accepted) this.#next();
  }

  /** Go to the keyframe that is to be reviewed next, in this video or another one. */
  async #next() {
    this.#flush();
    let next;
    try {
      next = await AvaPage.Connection.ask(`api/next?video=${this.key}&keyframe=${Math.max(this.nearest, 0)}`);
    } catch (error) {
      this.panel.say(error.message);
      return;
    }
    if (next.video === null) this.panel.say("All other keyframes are accepted.");
    else if (next.video === this.key) this.goTo(this.state.keyframes.findIndex(({ seconds }) => seconds === next.seconds));
    else {
      location.hash = `v=${next.video}&t=${next.seconds}`;
      location.reload();
    }
  }

  #add() {
    if (this.k === null) return;
    this.#flush();
    if (this.layer.isDrawing) {
      this.layer.cancel();
      return;
    }
    this.select(null);
    this.layer.startDrawing();
    this.#show();
    this.panel.say("Draw a box around the person. Enter puts one in the middle, Escape gives up.");
  }

  async #drawn(box) {
    this.panel.say("");
    this.#show();
    if (box && this.k !== null && await this.#send("add", this.k, { box })) this.layer.focus(this.selected);
  }

  #remove() {
    const { k, selected } = this;
    if (k === null || selected === null) return;
    this.moving = null;
    this.#send("delete", k, { person: selected });
  }

  #split() {
    const { k, selected } = this;
    if (k === null || selected === null) return;
    this.#flush();
    this.#send("split", k, { person: selected });
  }

  #join(into) {
    const { k, selected } = this;
    if (k === null || selected === null || !this.state.partners(selected).some(([track]) => track === into)) return;
    this.#flush();
    this.#send("join", k, { person: selected, into });
  }

  /** Copy the selected person, or all, to the next keyframe, and go there. */
  async #copy() {
    const { k, selected } = this;
    if (k === null || k + 1 >= this.state.keyframes.length) return;
    this.#flush();
    const who = selected === null ? {} : { person: selected };
    if (!await this.#send("copy", k, { to_seconds: this.state.keyframes[k + 1].seconds, ...who })) return;
    this.goTo(k + 1);
  }

  #tick(index, isOn) {
    const { k } = this, person = this.#person(this.selected);
    if (!person || !this.state.tickable.has(index)) return;
    this.#flush();
    const { id } = this.meta.actions[index];
    person.ids = [...person.ids.filter(other => other !== id), ...isOn ? [id] : []].sort((a, b) => a - b);
    this.state.keyframes[k].shown = undefined;
    this.#send("actions", k, { person: person.track, ids: person.ids });
    this.refresh();
  }

  #tickFrequent(digit) {
    const index = this.panel.frequent[digit - 1], person = this.#person(this.selected);
    if (index === undefined || !person) return;
    this.#tick(index, !person.ids.includes(this.meta.actions[index].id));
  }

  /** Select the next person of the keyframe. */
  #cycle() {
    const { k } = this;
    if (k === null) return;
    const tracks = [...this.state.keyframes[k].people.keys()].sort((a, b) => a - b);
    if (tracks.length) this.select(tracks[(tracks.indexOf(this.selected) + 1) % tracks.length]);
  }

  #escape() {
    if (this.layer.drag || this.layer.isDrawing) this.layer.cancel();
    else if (this.selected !== null) {
      this.select(null);
      document.activeElement?.blur();
    } else return false;
    return true;
  }

  /** Whether the edit mode has used a key. */
  onKey(event) {
    const { key, target } = event;
    const isShortcut = event.ctrlKey || event.metaKey;
    if (target.matches("input[type=search], select, textarea") || target.closest("dialog") || event.altKey) {
      if (key !== "Escape" || !target.matches("#review-query")) return false;
      target.blur();
      return true;
    }
    const keys = isShortcut ? { z: () => this.#shift(event.shiftKey ? "redo" : "undo"), Z: () => this.#shift("redo"), y: () => this.#shift("redo") } : {
      j: () => this.go(1), k: () => this.go(-1), z: () => this.#shift("undo"), y: () => this.#shift("redo"), o: () => this.#next(), i: () => this.#add(),
      b: () => this.#cycle(), c: () => this.#copy(), s: () => this.#split(), t: () => this.panel.partner.focus(), a: () => this.panel.query.focus(),
      u: () => { if (this.k !== null && this.state.keyframes[this.k].accepted) this.#accept(); },
      Delete: () => this.#remove(), Backspace: () => this.#remove(),
    };
    let isUsed = false;
    if (key === "Escape") isUsed = this.#escape();
    else if (key.startsWith("Arrow") && !isShortcut) isUsed = this.layer.focused !== null && this.#step(event);
    else if (key === "Enter" && !isShortcut && !target.matches("button, a, summary")) {
      if (this.layer.isDrawing) this.layer.finish();
      else if (this.k !== null && this.state.keyframes[this.k].accepted) this.#next();
      else this.#accept();
      isUsed = true;
    } else if (/^[1-9]$/.test(key) && !isShortcut) {
      this.#tickFrequent(Number(key));
      isUsed = true;
    } else if (keys[key]) {
      keys[key]();
      isUsed = true;
    }
    if (isUsed) event.preventDefault();
    return isUsed;
  }

  /** Whether the edit mode has used a click on the video: while it is paused, clicks go to boxes, or to the nearest keyframe. */
  onStageClick() {
    if (this.player.isPlaying) return false;
    if (this.k === null) this.goTo(this.nearest);
    return true;
  }

  /** Put the keys of the edit mode into the list of keys. */
  #addKeys(frequent) {
    const { el } = AvaPage;
    const rows = [
      ["j", "k", "next and previous keyframe"], ["⏎", "accept the keyframe and go to the next to review"], ["u", "take the acceptance back"],
      ["o", "next keyframe to review"], ["b", "next person of the keyframe"], ["← → ↑ ↓", "move the box; with Shift resize it"],
      [`1 – ${frequent.length}`, "tick or untick a frequent action"], ["a", "find an action to tick"], ["i", "add a person"], ["⌫", "delete the person"],
      ["c", "copy the person, or all, to the next keyframe"], ["s", "from here on, this is another person"], ["t", "choose who is the same person"], ["z", "y", "undo and redo"], ["Esc", "give up, or select nobody"],
    ].map(words => el("div", {}, el("dt", {}, ...words.slice(0, -1).flatMap(word => [el("kbd", {}, word), " "])), el("dd", {}, words.at(-1))));
    document.querySelector("#keys dl").prepend(...rows);
  }
};
