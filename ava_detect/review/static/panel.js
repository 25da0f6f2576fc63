// The panel of the review: progress, the keyframe, its people, and the actions of the selected one.
"use strict";

AvaPage.ReviewPanel = class {
  /** `meta`: the value of the piece "meta"; `frequent`: indices of the actions that have a digit as key; `on`: what the buttons do, by name. */
  constructor(meta, frequent, on) {
    Object.assign(this, { meta, frequent, on, rows: new Map() });
    const { el } = AvaPage;
    const button = (name, text, key, call) => {
      const element = el("button", { type: "button", id: `review-${name}` }, text);
      if (key) {
        element.append(" ", el("kbd", { "aria-hidden": "true" }, key));
        element.setAttribute("aria-keyshortcuts", { "⏎": "Enter", "⌫": "Delete" }[key] ?? key);
      }
      element.addEventListener("click", call);
      this[name] = element;
      return element;
    };
    this.bar = el("progress", { max: 1, value: 0, "aria-label": "Accepted keyframes" });
    this.count = el("p", { id: "review-count" });
    this.saved = el("p", { id: "review-saved", role: "status" });
    this.moment = el("p", { id: "review-moment", role: "status" });
    this.said = el("p", { id: "review-said", role: "status", hidden: true });
    this.who = el("ul", { className: "who-list" });
    this.query = el("input", { type: "search", id: "review-query", placeholder: "all actions", "aria-label": "Find an action to tick", autocomplete: "off" });
    this.actions = el("ul", { className: "actions ticks", id: "review-actions" });
    this.partner = el("select", { id: "review-partner", "aria-label": "The same person as" });
    this.ofPerson = el("div", { className: "of-person", id: "review-person" },
      el("h3", { id: "review-name" }),
      el("div", { className: "buttons" },
        button("copy", "Copy to next", "c", on.copy), button("remove", "Delete", "⌫", on.remove), button("split", "Split from here", "s", on.split)),
      el("label", { className: "choose", id: "review-join-label" }, "Same as ", this.partner), button("join", "Join", "", () => on.join(Number(this.partner.value))),
      this.query, this.actions);
    this.root = el("section", { className: "review", id: "review", "aria-labelledby": "review-heading" },
      el("div", { className: "review-head" }, el("h2", { id: "review-heading" }, "Review"), this.saved),
      el("div", { className: "review-progress" }, this.bar, this.count),
      this.moment,
      el("div", { className: "buttons" },
        button("back", "Keyframe", "k", on.back), button("forward", "Keyframe", "j", on.forward), button("undo", "Undo", "z", on.undo), button("redo", "Redo", "y", on.redo)),
      el("div", { className: "buttons wide" }, button("accept", "Accept", "⏎", on.accept), button("next", "Next to review", "o", on.next)),
      this.said,
      el("div", { className: "who-head" }, el("h3", {}, "People"), button("add", "Add", "i", on.add)),
      this.who, this.ofPerson);
    this.accept.classList.add("main");
    this.back.prepend("‹ ");
    this.back.setAttribute("aria-label", "Previous keyframe");
    this.forward.firstChild.replaceWith("Keyframe ›");
    this.forward.setAttribute("aria-label", "Next keyframe");
    meta.actions.forEach((action, index) => this.#addRow(action, index));
    this.query.addEventListener("input", () => this.#filterRows());
    const side = document.querySelector(".side");
    side.prepend(this.root);
  }

  #addRow({ name, kind }, index) {
    const { el, named, kindMark } = AvaPage;
    const box = el("input", { type: "checkbox" });
    box.addEventListener("change", () => this.on.tick(index, box.checked));
    const hint = el("span", { className: "count" });
    const digit = this.frequent.indexOf(index);
    const key = digit < 0 ? [] : [el("kbd", { "aria-hidden": "true" }, String(digit + 1))];
    const item = el("li", {}, el("label", {}, box, kindMark(kind), el("span", { className: "name" }, named(name)), el("span", { className: "facts" }, hint, ...key)));
    if (digit >= 0) box.setAttribute("aria-keyshortcuts", String(digit + 1));
    this.rows.set(index, { item, box, hint });
  }

  /** `progress`: accepted and all keyframes to review. */
  showProgress([accepted, all]) {
    this.bar.max = Math.max(all, 1);
    this.bar.value = accepted;
    this.count.textContent = `${accepted.toLocaleString("en")} of ${AvaPage.formatCount(all, "keyframe")} accepted`;
  }

  /** `state`: of the connection; `reason`: why an event was refused. */
  showSaved(state, reason) {
    const text = {
      saved: "Saved", saving: "Saving …",
      lost: "Not saved: the server does not answer. The change is kept here and sent again. If the server has ended, start ava-detect review again.",
      restarted: "Not saved: the review was started again. Open the address that it printed; the change is kept and sent from there.",
      refused: `Not saved: ${reason}. It is tried again.`,
    }[state];
    if (this.saved.textContent !== text) this.saved.textContent = text;
    this.saved.classList.toggle("wrong", !["saved", "saving"].includes(state));
  }

  /** Say a sentence until the next change; an empty one takes it away. */
  say(text) {
    this.said.textContent = text;
    this.said.hidden = !text;
  }

  /**
   * `k`: index of the keyframe, null between keyframes; `nearest`: of the nearest one; `keyframe`: what is on it; `person`: the selected one or
   * null; `hints`: what the network said, action index -> score; `partners`: tracks to join with, each with first and last time; `isDrawing`.
   */
  show({ k, nearest, keyframe, person, hints, partners, undo, redo, isDrawing, isPlaying }) {
    const { meta } = this;
    const here = `${nearest + 1} of ${meta.times.length}, ${AvaPage.formatTime(meta.times[nearest] ?? 0)}`;
    const isHere = k !== null;
    const verdict = keyframe?.accepted ? "accepted" : "not accepted";
    const text = isHere ? `Keyframe ${here}: ${verdict}` : isPlaying ? "Pause on a keyframe to correct it." : `Between keyframes; the nearest is ${here}.`;
    if (this.moment.textContent !== text) this.moment.textContent = text;
    this.moment.classList.toggle("right", isHere && keyframe.accepted);
    this.accept.firstChild.textContent = keyframe?.accepted ? "Take back" : "Accept";
    this.accept.lastChild.textContent = keyframe?.accepted ? "u" : "⏎";
    this.accept.setAttribute("aria-keyshortcuts", keyframe?.accepted ? "u" : "Enter");
    this.accept.classList.toggle("main", !keyframe?.accepted);
    for (const name of ["accept", "add"]) this[name].disabled = !isHere;
    this.back.disabled = nearest <= 0 && isHere;
    this.forward.disabled = nearest >= meta.times.length - 1 && isHere;
    this.undo.disabled = !undo;
    this.redo.disabled = !redo;
    this.add.setAttribute("aria-pressed", String(isDrawing));
    this.#showPeople(isHere ? keyframe : null, person);
    this.ofPerson.hidden = !person;
    if (person) this.#showPerson(k, person, hints, partners);
  }

  #showPeople(keyframe, selected) {
    const { el } = AvaPage;
    const people = [...keyframe?.people ?? []].sort(([a], [b]) => a - b);
    const key = JSON.stringify([keyframe?.seconds ?? null, selected?.track ?? null, people.map(([track, { ids }]) => [track, ids])]);
    if (key === this.listed) return;
    this.listed = key;
    const focused = document.activeElement?.dataset?.who;
    const items = people.map(([track, person]) => {
      const isChosen = track === selected?.track;
      const names = person.ids.map(id => this.meta.actions[this.meta.indexOf.get(id)].short).join(", ") || "no action";
      const button = el("button", { type: "button", className: "who", "aria-pressed": String(isChosen) }, `${track} `, el("span", {}, AvaPage.named(names)));
      button.style.setProperty("--track-colour", AvaPage.trackColour(this.meta, track));
      button.setAttribute("aria-label", `Person ${track}: ${names}`);
      button.dataset.who = track;
      button.addEventListener("click", () => this.on.select(isChosen ? null : track));
      return el("li", {}, button);
    });
    if (keyframe && !items.length) items.push(el("li", { className: "soft" }, "Nobody. Accept the keyframe if that is right."));
    this.who.replaceChildren(...items);
    if (focused !== undefined) this.who.querySelector(`[data-who="${focused}"]`)?.focus();
  }

  #showPerson(k, person, hints, partners) {
    const isOther = this.shown !== `${k} ${person.track}`;
    this.shown = `${k} ${person.track}`;
    document.getElementById("review-name").textContent = `Person ${person.track}`;
    this.copy.disabled = k >= this.meta.times.length - 1;
    this.split.disabled = !person.isBefore;
    this.#offerPartners(partners, isOther);
    for (const part of [this.partner.parentElement, this.join]) part.hidden = !partners.length;
    const ticked = new Set(person.ids.map(id => this.meta.indexOf.get(id)));
    for (const [index, { box, hint, item }] of this.rows) {
      box.checked = ticked.has(index);
      hint.textContent = hints.has(index) ? AvaPage.percent(hints.get(index)) : "";
      item.classList.toggle("ticked", box.checked);
    }
    if (!isOther) return;
    this.query.value = "";
    // The frequent ones keep their place; the others by what is ticked, and what the network said.
    const weight = index => (ticked.has(index) ? 2 : 0) + (hints.get(index) ?? 0);
    const others = [...this.rows.keys()].filter(index => !this.frequent.includes(index)).sort((a, b) => weight(b) - weight(a) || a - b);
    this.actions.replaceChildren(...[...this.frequent, ...others].map(index => this.rows.get(index).item));
    this.#filterRows();
  }

  /** Offer the tracks to join with; there may be many, so they are made anew only where they have changed. */
  #offerPartners(partners, isOther) {
    if (partners === this.partners) return;
    this.partners = partners;
    const { el, formatTime } = AvaPage, chosen = this.partner.value;
    const options = partners.map(([track, first, last]) => el("option", { value: String(track) }, `${track} (${formatTime(first, false)} to ${formatTime(last, false)})`));
    this.partner.replaceChildren(...options);
    if (!isOther && partners.some(([track]) => String(track) === chosen)) this.partner.value = chosen;
  }

  #filterRows() {
    const words = this.query.value.trim().toLowerCase().split(/\s+/);
    for (const [index, { item }] of this.rows) {
      const name = this.meta.actions[index].name.toLowerCase();
      item.hidden = !words.every(word => name.includes(word));
    }
  }
};
