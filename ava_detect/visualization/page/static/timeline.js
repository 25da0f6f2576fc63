// The timeline: tracks and actions as lanes on a canvas, for any part of the video, with at most one bar per pixel.
"use strict";

AvaPage.Timeline = class {
  /** `onSeek(seconds)`: the user has pointed at a time. */
  constructor(meta, onSeek) {
    this.meta = meta;
    this.onSeek = onSeek;
    for (const [name, id] of Object.entries({ root: "timeline", overview: "overview", lanes: "lanes", playhead: "playhead", status: "times-status" })) {
      this[name] = document.getElementById(id);
    }
    this.duration = Math.max(meta.duration, 0.1);
    [this.from, this.to] = [0, this.duration];
    this.now = 0;
    this.personLanes = this.#packTracks();
    this.most = meta.counts.reduce((most, count) => Math.max(most, count), 1);
    this.actions = [];
    this.#wirePointer(this.overview, () => [0, this.duration]);
    this.#wirePointer(this.lanes, () => [this.from, this.to]);
    this.lanes.addEventListener("wheel", event => this.#wheel(event), { passive: false });
  }

  /** `actions`: the lanes, each with `index`, `name`, `kind`, and `data` once it is loaded; `filter`: an AvaPage.Filter. */
  show(actions, filter) {
    this.actions = actions;
    this.filter = filter;
    this.draw();
  }

  /** The tracks and counts of `meta` have changed; `show` or `draw` shows them. */
  retrack() {
    this.personLanes = this.#packTracks();
    this.most = this.meta.counts.reduce((most, count) => Math.max(most, count), 1);
  }

  /** Move the playhead; the visible part follows it. */
  moveTo(seconds, isPlaying) {
    this.now = seconds;
    const length = this.to - this.from;
    if ((seconds < this.from || seconds > this.to) && length < this.duration) {
      const start = isPlaying ? seconds - 0.05 * length : seconds - 0.5 * length;
      this.#setStretch(start, length);
    }
    this.#movePlayhead();
  }

  /** Multiply the length of the visible part by `factor`, with the time `around` at the same position. */
  zoom(factor, around = this.now) {
    const length = Math.min(Math.max((this.to - this.from) * factor, Math.min(4, this.duration)), this.duration);
    const share = (Math.min(Math.max(around, this.from), this.to) - this.from) / (this.to - this.from);
    this.#setStretch(around - share * length, length);
  }

  zoomAll() { this.#setStretch(0, this.duration); }

  /** Show the part from `start`, of `length` seconds. */
  #setStretch(start, length) {
    this.from = Math.min(Math.max(start, 0), this.duration - length);
    this.to = this.from + length;
    this.draw();
  }

  /** Assign tracks to lanes greedily: tracks that do not overlap in time share a lane. */
  #packTracks() {
    const ends = [], laneOf = [];
    for (const [, first, last] of this.meta.tracks) {
      let lane = ends.findIndex(end => end < first);
      if (lane < 0) lane = ends.push(-1) - 1;
      ends[lane] = last;
      laneOf.push(lane);
    }
    return { count: ends.length, laneOf };
  }

  /** Draw everything; also needed after a change of size or theme. */
  draw() {
    this.width = this.root.clientWidth;
    if (!this.width) return;
    this.gutter = this.width < 600 ? 96 : 168;
    this.colours = AvaPage.coloursOf(
      "--ink", "--soft", "--line", "--panel", "--accent", "--pose", "--object", "--person", "--unknown", "--wrong", "--right", "--track",
    );
    this.#drawOverview();
    this.#drawLanes();
    this.#movePlayhead();
    const whole = this.to - this.from >= this.duration;
    const time = seconds => AvaPage.formatTime(seconds, false);
    this.status.textContent = whole ? `0:00 to ${time(this.duration)}` : `${time(this.from)} to ${time(this.to)} of ${time(this.duration)}`;
  }

  /** Size a canvas for the screen and return its context, in CSS pixels. */
  #prepare(canvas, height) {
    const ratio = window.devicePixelRatio || 1;
    canvas.style.height = `${height}px`;
    canvas.width = Math.round(this.width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';
    context.textBaseline = "middle";
    return context;
  }

  /** Time -> x, CSS pixels; the names of the lanes take `gutter` pixels at the left. */
  #x(seconds, from = this.from, to = this.to) {
    return this.gutter + (seconds - from) / (to - from) * (this.width - this.gutter);
  }

  /** Draw the number of people over the whole video, and a frame around the visible part. */
  #drawOverview() {
    const height = 38, context = this.#prepare(this.overview, height);
    const { times, counts, spacing, accepted } = this.meta;
    context.fillStyle = this.colours.soft;
    context.fillText("people", 0, height / 2);
    const columns = new Float32Array(Math.ceil(this.width - this.gutter));
    // A plain loop: a video of hours has tens of thousands of keyframes.
    const scale = (this.width - this.gutter) / this.duration, half = scale * spacing / 2;
    for (let k = 0; k < times.length; k++) {
      const x1 = scale * times[k] - half, end = Math.min(columns.length, Math.max(x1 + 2 * half, x1 + 1));
      for (let x = Math.max(0, Math.floor(x1)); x < end; x++) if (columns[x] < counts[k]) columns[x] = counts[k];
    }
    context.fillStyle = this.colours.track;
    context.fillRect(this.gutter, 3, this.width - this.gutter, height - 6);
    context.fillStyle = this.colours.accent;
    columns.forEach((count, x) => {
      const bar = (height - 10) * count / this.most;
      if (bar) context.fillRect(this.gutter + x, height - 3 - bar, 1, bar);
    });
    context.fillStyle = this.colours.right;
    for (let k = 0; k < times.length; k++) {
      if (!accepted?.[k]) continue; // what is accepted in a review
      const [x1, x2] = this.#span(k).map(time => this.#x(time, 0, this.duration));
      context.fillRect(x1, 3, Math.max(1, x2 - x1), 4);
    }
    context.strokeStyle = this.colours.ink;
    context.lineWidth = 2;
    const [left, right] = [this.from, this.to].map(t => this.#x(t, 0, this.duration));
    context.strokeRect(left + 1, 2, Math.max(2, right - left - 2), height - 4);
  }

  /** Draw the time axis, the lanes of the tracks and the lanes of the actions. */
  #drawLanes() {
    const row = 22, gap = 4, axis = 20, people = this.personLanes.count;
    const height = axis + (people + this.actions.length) * (row + gap) + (this.actions.length ? 10 : 0) + 4;
    const context = this.#prepare(this.lanes, height);
    this.#drawAxis(context, axis, height);
    const laneTop = lane => axis + lane * (row + gap);
    context.fillStyle = this.colours.track;
    for (let lane = 0; lane < people; lane++) context.fillRect(this.gutter, laneTop(lane), this.width - this.gutter, row);
    if (people) this.#label(context, "who", laneTop(0) + row / 2);
    this.#drawTracks(context, laneTop, row);
    this.actions.forEach((action, i) => {
      const top = laneTop(people + i) + 10;
      this.#label(context, action.name, top + row / 2, action.kind);
      context.fillStyle = this.colours.track;
      context.fillRect(this.gutter, top, this.width - this.gutter, row);
      if (action.data) this.#drawAction(context, action, top, row);
    });
  }

  /** Draw grid lines at the finest step that leaves 72 pixels between two labels. */
  #drawAxis(context, axis, height) {
    const steps = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
    const room = (this.width - this.gutter) / 72;
    const step = steps.find(candidate => (this.to - this.from) / candidate <= room) ?? 7200;
    context.textAlign = "left";
    for (let time = Math.ceil(this.from / step) * step; time <= this.to; time += step) {
      const x = Math.round(this.#x(time)) + 0.5;
      context.fillStyle = this.colours.line;
      context.fillRect(x - 0.5, 2, 1, height - 2);
      context.fillStyle = this.colours.soft;
      if (x < this.width - 28) context.fillText(AvaPage.formatTime(time, step < 1), x + 4, axis / 2);
    }
  }

  /** Write the name of a lane, cut where it is wider than the gutter. */
  #label(context, text, y, kind = null) {
    let x = 0;
    if (kind) {
      context.fillStyle = this.colours[kind];
      context.fillText(AvaPage.KINDS[kind].glyph, 0, y);
      x = 15;
    }
    context.fillStyle = kind ? this.colours.ink : this.colours.soft;
    let shown = text;
    while (shown.length > 2 && context.measureText(shown).width > this.gutter - x - 8) shown = `${shown.replace(/…$/, "").slice(0, -1).trimEnd()}…`;
    context.fillText(shown, x, y);
  }

  /** The time that keyframe k covers: half the spacing on both sides. */
  #span(k) {
    const { times, spacing } = this.meta;
    return [Math.max(times[k] - spacing / 2, 0), Math.min(times[k] + spacing / 2, this.duration)];
  }

  #drawTracks(context, laneTop, row) {
    const { tracks } = this.meta;
    context.textAlign = "left";
    tracks.forEach(([track, first, last], i) => {
      const start = this.#span(first)[0], end = this.#span(last)[1];
      if (end < this.from || start > this.to) return;
      const left = Math.max(this.gutter, this.#x(start)), right = Math.min(this.width, this.#x(end));
      const top = laneTop(this.personLanes.laneOf[i]);
      context.globalAlpha = this.filter && !this.filter.showsPerson(track) ? 0.25 : 1;
      context.fillStyle = AvaPage.trackColour(this.meta, track);
      context.fillRect(left, top, Math.max(1, right - left - (right - left > 3 ? 1 : 0)), row);
      if (right - left > 26) {
        context.fillStyle = "#121216";
        context.fillText(String(track), left + 5, top + row / 2);
      }
      context.globalAlpha = 1;
    });
  }

  /** Draw an action. Each pixel column shows its best score: full height for right and unjudged, the lower part for wrong, an outline for missed. */
  #drawAction(context, action, top, row) {
    const width = Math.ceil(this.width - this.gutter);
    const [plain, wrong, missed] = [0, 0, 0].map(() => new Float32Array(width));
    const fill = (columns, [start, end], value) => {
      if (end <= this.from || start >= this.to) return;
      const first = Math.max(0, Math.floor(this.#x(start) - this.gutter));
      const last = Math.min(width, Math.max(first + 1, Math.ceil(this.#x(end) - this.gutter)));
      for (let x = first; x < last; x++) if (columns[x] < value) columns[x] = value;
    };
    const { data } = action, { filter } = this;
    const low = Math.max(0, AvaPage.upperBound(this.meta.times, this.from - this.meta.spacing) - 1);
    const start = AvaPage.upperBound(data.keyframe, low - 1);
    for (let i = start; i < data.keyframe.length && this.meta.times[data.keyframe[i]] - this.meta.spacing < this.to; i++) {
      if (!filter.showsEntry(data, i)) continue;
      fill(filter.truth && data.mark?.[i] === 0 ? wrong : plain, this.#span(data.keyframe[i]), data.score[i] / 1000);
    }
    if (filter.truth && data.truth) {
      const { times, spacing } = this.meta.truth;
      for (let i = 0; i < data.truth.keyframe.length; i++) {
        const time = times[data.truth.keyframe[i]];
        if (filter.isMissed(data.truth, i)) fill(missed, [time - spacing / 2, time + spacing / 2], 1);
      }
    }
    const runs = (columns, paint) => {
      for (let x = 0; x < width;) {
        const level = Math.ceil(columns[x] * 8);
        let end = x + 1;
        while (end < width && Math.ceil(columns[end] * 8) === level) end++;
        if (level) paint(this.gutter + x, end - x, level / 8);
        x = end;
      }
    };
    runs(plain, (x, length, level) => {
      context.fillStyle = this.colours[action.kind];
      context.globalAlpha = 0.25 + 0.75 * level;
      context.fillRect(x, top, length, row);
    });
    context.globalAlpha = 1;
    context.fillStyle = context.strokeStyle = this.colours.wrong;
    context.lineWidth = 1.5;
    runs(wrong, (x, length) => context.fillRect(x, top + row * 0.62, length, row * 0.38));
    runs(missed, (x, length) => context.strokeRect(x + 0.75, top + 0.75, Math.max(1, length - 1.5), row * 0.5));
  }

  #movePlayhead() {
    if (!this.width) return;
    const isVisible = this.now >= this.from - 0.01 && this.now <= this.to + 0.01;
    this.playhead.hidden = !isVisible;
    if (isVisible) this.playhead.style.transform = `translateX(${this.#x(this.now).toFixed(1)}px)`;
  }

  /** Seek by pointing and dragging; `stretch()`: the times at both ends of the canvas. */
  #wirePointer(canvas, stretch) {
    const seek = event => {
      const x = event.clientX - canvas.getBoundingClientRect().left;
      const [from, to] = stretch();
      const share = (x - this.gutter) / (this.width - this.gutter);
      if (share >= 0) this.onSeek(from + Math.min(share, 1) * (to - from));
    };
    canvas.addEventListener("pointerdown", event => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      seek(event);
    });
    canvas.addEventListener("pointermove", event => { if (canvas.hasPointerCapture(event.pointerId)) seek(event); });
  }

  /** The wheel zooms with Ctrl or Meta, and moves the visible part sideways; otherwise the page scrolls. */
  #wheel(event) {
    const length = this.to - this.from;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      const x = event.clientX - this.lanes.getBoundingClientRect().left;
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.from + (x - this.gutter) / (this.width - this.gutter) * length);
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY) && length < this.duration) {
      event.preventDefault();
      this.#setStretch(this.from + event.deltaX / this.width * length, length);
    }
  }
};
