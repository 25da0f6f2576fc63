// The people of a video at any moment: pieces of keyframes loaded as they are needed, boxes moved between keyframes.
"use strict";

AvaPage.People = class {
  /** `key`: "0001/people" or "0001/truth"; `times`: of all keyframes; `cuts`: of the video; `piece`: keyframes in a piece. */
  constructor(key, times, spacing, cuts, piece, onLoad, onError) {
    Object.assign(this, { key, times, spacing, cuts, piece, onLoad, onError });
    this.loaded = new Map();
  }

  /** The people of keyframe k; undefined while they are being loaded. */
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
   * Everybody to be shown at a moment; undefined while pieces are missing. The rule is that of the drawn video
   * (`visualization/motion.py`): who is on both keyframes moves in a straight line, who is on the nearer one
   * alone is held for half a keyframe, with the actions of the nearer one; nobody is carried across a cut.
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
    this.at(Math.min(after + this.piece / 2, this.times.length - 1)); // ahead of need
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

/** Where one action is believed of whom, as columns in time order; `truth`: where it is true, and how far believed. */
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
