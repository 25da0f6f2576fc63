// Playback: the clock of the video, or a clock of its own where there is no video, so that the boxes play without it.
"use strict";

AvaPage.Player = class {
  /**
   * `onFrame(seconds)`: the frame of this time is on screen. `onState()`: playing, rate or sound has changed.
   * `onFailure(kind)`: the video cannot be played ("missing") or has another length than expected ("length").
   */
  constructor(video, meta, { onFrame, onState, onFailure }) {
    Object.assign(this, { video, meta, onFrame, onState, onFailure });
    this.hasVideo = meta.video !== null;
    // Without a video the time is `base` plus the time since `since` (milliseconds; null while paused) times `rate`.
    this.clock = { base: 0, since: null, rate: 1 };
    if (this.hasVideo) this.#wire();
    else this.video.hidden = true;
  }

  get time() {
    if (this.hasVideo) return this.video.currentTime;
    const { base, since, rate } = this.clock;
    return since === null ? base : Math.min(base + rate * (performance.now() - since) / 1000, this.duration);
  }

  get duration() {
    return this.hasVideo && Number.isFinite(this.video.duration) ? this.video.duration : this.meta.duration;
  }

  get isPlaying() {
    return this.hasVideo ? !this.video.paused && !this.video.ended : this.clock.since !== null;
  }

  get rate() { return this.hasVideo ? this.video.playbackRate : this.clock.rate; }

  set rate(value) {
    this.#setClock(this.time);
    this.clock.rate = value;
    if (this.hasVideo) this.video.playbackRate = value;
    this.onState();
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play() {
    if (this.time >= this.duration - 0.01) this.seek(0);
    if (this.hasVideo) this.video.play().catch(() => this.onState());
    else {
      this.clock.since = performance.now();
      this.#tick();
    }
    this.onState();
  }

  pause() {
    if (this.hasVideo) this.video.pause();
    else {
      this.clock.base = this.time;
      this.clock.since = null;
    }
    this.onState();
  }

  seek(seconds) {
    const target = Math.min(Math.max(seconds, 0), Math.max(0, this.duration - 0.001));
    if (this.hasVideo) this.video.currentTime = target;
    else {
      this.#setClock(target);
      this.onFrame(target);
    }
    this.onState();
  }

  /** Set the own clock to a time; it goes on running if it was running. */
  #setClock(seconds) {
    this.clock.base = seconds;
    if (this.clock.since !== null) this.clock.since = performance.now();
  }

  /** Attach to the events of the video. */
  #wire() {
    const { video } = this;
    for (const name of ["play", "pause", "ended", "ratechange", "volumechange", "seeking"]) {
      video.addEventListener(name, () => this.onState());
    }
    video.addEventListener("loadedmetadata", () => {
      if (Math.abs(video.duration - this.meta.duration) > 0.5) this.onFailure("length");
      this.onState();
    });
    video.addEventListener("error", () => {
      this.clock.base = video.currentTime;
      this.hasVideo = false;
      video.hidden = true;
      this.onFailure("missing");
      this.onState();
    });
    // The frame callback gives the time of the frame on screen; browsers without it read the clock at every repaint.
    if (video.requestVideoFrameCallback) {
      const next = (_, frame) => {
        this.onFrame(frame.mediaTime);
        video.requestVideoFrameCallback(next);
      };
      video.requestVideoFrameCallback(next);
    } else {
      video.addEventListener("play", () => this.#tick());
    }
    video.addEventListener("seeked", () => { if (video.paused) this.onFrame(video.currentTime); });
    video.src = this.meta.video;
  }

  /** Report the time at every repaint while playing. */
  #tick() {
    if (!this.isPlaying) return;
    this.onFrame(this.time);
    if (!this.hasVideo && this.time >= this.duration) this.pause();
    requestAnimationFrame(() => this.#tick());
  }
};
