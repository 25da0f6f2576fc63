// Boxes that can be selected, moved and resized, by pointer and by keys, in a layer over the video.
"use strict";

AvaPage.BoxLayer = class {
  static HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
  static LEAST_PIXELS = 6;
  static SMALL_PIXELS = 56;

  /**
   * `stage`: the element of the video. `onSelect(track)`: a box has the focus, or null. `onChange(track, box)`: it is being moved.
   * `onEnd(track, box)`: it has been moved; null: it goes back. `onDrawn(box)`: a new box was drawn; null: given up.
   */
  constructor(stage, { onSelect, onChange, onEnd, onDrawn }) {
    Object.assign(this, { onSelect, onChange, onEnd, onDrawn });
    this.root = AvaPage.el("div", { id: "boxes", className: "boxes", role: "group", "aria-label": "People on this keyframe" });
    stage.append(this.root);
    this.elements = new Map(); // track -> element
    this.drag = null;
    this.root.addEventListener("pointerdown", event => this.#down(event));
    this.root.addEventListener("pointermove", event => this.#move(event));
    this.root.addEventListener("pointerup", event => this.#up(event));
    this.root.addEventListener("pointercancel", () => this.cancel());
    this.root.addEventListener("focusin", event => {
      const track = event.target.dataset?.track;
      if (track !== undefined) this.onSelect(Number(track));
    });
  }

  /** `people`: { track, box, name, colour } of each person; null where nothing can be edited now. */
  show(people, selected) {
    this.root.hidden = people === null;
    const shown = new Map((people ?? []).map(person => [person.track, person]));
    for (const [track, element] of this.elements) {
      if (shown.has(track)) continue;
      element.remove();
      this.elements.delete(track);
    }
    // Small boxes lie over large ones, and the selected one over all.
    const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
    const order = [...shown.values()].sort((a, b) => area(b) - area(a));
    const { width, height } = this.root.getBoundingClientRect(); // before anything is changed, so that the layout is not computed again
    const isSmall = ({ box }) => Math.min((box[2] - box[0]) * width, (box[3] - box[1]) * height) < AvaPage.BoxLayer.SMALL_PIXELS;
    order.forEach((person, i) => this.#place(person, person.track === selected, i + 1, isSmall(person)));
  }

  #place({ track, box, name, colour }, isSelected, depth, isSmall) {
    let element = this.elements.get(track);
    if (!element) {
      element = AvaPage.el("div", { className: "box", role: "button", tabIndex: 0 });
      element.dataset.track = track;
      for (const handle of AvaPage.BoxLayer.HANDLES) {
        const mark = AvaPage.el("span", { className: `handle ${handle}` });
        mark.dataset.handle = handle;
        element.append(mark);
      }
      this.elements.set(track, element);
      this.root.append(element);
    }
    element.setAttribute("aria-label", name);
    element.setAttribute("aria-pressed", String(isSelected));
    element.style.zIndex = isSelected ? 1000 : depth;
    element.style.setProperty("--track-colour", colour);
    element.style.left = `${100 * box[0]}%`;
    element.style.top = `${100 * box[1]}%`;
    element.style.width = `${100 * (box[2] - box[0])}%`;
    element.style.height = `${100 * (box[3] - box[1])}%`;
    element.classList.toggle("small", isSmall);
  }

  focus(track) { this.elements.get(track)?.focus({ preventScroll: true }); }

  /** The person whose box has the focus; null where none has. */
  get focused() {
    const track = document.activeElement?.closest?.(".box")?.dataset.track;
    return track === undefined ? null : Number(track);
  }

  /** Wait for a box to be drawn, or for `cancel`. */
  startDrawing() {
    this.root.classList.add("drawing");
  }

  get isDrawing() { return this.root.classList.contains("drawing"); }

  /** Give up what is being dragged or drawn. */
  cancel() {
    const { drag } = this;
    this.#stop();
    if (drag?.track !== undefined) this.onEnd(drag.track, null);
    else if (drag || this.isDrawing) this.#drawn(null);
  }

  #stop() {
    if (this.drag?.outline) this.drag.outline.remove();
    this.drag = null;
  }

  /** Draw a box in the middle of the frame. */
  finish() {
    this.#stop();
    this.#drawn([0.4, 0.2, 0.6, 0.8]);
  }

  #drawn(box) {
    this.root.classList.remove("drawing");
    this.onDrawn(box);
  }

  #at(event) {
    const frame = this.root.getBoundingClientRect();
    return [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height].map(share => Math.min(Math.max(share, 0), 1));
  }

  #down(event) {
    if (event.button !== 0 || this.drag) return;
    const start = this.#at(event);
    if (this.isDrawing) {
      event.preventDefault();
      const outline = AvaPage.el("div", { className: "outline" });
      this.root.append(outline);
      this.drag = { start, outline };
    } else {
      const element = event.target.closest(".box");
      if (!element) {
        this.onSelect(null);
        return;
      }
      event.preventDefault();
      const track = Number(element.dataset.track);
      const wasSelected = element.getAttribute("aria-pressed") === "true";
      element.focus({ preventScroll: true });
      // A finger selects first, so that swiping over the video scrolls the page.
      if (event.pointerType === "touch" && !wasSelected) return;
      const sides = ["left", "top", "width", "height"].map(side => parseFloat(element.style[side]) / 100);
      const box = [sides[0], sides[1], sides[0] + sides[2], sides[1] + sides[3]];
      this.drag = { start, track, box, handle: event.target.dataset.handle ?? null, now: null };
    }
    this.root.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const { drag } = this;
    if (!drag) return;
    const [x, y] = this.#at(event);
    if (drag.track === undefined) {
      const box = [Math.min(x, drag.start[0]), Math.min(y, drag.start[1]), Math.max(x, drag.start[0]), Math.max(y, drag.start[1])];
      drag.now = box;
      Object.assign(drag.outline.style, { left: `${100 * box[0]}%`, top: `${100 * box[1]}%`, width: `${100 * (box[2] - box[0])}%`, height: `${100 * (box[3] - box[1])}%` });
      return;
    }
    const [dx, dy] = [x - drag.start[0], y - drag.start[1]];
    const frame = this.root.getBoundingClientRect();
    if (!drag.now && Math.hypot(dx * frame.width, dy * frame.height) < 3) return; // a click, not a drag
    drag.now = drag.handle ? this.resized(drag.box, drag.handle, dx, dy) : this.moved(drag.box, dx, dy);
    this.onChange(drag.track, drag.now);
  }

  #up() {
    const { drag } = this;
    if (!drag) return;
    this.#stop();
    if (drag.track === undefined) {
      const frame = this.root.getBoundingClientRect();
      const [width, height] = drag.now ? [drag.now[2] - drag.now[0], drag.now[3] - drag.now[1]] : [0, 0];
      const isBox = width * frame.width >= AvaPage.BoxLayer.LEAST_PIXELS && height * frame.height >= AvaPage.BoxLayer.LEAST_PIXELS;
      if (isBox) this.#drawn(drag.now);
    } else if (drag.now) this.onEnd(drag.track, drag.now);
  }

  /** A box moved by fractions of the frame; it stays inside as a whole. */
  moved([x1, y1, x2, y2], dx, dy) {
    const right = Math.min(Math.max(dx, -x1), 1 - x2), down = Math.min(Math.max(dy, -y1), 1 - y2);
    return [x1 + right, y1 + down, x2 + right, y2 + down];
  }

  /** A box whose sides that `handle` names ("n", "se", ...) are moved; it keeps a least size and stays inside. */
  resized([x1, y1, x2, y2], handle, dx, dy) {
    const { width, height } = this.root.getBoundingClientRect();
    const least = [AvaPage.BoxLayer.LEAST_PIXELS / width, AvaPage.BoxLayer.LEAST_PIXELS / height];
    const between = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));
    if (handle.includes("w")) x1 = Math.min(between(x1 + dx, 0, x2 - least[0]), x2 - 1e-3);
    if (handle.includes("e")) x2 = Math.max(between(x2 + dx, Math.min(x1 + least[0], 1), 1), x1 + 1e-3);
    if (handle.includes("n")) y1 = Math.min(between(y1 + dy, 0, y2 - least[1]), y2 - 1e-3);
    if (handle.includes("s")) y2 = Math.max(between(y2 + dy, Math.min(y1 + least[1], 1), 1), y1 + 1e-3);
    return [x1, y1, x2, y2];
  }

  /** The box after an arrow key; with Shift the right and the lower side move. `pixels`: the step on the screen. */
  stepped(box, key, isResizing, pixels) {
    const { width, height } = this.root.getBoundingClientRect();
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    const [right, down] = [dx * pixels / width, dy * pixels / height];
    return isResizing ? this.resized(box, "se", right, down) : this.moved(box, right, down);
  }
};
