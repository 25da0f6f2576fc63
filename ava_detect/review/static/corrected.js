// The corrected keyframes of a video, as the server has them and as the user is changing them, and what follows from them.
"use strict";

AvaPage.Corrected = class {
  /** `meta`: the value of the piece "meta"; `actions` of the review that it lacks are added to it. */
  constructor(meta, actions) {
    Object.assign(this, { meta, keyframes: [], late: [], seen: 0, undo: null, redo: null, progress: [0, 0], spans: new Map(), columns: null });
    this.#addActions(actions);
  }

  /** Make every action of the review one of the page's. */
  #addActions(actions) {
    const { meta } = this;
    meta.indexOf = new Map(meta.actions.map((action, index) => [action.id, index]));
    for (const { id, name, kind } of actions) {
      if (meta.indexOf.has(id)) continue;
      meta.indexOf.set(id, meta.actions.length);
      const short = name.replace(/\s*\(.*?\)/g, "").trim() || name;
      meta.actions.push({ id, name, short, kind, histogram: new Array(21).fill(0), isAdded: true });
    }
    this.tickable = new Set(actions.map(({ id }) => meta.indexOf.get(id)));
  }

  /** Take over what the server says of the video. */
  take({ seen, keyframes, undo, redo, progress }) {
    for (const [k, seconds, accepted, people] of keyframes) {
      this.keyframes[k] = { seconds, accepted, people: new Map(people.map(([track, box, ids]) => [track, { track, box, ids }])) };
    }
    Object.assign(this, { seen, undo, redo, progress });
  }

  /** The people of keyframe k as the page draws them. */
  peopleOf(k) {
    const keyframe = this.keyframes[k];
    if (!keyframe) return undefined;
    keyframe.shown ??= [...keyframe.people.values()].map(person => ({
      track: person.track, get box() { return person.box; }, score: null, found: -1, isEdited: true,
      actions: person.ids.map(id => ({ action: this.meta.indexOf.get(id), score: 1, mark: -1 })),
    }));
    return keyframe.shown;
  }

  /** What the network said of a person among those that it found: of the one with the same id, or with the most alike box, since ids may be corrected. */
  hints(found, person) {
    const area = box => Math.max(0, box[2] - box[0]) * Math.max(0, box[3] - box[1]);
    const likeness = ({ box }) => {
      const both = area([0, 1, 2, 3].map(i => (i < 2 ? Math.max : Math.min)(box[i], person.box[i])));
      return both / (area(box) + area(person.box) - both);
    };
    const best = found.toSorted((a, b) => likeness(b) - likeness(a))[0];
    const same = best && likeness(best) > 0.5 ? best : found.find(({ track }) => track === person.track);
    return new Map((same?.actions ?? []).map(({ action, score }) => [action, score]));
  }

  /** Index of the first keyframe with a track. */
  firstOf(track) { return this.spans.get(track)?.[1]; }

  /** The tracks that are on no keyframe together with a track, with their first and last time; the same list until something changes. */
  partners(track) {
    if (this.partnersOf?.track === track) return this.partnersOf.list;
    const { keyframes, spans } = this, [, first, last] = spans.get(track) ?? [track, 0, -1];
    const taken = new Set([track]);
    for (let k = first; k <= last; k++) {
      if (keyframes[k].people.has(track)) for (const other of keyframes[k].people.keys()) taken.add(other);
    }
    const list = [...spans.values()].filter(([other]) => !taken.has(other)).map(([other, from, to]) => [other, keyframes[from].seconds, keyframes[to].seconds]).sort((a, b) => a[0] - b[0]);
    this.partnersOf = { track, list };
    return list;
  }

  /** After a change: find the tracks anew, and write them, the counts and what is accepted into `meta`, for the timeline. */
  describe() {
    const { meta, spans } = this;
    spans.clear();
    this.keyframes.forEach(({ people }, k) => {
      for (const track of people.keys()) {
        const span = spans.get(track);
        if (span) [span[2], span[3]] = [k, span[3] + 1];
        else spans.set(track, [track, k, k, 1]);
      }
    });
    meta.tracks = [...spans.values()].sort((a, b) => a[1] - b[1] || a[0] - b[0]);
    meta.counts = this.keyframes.map(({ people }) => people.size);
    meta.accepted = this.keyframes.map(({ accepted }) => accepted);
    this.columns = this.partnersOf = null;
  }

  /** Whether the actions have scores: they are ticked or not. */
  get hasScores() { return false; }

  /** The people who do an action now, as AvaPage.decodeAction returns those that the network found. */
  get(index) {
    this.columns ??= this.#columns();
    return this.columns[index];
  }

  /** All actions are here. */
  async load() { /* nothing to load */ }

  /** Number of people who do an action. */
  count(index) { return this.get(index).keyframe.length; }

  #columns() {
    const { meta } = this;
    const columns = meta.actions.map(() => ({ keyframe: [], track: [], score: [], mark: null, truth: null }));
    this.keyframes.forEach(({ people }, k) => {
      for (const { track, ids } of people.values()) {
        for (const id of ids) {
          const { keyframe, track: tracks, score } = columns[meta.indexOf.get(id)];
          keyframe.push(k);
          tracks.push(track);
          score.push(1000);
        }
      }
    });
    return columns;
  }
};
