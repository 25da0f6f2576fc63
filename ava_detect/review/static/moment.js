// The moment of the review: which keyframe is on the screen, and the way to another one.
"use strict";

AvaPage.Moment = class {
  /** `onLeave()`: another keyframe was asked for. */
  constructor(meta, onLeave) {
    // `k`: index of the keyframe on the screen, null while the video plays and between keyframes; `aim`: of the one on the way.
    Object.assign(this, { meta, onLeave, k: null, aim: null, shownAt: 0 });
    this.video = document.getElementById("video");
  }

  /** `jump(seconds)`: shows another time. */
  attach(player, jump) {
    Object.assign(this, { player, jump });
  }

  /**
   * The time whose boxes are drawn over the frame of a time: of a keyframe where the video is paused on one. The keyframe is told by
   * the player's clock, because the frame of a keyframe may begin long before it.
   */
  timeShown(seconds) {
    const { times, fps, spacing } = this.meta, { player } = this;
    if (player.isPlaying || this.isSeeking) {
      if (player.isPlaying) this.k = null;
      return this.k === null ? seconds : times[this.k];
    }
    const k = AvaPage.Moment.#nearest(times, player.time);
    const isThere = k >= 0 && Math.abs(times[k] - player.time) <= Math.min(Math.max(0.5 / fps, 0.012), spacing / 2);
    this.k = isThere ? k : null;
    if (isThere) return times[k];
    // In a gap of a video of variable rate browsers report frames that are not on the screen.
    return Math.abs(player.time - seconds) <= 1.5 / fps ? seconds : player.time;
  }

  /** The page shows the frame of a time. */
  arrive(seconds) {
    this.shownAt = seconds;
    if (!this.isSeeking) this.aim = null;
  }

  /** Whether the picture of the time that was chosen is still to come. */
  get isSeeking() {
    return this.player.hasVideo && (this.video.seeking || this.video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA);
  }

  /** Index of the keyframe that is nearest to the time on the screen; -1 without keyframes. */
  get nearest() { return AvaPage.Moment.#nearest(this.meta.times, this.shownAt); }

  static #nearest(times, seconds) {
    const after = AvaPage.upperBound(times, seconds);
    if (after === times.length || after === 0) return Math.min(after, times.length - 1);
    return seconds - times[after - 1] <= times[after] - seconds ? after - 1 : after;
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
    this.onLeave();
    if (this.player.isPlaying) this.player.pause();
    if (k < 0) return;
    this.aim = k;
    this.jump(this.meta.times[k]);
  }
};
