// The corrected keyframes of a video, as the server has them and as the user is changing them.
"use strict";

AvaPage.Corrected = class {
  /** `meta`: the value of the piece "meta"; `actions` of the review that it lacks are added to it. */
  constructor(meta, actions) {
    Object.assign(this, { meta, keyframes: [], late: [], seen: 0, undo: null, redo: null, progress: [0, 0] });
    this.#addActions(actions);
  }

  /** Make every action of the review one of the page's. */
  #addActions(actions) {
    const { meta } = this;
    this.added = [];
    meta.indexOf = new Map(meta.actions.map((action, index) => [action.id, index]));
    for (const { id, name, kind } of actions) {
      if (meta.indexOf.has(id)) continue;
      meta.indexOf.set(id, meta.actions.length);
      this.added.push(meta.actions.length);
      const short = name.replace(/\s*\(.*?\)/g, "").trim() || name;
      meta.actions.push({ id, name, short, kind, histogram: new Array(21).fill(0) });
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

  /** The tracks that are on no keyframe together with a track, with their first and last time. */
  partners(track) {
    const spans = new Map(), taken = new Set([track]);
    for (const { seconds, people } of this.keyframes) {
      for (const other of people.keys()) {
        spans.set(other, [spans.get(other)?.[0] ?? seconds, seconds]);
        if (people.has(track)) taken.add(other);
      }
    }
    return [...spans].filter(([other]) => !taken.has(other)).map(([other, [first, last]]) => [other, first, last]).sort((a, b) => a[0] - b[0]);
  }

  /** Write tracks, counts and what is accepted into `meta`, for the timeline. */
  describe() {
    const { meta } = this, spans = new Map();
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
  }
};
