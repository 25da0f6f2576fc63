// The keys of the edit mode.
"use strict";

AvaPage.ReviewKeys = class {
  /** `editor`: the AvaPage.Editor. */
  constructor(editor) {
    this.editor = editor;
    const { commands, moment, panel } = editor;
    this.plain = {
      j: () => moment.go(1), k: () => moment.go(-1), z: () => commands.shift("undo"), y: () => commands.shift("redo"), o: () => commands.next(),
      i: () => commands.add(), b: () => commands.cycle(), c: () => commands.copy(), s: () => commands.split(), t: () => panel.partner.focus(),
      a: () => panel.query.focus(), u: () => { if (this.#isAccepted) commands.accept(); }, Delete: () => commands.remove(), Backspace: () => commands.remove(),
    };
    const redo = () => commands.shift("redo");
    this.withControl = { z: event => commands.shift(event.shiftKey ? "redo" : "undo"), Z: redo, y: redo };
  }

  get #isAccepted() {
    const { k, state } = this.editor;
    return k !== null && state.keyframes[k].accepted;
  }

  /** Whether the edit mode has used a key. */
  use(event) {
    const { key, target } = event;
    if (target.matches("input[type=search], select, textarea") || target.closest("dialog") || event.altKey) {
      const isLeft = key === "Escape" && target.matches("#review-query, #review-partner");
      if (isLeft) target.blur();
      return isLeft;
    }
    const isUsed = event.ctrlKey || event.metaKey ? this.#call(this.withControl, event) : this.#press(event);
    if (isUsed) event.preventDefault();
    return isUsed;
  }

  #call(keys, event) {
    keys[event.key]?.(event);
    return keys[event.key] !== undefined;
  }

  #press(event) {
    const { key, target } = event, { commands, layer } = this.editor;
    if (key === "Escape") return commands.escape();
    if (key.startsWith("Arrow")) return layer.focused !== null && commands.step(event);
    if (key === "Enter" && !target.matches("button, a, summary")) {
      if (layer.isDrawing) layer.finish();
      else if (this.#isAccepted) commands.next();
      else commands.accept();
      return true;
    }
    if (/^[1-9]$/.test(key)) {
      commands.tickFrequent(Number(key));
      return true;
    }
    return this.#call(this.plain, event);
  }

  /** Put the keys into a list of keys, an element `dl`. */
  describe(list) {
    const { el } = AvaPage;
    const rows = [
      ["j", "k", "next and previous keyframe"], ["⏎", "accept the keyframe and go to the next to review"], ["u", "take the acceptance back"],
      ["o", "next keyframe to review"], ["b", "next person of the keyframe"], ["← → ↑ ↓", "move the box; with Shift resize it"],
      [`1 – ${this.editor.panel.frequent.length}`, "tick or untick a frequent action"], ["a", "find an action to tick"], ["i", "add a person"], ["⌫", "delete the person"],
      ["c", "copy the person, or all, to the next keyframe"], ["s", "from here on, this is another person"], ["t", "choose who is the same person"], ["z", "y", "undo and redo"], ["Esc", "give up, or select nobody"],
    ].map(words => el("div", {}, el("dt", {}, ...words.slice(0, -1).flatMap(word => [el("kbd", {}, word), " "])), el("dd", {}, words.at(-1))));
    list.prepend(...rows);
  }
};
