// The people of a video at any time: keyframes are loaded in pieces as needed, boxes are interpolated between keyframes.
"use strict";

AvaPage.People = class {
  /**
   * `key`: "0001/people" or "0001/truth"; `times`: of the keyframes, seconds; `spacing`: usual distance of keyframes,
   * seconds; `cuts`: times of hard cuts, seconds; `piece`: number of keyframes in a piece; `onLoad()`: a piece has arrived.
   */
  constructor(key, times, spacing, cuts, piece, onLoad, onError) {
    Object.assign(this, { key, times, spacing, cuts, piece, onLoad, onError });
    this.loaded = new Map();
  }

  /** The people of keyframe k; undefined while its piece is loaded. */
  at(k) {
    if (k < 0 || k >= this.times.length) return undefined;
    const number = Math.floor(k / this.piece);
    if (!this.loaded.has(number)) {
      this.loaded.set(number, null);
      AvaPage.load(`${this.key}-${number}`).then(
        value => { this.loaded.set(number, this.#decode(value)); this.onLoad(); }, this.onError,
      );
    }
    return this.loaded.get(number)?.[k % this.piece];
  }

  /**
   * The people at a time; undefined while pieces are loaded. The rules are those of the drawn video
   * (`visualization/motion.py`): a person on both keyframes moves linearly, a person on the nearer one only is held for
   * half the spacing, actions are those of the nearer one, and boxes are not carried across a cut.
   */
  shownAt(seconds) {
    const after = AvaPage.upperBound(this.times, seconds), before = after - 1;
    const hold = this.spacing / 2;
    if (!this.times.length) return [];
    if (before < 0 || after === this.times.length) {
      const only = before < 0 ? after : before;
      return Math.abs(seconds - this.times[only]) > hold ? [] : this.at(only);
    }
    const [first, second] = [this.at(before), this.at(after)];
    this.at(Math.min(after + this.piece / 2, this.times.length - 1)); // prefetch the next piece
    if (!first || !second) return undefined;
    const cut = AvaPage.upperBound(this.cuts, this.times[before]), end = AvaPage.upperBound(this.cuts, this.times[after], cut);
    if (cut < end) {
      if (seconds >= this.cuts[cut] && seconds < this.cuts[end - 1]) return [];
      const [only, time] = seconds < this.cuts[cut] ? [first, this.times[before]] : [second, this.times[after]];
      return Math.abs(seconds - time) <= hold ? only : [];
    }
    const isFirst = seconds < (this.times[before] + this.times[after]) / 2;
    const [near, far] = isFirst ? [first, second] : [second, first];
    const [nearTime, farTime] = isFirst ? [this.times[before], this.times[after]] : [this.times[after], this.times[before]];
    const weight = (seconds - nearTime) / (farTime - nearTime);
    const isHeld = Math.abs(seconds - nearTime) <= hold;
    const shown = [];
    for (const person of near) {
      const target = far.find(other => other.track === person.track)?.box;
      if (target) shown.push({ ...person, box: person.box.map((value, i) => value + weight * (target[i] - value)) });
      else if (isHeld) shown.push(person);
    }
    return shown;
  }

  /** A piece -> people by keyframe: boxes in fractions, scores in 0..1. `row` runs over people, `place` over actions. */
  #decode(value) {
    const keyframes = [];
    let row = 0, place = 0;
    for (const count of value.counts) {
      const people = [];
      for (const end = row + count; row < end; row++) {
        const actions = [];
        for (const last = place + value.actionCount[row]; place < last; place++) {
          actions.push({ action: value.action[place], score: value.actionScore[place] / 1000, mark: value.mark?.[place] ?? -1 });
        }
        people.push({
          track: value.track[row],
          box: value.box.slice(4 * row, 4 * row + 4).map(corner => corner / 10000),
          score: value.score ? value.score[row] / 1000 : null,
          found: value.found?.[row] ?? -1,
          actions,
        });
      }
      keyframes.push(people);
    }
    return keyframes;
  }
};

/** An action piece -> columns in time order: keyframe, track, score; `truth`: the same for the true people, with the predicted score. */
AvaPage.decodeAction = value => {
  const rising = steps => {
    const keyframes = new Int32Array(steps.length);
    let k = 0;
    steps.forEach((step, i) => { keyframes[i] = k += step; });
    return keyframes;
  };
  return {
    keyframe: rising(value.step), track: value.track, score: value.score, mark: value.mark ?? null,
    truth: value.truth
      ? { keyframe: rising(value.truth.step), track: value.truth.track, believed: value.truth.believed } : null,
  };
};

/** What the network found of each action: columns that are loaded as they are needed. */
AvaPage.FoundActions = class {
  /** `key`: key of the video; `meta`: its piece "meta". */
  constructor(key, meta) {
    Object.assign(this, { key, meta, columns: new Map() });
  }

  /** Whether a score can be asked for. */
  get hasScores() { return true; }

  /** The columns of an action; undefined where they are not loaded. */
  get(index) { return this.columns.get(index); }

  /** Load the columns of an action. The network has not found what was added in a review. */
  async load(index) {
    const value = this.meta.actions[index].isAdded ? { step: [], track: [], score: [] } : await AvaPage.load(`${this.key}/action-${index}`);
    this.columns.set(index, AvaPage.decodeAction(value));
  }

  /** Number of people with an action at a score of at least `minScore`. */
  count(index, minScore) { return this.meta.actions[index].histogram[Math.round(20 * minScore)]; }
};
