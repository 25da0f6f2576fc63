// The edit mode: connects its parts, and shows what has become of the keyframes.
"use strict";

AvaPage.Editor = class {
  static MOST_FREQUENT = 9;
  static REFIND_MILLISECONDS = 200; // after the last change the timeline and Find follow

  /** Fetch the review and the corrected keyframes of a video; adds the actions that may be ticked to `meta`. */
  static async open(key, meta) {
    const editor = new AvaPage.Editor(key, meta, await AvaPage.Connection.ask("api/review"));
    editor.keptNote = await editor.saving.open();
    return editor;
  }

  constructor(key, meta, review) {
    Object.assign(this, { key, meta, selected: null });
    this.state = new AvaPage.Corrected(meta, review.actions);
    this.saving = new AvaPage.Saving(key, meta, this.state, review, {
      state: (state, reason) => this.panel?.showSaved(state, reason), sentence: text => this.panel.say(text),
      change: (kind, value) => this.#changed(kind, value), isBusy: () => Boolean(this.layer.drag || this.commands.moving),
    });
    this.commands = new AvaPage.Commands(this);
    this.moment = new AvaPage.Moment(meta, () => this.commands.flush());
  }

  get k() { return this.moment.k; }

  /**
   * Connect to the parts of the page: `people`, `player`, `timeline`; `find`: an AvaPage.FindPanel. `refresh()` draws the frame on the screen
   * again, `jump(seconds)` shows another time, `say(sentence)` adds a notice.
   */
  attach({ people, player, timeline, find, refresh, jump, say }) {
    Object.assign(this, { player, timeline, find, refresh });
    this.moment.attach(player, jump);
    this.found = people.at.bind(people); // what the network said, while its piece is there
    people.at = k => {
      this.found(k); // loads what the network said
      return this.state.peopleOf(k);
    };
    const { commands, moment } = this;
    this.panel = new AvaPage.ReviewPanel(this.meta, this.#frequent(), {
      back: () => moment.go(-1), forward: () => moment.go(1), undo: () => commands.shift("undo"), redo: () => commands.shift("redo"),
      accept: () => commands.accept(), next: () => commands.next(), add: () => commands.add(), select: track => this.select(track),
      copy: () => commands.copy(), remove: () => commands.remove(), split: () => commands.split(), join: into => commands.join(into),
      tick: (index, isOn) => commands.tick(index, isOn),
    });
    this.layer = new AvaPage.BoxLayer(document.getElementById("stage"), {
      onSelect: track => { if (track !== this.selected) this.select(track, false); },
      onChange: (track, box) => { this.person(track).box = box; this.refresh(); },
      onEnd: (track, box) => commands.moved(track, box),
      onDrawn: box => commands.drawn(box),
    });
    this.keys = new AvaPage.ReviewKeys(this);
    this.keys.describe(document.querySelector("#keys dl"));
    document.getElementById("overlay").classList.add("below-boxes");
    document.querySelector(".people").hidden = true;
    this.panel.showProgress(this.state.progress);
    this.panel.showSaved(this.saving.connection.state, "");
    if (this.keptNote) say(this.keptNote);
    this.#watchWindow();
    this.state.describe();
    this.#addSource();
  }

  /** Find and the lanes of actions are about the corrected people; on demand about what the network found, by its scores. */
  #addSource() {
    const { el } = AvaPage, { find } = this, found = find.source;
    const box = el("input", { type: "checkbox", id: "find-found", autocomplete: "off" });
    box.addEventListener("change", () => find.use(box.checked ? found : this.state));
    document.getElementById("kinds").before(el("label", { className: "switch" }, box, " What the network found"));
    this.timeline.retrack();
    find.use(this.state);
  }

  /** Indices of the actions that get a digit as their key: those that the network found most often. */
  #frequent() {
    const { actions } = this.meta;
    const often = (index, level) => actions[index].histogram[level];
    return [...this.state.tickable].sort((a, b) => often(b, 10) - often(a, 10) || often(b, 2) - often(a, 2) || a - b).slice(0, AvaPage.Editor.MOST_FREQUENT);
  }

  #watchWindow() {
    // The first picture may come without any other event.
    for (const name of ["loadeddata", "canplay", "seeked"]) document.getElementById("video").addEventListener(name, () => this.refresh());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.saving.update();
      else this.commands.flush();
    });
    window.addEventListener("pagehide", () => this.commands.flush());
    window.addEventListener("focus", () => this.saving.update());
    window.addEventListener("beforeunload", event => { if (!this.saving.connection.isIdle) event.preventDefault(); });
  }

  /** The person with a track id on the keyframe; undefined where there is none. */
  person(track) { return this.k === null ? undefined : this.state.keyframes[this.k]?.people.get(track); }

  /** The time whose boxes are drawn over the frame of a time. */
  timeShown(seconds) { return this.moment.timeShown(seconds); }

  /** The page shows the frame of a time. */
  onFrame(seconds) {
    this.moment.arrive(seconds);
    if (this.k !== this.lastK) {
      if (this.lastK !== undefined) this.commands.flush();
      if (this.layer.isDrawing) this.layer.cancel();
      this.panel.say("");
      this.lastK = this.k;
    }
    this.show();
  }

  /** Show the keyframe and the selected person. */
  show() {
    const { k, meta, state } = this;
    const keyframe = k === null ? null : state.keyframes[k];
    if (keyframe && !keyframe.people.has(this.selected)) this.selected = null;
    const person = keyframe?.people.get(this.selected) ?? null;
    const people = keyframe && [...keyframe.people.values()].map(one => {
      const names = one.ids.map(id => meta.actions[meta.indexOf.get(id)].short).join(", ") || "no action";
      return { track: one.track, box: one.box, name: `Person ${one.track}: ${names}. Arrow keys move the box, with Shift they resize it.`, colour: AvaPage.trackColour(meta, one.track) };
    });
    this.layer.show(people, this.selected);
    this.panel.show({
      k, nearest: this.moment.nearest, keyframe, undo: state.undo, redo: state.redo, isDrawing: this.layer.isDrawing, isPlaying: this.player.isPlaying,
      person: person && { ...person, isBefore: state.firstOf(person.track) < k },
      hints: person ? state.hints(this.found(k) ?? [], person) : null, partners: person ? state.partners(person.track) : [],
    });
  }

  select(track, isFocused = true) {
    this.commands.flush();
    this.selected = track;
    this.show();
    if (isFocused && track !== null) this.layer.focus(track);
  }

  /** Show everything that follows from the keyframes. */
  #changed(kind, value) {
    if (["add", "split", "join"].includes(kind)) this.selected = value.person;
    this.panel.showProgress(this.state.progress);
    this.state.describe();
    this.refresh();
    clearTimeout(this.refinding);
    this.refinding = setTimeout(() => {
      this.timeline.retrack();
      this.find.sourceChanged();
    }, AvaPage.Editor.REFIND_MILLISECONDS);
  }

  /** Whether the edit mode has used a key. */
  onKey(event) { return this.keys.use(event); }

  /** Whether the edit mode has used a click on the video: while it is paused, clicks go to boxes, or to the nearest keyframe. */
  onStageClick() {
    if (this.player.isPlaying) return false;
    if (this.k === null) this.moment.goTo(this.moment.nearest);
    return true;
  }
};
