// Boxes and label chips over the video. Chips are as in the drawn video: the track id, then a row per action with its score.
"use strict";

AvaPage.Overlay = class {
  static MOST_CHIPS = 64;

  /** `canvas`: lies over the video; `meta`: the value of the piece "meta". */
  constructor(canvas, meta) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.meta = meta;
    this.resize();
  }

  /** Adapt to the size of the canvas on the page; lengths are in CSS pixels, `ratio` is device pixels per CSS pixel. */
  resize() {
    const { width, height } = this.canvas.getBoundingClientRect();
    this.ratio = window.devicePixelRatio || 1;
    [this.width, this.height] = [width, height];
    this.canvas.width = Math.max(1, Math.round(width * this.ratio));
    this.canvas.height = Math.max(1, Math.round(height * this.ratio));
    this.em = width < 480 ? 11 : 13;
    this.line = width < 480 ? 2 : 3;
    this.widths = new Map();
    this.drawnChips = new Map();
  }

  /**
   * `people`: people with `rows` (the actions on the chip) and `isFaint` (not selected). `truth`: people of the ground
   * truth with `missed` (names of missed actions); null where the ground truth is switched off.
   */
  draw(people, truth) {
    const { context, ratio } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    const isJudged = truth !== null;
    const labels = [];
    for (const person of people) {
      const box = this.#pixels(person.box), colour = AvaPage.trackColour(this.meta, person.track);
      const isFalse = isJudged && person.found === 0;
      this.#box(box, colour, { faint: person.isFaint, dash: isFalse ? [this.line * 3, this.line * 2] : [] });
      if (person.isFaint) continue;
      const rows = person.rows.map(row => ({ ...row, mark: isJudged ? row.mark : -1 }));
      if (isFalse) rows.unshift({ text: "nobody there", mark: 0 });
      if (rows.length) labels.push({ box, rows, tab: String(person.track), colour });
    }
    for (const person of truth ?? []) {
      const box = this.#pixels(person.box);
      this.#truthBox(box, person.found === 0);
      const rows = person.missed.map(text => ({ text, mark: 0 }));
      if (rows.length) labels.push({ box, rows, tab: "missed", colour: "#fff" });
    }
    this.#chips(labels);
  }

  /** A box in fractions -> CSS pixels, cut to the frame and snapped to device pixels. */
  #pixels(box) {
    const snap = value => Math.round(value * this.ratio) / this.ratio;
    const [x1, x2] = [box[0], box[2]].map(x => snap(Math.min(Math.max(x, 0), 1) * this.width));
    const [y1, y2] = [box[1], box[3]].map(y => snap(Math.min(Math.max(y, 0), 1) * this.height));
    return { x: x1, y: y1, width: x2 - x1, height: y2 - y1 };
  }

  /** Draw an outline inside the box; a dark line within it keeps it visible on any background. */
  #box(box, colour, { faint, dash }) {
    const { context, line } = this;
    context.save();
    context.globalAlpha = faint ? 0.35 : 1;
    const stroke = (inset, width, style) => {
      context.lineWidth = width;
      context.strokeStyle = style;
      const offset = inset + width / 2;
      if (box.width > 2 * offset && box.height > 2 * offset) {
        context.strokeRect(box.x + offset, box.y + offset, box.width - 2 * offset, box.height - 2 * offset);
      }
    };
    if (!faint) stroke(line, 1, "rgb(18 18 22 / .85)");
    context.setLineDash(dash);
    stroke(0, faint ? 1 : line, colour);
    context.restore();
  }

  /** Draw a true box as white and dark dashes, heavier where it is missed. */
  #truthBox(box, isMissed) {
    const { context } = this;
    context.save();
    for (const [style, offset] of [["rgb(18 18 22 / .8)", 0], ["#fff", 4]]) {
      context.strokeStyle = style;
      context.lineWidth = isMissed ? 3 : 1.5;
      context.setLineDash(isMissed ? [3, 5] : [4, 4]);
      context.lineDashOffset = offset;
      context.strokeRect(box.x + 1, box.y + 1, Math.max(0, box.width - 2), Math.max(0, box.height - 2));
    }
    context.restore();
  }

  /** Place and draw the chips, largest box first; a chip without a free position loses rows, and is left out at last. */
  #chips(labels) {
    labels.sort((a, b) => b.box.width * b.box.height - a.box.width * a.box.height);
    const taken = [];
    for (const label of labels) {
      for (let count = label.rows.length; count > 0; count--) {
        const chip = this.#measure(label, count);
        const place = this.#place(label.box, chip, taken);
        if (!place) continue;
        taken.push({ ...place, width: chip.width, height: chip.height });
        this.#chip(label, chip, place);
        break;
      }
    }
  }

  #font(weight = 400, scale = 1) {
    return `${weight} ${this.em * scale}px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif`;
  }

  /** Width of a text, cached: measuring is slow, and the same names are drawn on every frame. */
  #widthOf(text, weight = 400) {
    const key = `${weight} ${text}`;
    if (!this.widths.has(key)) {
      this.context.font = this.#font(weight);
      this.widths.set(key, this.context.measureText(text).width);
    }
    return this.widths.get(key);
  }

  /** Lay out a chip with the first `count` rows: widths of its columns (tab, mark, glyph, name, bar) and its size. */
  #measure(label, count) {
    const { em } = this;
    const most = Math.max(this.width * 0.4, 90);
    const rows = label.rows.slice(0, count).map(row => {
      let { text } = row;
      while (text.length > 4 && this.#widthOf(text) > most) text = `${text.replace(/…$/, "").slice(0, -1).trimEnd()}…`;
      return { ...row, text };
    });
    const name = Math.max(...rows.map(row => this.#widthOf(row.text)));
    const mark = rows.some(row => row.mark >= 0) ? em * 1.1 : 0;
    const glyph = rows.some(row => row.kind) ? em * 0.95 : 0;
    const bar = rows.some(row => row.score !== undefined) ? em * 2.6 : 0;
    const tab = this.#widthOf(label.tab, 600) + em * 0.8;
    const pad = em * 0.4, row = em * 1.4;
    return { rows, mark, glyph, bar, tab, pad, row, width: tab + mark + glyph + name + bar + pad * (bar ? 3 : 2), height: row * rows.length + pad };
  }

  /** The first free candidate position of a chip: inside the frame, else moved into it; null where none is free. */
  #place(box, chip, taken) {
    const right = box.x + box.width - chip.width, bottom = box.y + box.height, edge = this.line + 2;
    const candidates = [
      [box.x, box.y - chip.height - 1], [right, box.y - chip.height - 1],
      [box.x, bottom + 1], [right, bottom + 1],
      [box.x + edge, bottom - chip.height - edge], [right - edge, bottom - chip.height - edge],
      [box.x + box.width + 1, box.y], [box.x - chip.width - 1, box.y],
      [box.x + edge, box.y + box.height / 2], [box.x + edge, box.y + edge], [right - edge, box.y + edge],
    ];
    const isInside = (x, y) => x >= 0 && y >= 0 && x + chip.width <= this.width && y + chip.height <= this.height;
    const isFree = (x, y) => taken.every(other => x >= other.x + other.width || y >= other.y + other.height
      || x + chip.width <= other.x || y + chip.height <= other.y);
    const place = candidates.find(([x, y]) => isInside(x, y) && isFree(x, y))
      ?? candidates.map(([x, y]) => [
        Math.max(0, Math.min(x, this.width - chip.width)), Math.max(0, Math.min(y, this.height - chip.height)),
      ]).find(([x, y]) => isFree(x, y));
    const snap = value => Math.round(value * this.ratio) / this.ratio;
    return place ? { x: snap(place[0]), y: snap(place[1]) } : null;
  }

  /** Draw a chip, cached as an image: drawing text is slow, and a chip stays the same for a second. */
  #chip(label, chip, place) {
    const key = JSON.stringify([label.tab, label.colour, chip.rows]);
    let drawn = this.drawnChips.get(key);
    if (!drawn) {
      if (this.drawnChips.size >= AvaPage.Overlay.MOST_CHIPS) this.drawnChips.clear();
      drawn = document.createElement("canvas");
      [drawn.width, drawn.height] = [chip.width, chip.height].map(side => Math.ceil(side * this.ratio));
      this.#drawChip(drawn.getContext("2d"), label, chip);
      this.drawnChips.set(key, drawn);
    }
    // Copy device pixels one to one: the width in CSS pixels may be a fraction.
    this.context.drawImage(drawn, place.x, place.y, drawn.width / this.ratio, drawn.height / this.ratio);
  }

  #drawChip(context, label, chip) {
    const { em } = this;
    context.scale(this.ratio, this.ratio);
    context.beginPath();
    context.roundRect(0, 0, chip.width, chip.height, 4);
    context.clip();
    context.fillStyle = "rgb(18 18 22 / .84)";
    context.fillRect(0, 0, chip.width, chip.height);
    context.fillStyle = label.colour;
    context.fillRect(0, 0, chip.tab, chip.height);
    context.textBaseline = "middle";
    context.fillStyle = "#121216";
    context.font = this.#font(600);
    context.textAlign = "center";
    context.fillText(label.tab, chip.tab / 2, chip.height / 2);
    context.font = this.#font();
    context.textAlign = "left";
    chip.rows.forEach((row, i) => {
      const middle = chip.pad / 2 + chip.row * (i + 0.5);
      let x = chip.tab + chip.pad;
      if (row.mark >= 0) {
        context.fillStyle = row.mark ? "#7ee0a8" : "#ff9d86";
        context.fillText(row.mark ? "✓" : "✗", x, middle);
      }
      x += chip.mark;
      if (row.kind) {
        context.fillStyle = AvaPage.KINDS[row.kind].onChip;
        context.font = this.#font(400, 0.7);
        context.fillText(AvaPage.KINDS[row.kind].glyph, x, middle);
        context.font = this.#font();
      }
      context.fillStyle = "#fff";
      context.fillText(row.text, x + chip.glyph, middle);
      if (row.score !== undefined) {
        const left = chip.width - chip.bar - chip.pad, height = Math.max(4, em * 0.35);
        context.fillStyle = "rgb(255 255 255 / .28)";
        context.fillRect(left, middle - height / 2, chip.bar, height);
        context.fillStyle = label.colour;
        context.fillRect(left, middle - height / 2, chip.bar * row.score, height);
      }
    });
  }
};
