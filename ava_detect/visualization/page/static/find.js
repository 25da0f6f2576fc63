// Search: the filter, the panel that sets it, and the list of occurrences.
"use strict";

/** Which actions, scores and people are shown. */
AvaPage.Filter = class {
  /** `meta`: the value of the piece "meta" of a video. */
  constructor(meta) {
    this.meta = meta;
    this.lowest = Math.ceil(20 * meta.minScore - 1e-6) / 20;
    this.reset();
  }

  /** Show everything; the ground truth stays on or off. */
  reset() {
    this.query = "";
    this.chosen = new Set();
    this.kinds = new Set(this.meta.actions.map(action => action.kind));
    this.allKinds = this.kinds.size;
    this.minScore = Math.max(0.3, this.lowest);
    this.person = null;
    this.errorsOnly = false;
    this.truth ??= Boolean(this.meta.truth); // ground truth that was given is shown
    this.update();
  }

  /** Call after a change: computes the selected actions (`active`: their indices; null if all are selected). */
  update() {
    const { actions } = this.meta;
    this.version = (this.version ?? 0) + 1; // results computed with an earlier version are stale
    this.threshold = Math.round(1000 * this.minScore);
    const ofKind = index => this.kinds.has(actions[index].kind);
    const all = actions.map((_, index) => index);
    if (this.chosen.size) this.active = all.filter(index => this.chosen.has(index) && ofKind(index));
    else if (this.query) this.active = all.filter(index => ofKind(index) && this.matches(index));
    else this.active = this.kinds.size < this.allKinds ? all.filter(ofKind) : null;
    this.activeSet = this.active && new Set(this.active);
  }

  /** Whether every word of the query is in the action's name. */
  matches(index) {
    const name = this.meta.actions[index].name.toLowerCase();
    return this.query.toLowerCase().split(/\s+/).every(word => name.includes(word));
  }

  /** Whether the filter selects less than everything. */
  get isSearching() { return this.active !== null || this.person !== null || this.errorsOnly; }

  get isChanged() { return this.isSearching || this.query !== ""; }

  /** Whether an action is selected. */
  isMeant(index) { return this.activeSet === null || this.activeSet.has(index); }

  showsPerson(track) { return this.person === null || this.person === track; }

  /** Whether entry i of an action's columns passes the filters of score and person. */
  showsEntry(data, i) { return data.score[i] >= this.threshold && this.showsPerson(data.track[i]); }

  /** Whether entry i of the ground truth of an action is missed: its predicted score is below the threshold. */
  isMissed(truth, i) { return truth.believed[i] < this.threshold && this.showsPerson(truth.track[i]); }

  /** The actions of a person that pass the filter, by descending score. */
  rowsOf(person) {
    return person.actions.filter(({ action, score, mark }) => this.isMeant(action) && Math.round(1000 * score) >= this.threshold
      && !(this.errorsOnly && mark !== 0));
  }

  /** Indices of the missed actions of a true person; `mark`: the predicted score, in thousandths. */
  missedOf(person) {
    return person.actions.filter(({ action, mark }) => this.isMeant(action) && mark < this.threshold).map(({ action }) => action);
  }

  /** Occurrences: runs of consecutive keyframes on which one person does one selected action, in time order. `columns`: Map action index -> data. */
  hits(columns) {
    const hits = [];
    const { times, spacing, truth } = this.meta;
    for (const [index, data] of columns) {
      const open = new Map();
      for (let i = 0; i < data.keyframe.length; i++) {
        const mark = this.truth && data.mark ? data.mark[i] : -1;
        if (!this.showsEntry(data, i) || (this.errorsOnly && mark !== 0)) continue;
        this.#extend(hits, open, { action: index, track: data.track[i], mark }, data.keyframe[i], times, spacing, data.score[i] / 1000);
      }
      if (!this.truth || !data.truth) continue;
      const missing = new Map();
      for (let i = 0; i < data.truth.keyframe.length; i++) {
        if (!this.isMissed(data.truth, i)) continue;
        const hit = { action: index, track: data.truth.track[i], mark: "missed" };
        this.#extend(hits, missing, hit, data.truth.keyframe[i], truth.times, truth.spacing, 0);
      }
    }
    return hits.sort((a, b) => a.start - b.start || a.action - b.action || a.track - b.track);
  }

  /** Append a keyframe to the open run of its track, or start a new run. */
  #extend(hits, open, hit, keyframe, times, spacing, score) {
    const last = open.get(hit.track);
    if (last && last.keyframe === keyframe - 1 && last.mark === hit.mark) {
      Object.assign(last, { keyframe, end: times[keyframe], count: last.count + 1, best: Math.max(last.best, score) });
      return;
    }
    const first = { ...hit, keyframe, start: times[keyframe], end: times[keyframe], count: 1, best: score, spacing };
    open.set(hit.track, first);
    hits.push(first);
  }
};

/** The panel of the filter, and the list of occurrences. */
AvaPage.FindPanel = class {
  static PAGE = 200;

  /** `source`: an AvaPage.FoundActions, or another one with its methods. `onChange()`: the filter has changed; `onJump(seconds)`: an occurrence was chosen. */
  constructor(meta, filter, source, { onChange, onJump }) {
    Object.assign(this, { meta, filter, source, onChange, onJump, hits: [], shown: AvaPage.FindPanel.PAGE, current: null });
    for (const [name, id] of Object.entries({
      query: "query", kinds: "kinds", score: "score", scoreText: "score-text", person: "person", errors: "errors",
      list: "actions", reset: "reset", status: "hits-status", hitList: "hits", more: "more",
    })) this[name] = document.getElementById(id);
    this.#build();
    this.#show();
  }

  #build() {
    const { el, KINDS } = AvaPage;
    const { filter, meta } = this;
    const present = Object.keys(KINDS).filter(kind => filter.kinds.has(kind));
    for (const kind of present) {
      const box = el("input", { type: "checkbox", checked: true, value: kind });
      box.addEventListener("change", () => {
        if (box.checked) filter.kinds.add(kind);
        else filter.kinds.delete(kind);
        this.changed();
      });
      this.kinds.append(el("label", { className: "switch" }, box, " ", AvaPage.kindMark(kind), ` ${kind}`));
    }
    this.kinds.hidden = present.length < 2;
    this.#listPeople();
    this.score.min = filter.lowest;
    this.query.addEventListener("input", () => { filter.query = this.query.value.trim(); this.changed(); });
    this.score.addEventListener("input", () => { filter.minScore = Number(this.score.value); this.changed(); });
    this.person.addEventListener("change", () => this.choosePerson(this.person.value === "" ? null : Number(this.person.value)));
    this.errors.addEventListener("change", () => { filter.errorsOnly = this.errors.checked; this.changed(); });
    this.reset.addEventListener("click", () => { filter.reset(); this.changed(); this.query.focus(); });
    this.more.addEventListener("click", () => { this.shown += AvaPage.FindPanel.PAGE; this.#showHits(); });
  }

  /** Offer the people of the video, where they are not offered already. */
  #listPeople() {
    const { el, formatTime } = AvaPage, { meta } = this;
    const known = JSON.stringify(meta.tracks);
    if (known === this.offered) return;
    this.offered = known;
    const time = k => formatTime(meta.times[k], false);
    const people = meta.tracks.map(([track, first, last]) => el("option", { value: String(track) }, `${track} (${time(first)} to ${time(last)})`));
    this.person.replaceChildren(el("option", { value: "" }, "everybody"), ...people);
    if (this.filter.person !== null && !meta.tracks.some(([track]) => track === this.filter.person)) this.filter.person = null;
  }

  /** Take the actions from another source. */
  use(source) {
    this.source = source;
    this.changed();
  }

  /** The actions of the source, or the tracks, have changed. */
  sourceChanged() {
    this.#listPeople();
    const { shown } = this;
    this.changed();
    if (shown > this.shown) {
      this.shown = shown;
      this.#showHits();
    }
  }

  /** `track`: the track id; null for all people. */
  choosePerson(track) {
    this.filter.person = track;
    this.changed();
  }

  setQuery(text) {
    this.filter.query = text;
    this.changed();
  }

  /** Apply a change of the filter. */
  changed() {
    this.filter.update();
    this.#show();
    this.onChange();
  }

  #show() {
    const { filter } = this;
    if (this.query.value.trim() !== filter.query) this.query.value = filter.query;
    for (const box of this.kinds.querySelectorAll("input")) box.checked = filter.kinds.has(box.value);
    this.score.parentElement.hidden = !this.source.hasScores;
    this.score.value = filter.minScore;
    this.scoreText.textContent = AvaPage.percent(filter.minScore);
    this.score.setAttribute("aria-valuetext", AvaPage.percent(filter.minScore));
    this.person.value = filter.person ?? "";
    this.errors.checked = filter.errorsOnly;
    this.reset.hidden = !filter.isChanged;
    this.#showActions();
  }

  /** Number of people with an action at the current threshold. */
  countOf(index) { return this.source.count(index, this.filter.minScore); }

  #showActions() {
    const { el, named } = AvaPage;
    const { filter, meta } = this;
    const rows = meta.actions.map((action, index) => ({ ...action, index, seen: this.countOf(index) }))
      .filter(({ index, kind, seen }) => filter.kinds.has(kind) && (filter.query ? filter.matches(index) : seen > 0 || filter.chosen.has(index)))
      .sort((a, b) => b.seen - a.seen || a.index - b.index);
    const focused = document.activeElement?.dataset?.action;
    const items = rows.map(({ index, name, kind, seen }) => {
      const box = el("input", { type: "checkbox", checked: filter.chosen.has(index) });
      box.dataset.action = index;
      box.addEventListener("change", () => {
        if (box.checked) filter.chosen.add(index);
        else filter.chosen.delete(index);
        this.changed();
      });
      return el("li", {}, el("label", {}, box, AvaPage.kindMark(kind), el("span", { className: "name" }, named(name)),
        el("span", { className: "count" }, seen.toLocaleString("en"))));
    });
    if (!items.length) {
      const text = !filter.query ? (this.source.hasScores ? "No action has such a score." : "Nobody does any action.") : `No action of this video is called “${filter.query}”.`;
      items.push(el("li", { className: "soft" }, text));
    }
    this.list.replaceChildren(...items);
    if (focused !== undefined) this.list.querySelector(`[data-action="${focused}"]`)?.focus();
  }

  /** Show occurrences; `hits`: null while their data are loaded. */
  setHits(hits) {
    this.hits = hits ?? [];
    this.shown = AvaPage.FindPanel.PAGE;
    this.#showHits();
    if (hits === null) this.status.textContent = "Loading …";
  }

  #showHits() {
    const { el, named, formatTime } = AvaPage;
    const { filter, meta } = this;
    this.current = null;
    const focused = document.activeElement?.dataset?.hit;
    const clock = seconds => formatTime(seconds, seconds % 1 > 0);
    const items = this.hits.slice(0, this.shown).map((hit, i) => {
      const time = hit.count > 1 ? `${clock(hit.start)} – ${clock(hit.end)}` : clock(hit.start);
      const who = hit.track ? `person ${hit.track}` : "nobody found";
      const marks = { "1": ["✓ right", "right"], "0": ["✗ wrong", "wrong"], missed: ["missed", "wrong"] };
      const verdict = marks[hit.mark] ? [el("span", { className: marks[hit.mark][1] }, marks[hit.mark][0])] : [];
      const score = hit.mark === "missed" || !this.source.hasScores ? [] : [el("span", {}, AvaPage.percent(hit.best))];
      const button = el("button", { type: "button" }, el("span", { className: "time" }, time),
        el("span", { className: "what" }, named(meta.actions[hit.action].short)),
        el("span", { className: "facts" }, el("span", {}, who), ...score, ...verdict));
      button.addEventListener("click", () => this.onJump(hit.start));
      button.dataset.hit = i;
      return el("li", {}, button);
    });
    this.hitList.replaceChildren(...items);
    if (focused !== undefined) this.hitList.querySelector(`[data-hit="${focused}"]`)?.focus();
    this.hitList.hidden = !items.length;
    this.more.hidden = this.hits.length <= this.shown;
    this.more.textContent = `Show more of the ${this.hits.length.toLocaleString("en")}`;
    this.status.textContent = this.#hitsText(filter);
  }

  #hitsText(filter) {
    if (!filter.isSearching) return "Find or tick an action, or choose a person, and every second of it is listed here; n and p go through them.";
    if (!this.hits.length) return "Nowhere in this video.";
    const { times, truth } = this.meta;
    const keyframes = new Set(); // by time, so that keyframes of predictions and of ground truth count once
    for (const hit of this.hits) for (let k = hit.keyframe; k > hit.keyframe - hit.count; k--) keyframes.add((hit.mark === "missed" ? truth.times : times)[k]);
    const unit = this.meta.spacing === 1 ? "second" : "keyframe";
    return `${AvaPage.formatCount(keyframes.size, unit)} in ${AvaPage.formatCount(this.hits.length, "stretch", "stretches")}`;
  }

  /** Highlight the occurrences at a time. */
  markMoment(seconds) {
    const half = this.meta.spacing / 2;
    const found = new Set();
    for (let i = 0; i < Math.min(this.hits.length, this.shown) && this.hits[i].start - half <= seconds; i++) {
      if (seconds <= this.hits[i].end + half) found.add(i);
    }
    const key = [...found].join();
    if (key === this.current) return;
    this.current = key;
    for (const button of this.hitList.querySelectorAll("button")) {
      if (found.has(Number(button.dataset.hit))) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  /** Start of the next (direction 1) or previous (-1) occurrence; without a search, of the next or previous track. */
  neighbour(seconds, direction) {
    const starts = this.filter.isSearching ? this.hits.map(hit => hit.start) : this.meta.tracks.map(track => this.meta.times[track[1]]);
    if (direction > 0) return starts.find(start => start > seconds + 0.02);
    return starts.findLast(start => start < seconds - 0.05);
  }
};
