// One clock for the page: the video's where there is one, else a clock of our own, so that boxes play without a picture.
"use strict";

AvaPage.Player = class {
  /**
   * `onFrame(seconds)`: the picture of that moment is on screen. `onState()`: playing, rate or sound has changed.
   * `onFailure(kind)`: the video cannot be had ("missing") or has another length ("length").
   */
  constructor(video, meta, { onFrame, onState, onFailure }) {
    Object.assign(this, { video, meta, onFrame, onState, onFailure });
    this.hasVideo = meta.video !== null;
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

  #setClock(seconds) {
    this.clock.base = seconds;
    if (this.clock.since !== null) this.clock.since = performance.now();
  }

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
    // The frame callback tells which picture is on screen; elsewhere the clock is asked at every repaint.
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

  #tick() {
    if (!this.isPlaying) return;
    this.onFrame(this.time);
    if (!this.hasVideo && this.time >= this.duration) this.pause();
    requestAnimationFrame(() => this.#tick());
  }
};
