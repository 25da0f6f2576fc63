// The live page: a pane for each source, with its picture, boxes that fit it, and a timeline of the last minutes.
"use strict";

(async () => {
  const { el, named } = AvaPage;
  const STATE_MS = 1000, PICTURE_MS = 90, RETRY_MS = 2000;
  const STATES = { connecting: "connecting", running: "live", lost: "lost, trying again", ended: "ended", failed: "failed" };
  const byId = id => document.getElementById(id);
  const wait = ms => new Promise(resolve => setTimeout(resolve, ms));

  async function json(path) {
    const answer = await fetch(path);
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.json();
  }

  /** Keyframes that come with the state, interpolated by the rules of the page of results. */
  class LivePeople extends AvaPage.People {
    constructor() { super("", [], 1, [], 2, () => {}, () => {}); this.people = []; }
    take({ keyframes, spacing }) {
      this.spacing = spacing;
      this.times = keyframes.map(([seconds]) => seconds);
      this.people = keyframes.map(([, people]) => people);
    }
    at(k) { return this.people[k]; }
  }

  class Pane {
    constructor(number, name, meta) {
      Object.assign(this, { number, meta, seconds: null });
      this.people = new LivePeople();
      this.state = el("span", { className: "state" }, "connecting");
      this.picture = el("canvas", { className: "picture", role: "img", "aria-label": `Picture of ${name}` });
      const boxes = el("canvas", { className: "boxes", "aria-hidden": "true" });
      this.note = el("p", { className: "stage-note", hidden: true });
      this.stage = el("div", { className: "stage" }, this.picture, boxes, this.note);
      this.past = el("canvas", { className: "past", role: "img", "aria-label": `Events of ${name} in the last minutes` });
      this.facts = el("p", { className: "facts" });
      this.root = el("section", { className: "pane" },
        el("h2", {}, named(name), this.state), el("div", { className: "frame" }, this.stage), this.facts, this.past);
      byId("panes").append(this.root);
      this.overlay = new AvaPage.Overlay(boxes, meta);
      new ResizeObserver(() => { this.overlay.resize(); this.drawBoxes(); }).observe(this.stage);
    }

    /** Take the source's part of the state. */
    show(source) {
      this.root.dataset.state = source.state;
      this.state.textContent = source.isDark && source.state === "running" ? "live, black picture" : STATES[source.state];
      this.note.textContent = ["lost", "failed", "ended"].includes(source.state) ? `${STATES[source.state]}: ${source.reason}` : "";
      this.note.hidden = !this.note.textContent;
      if (source.width) {
        this.stage.style.setProperty("--aspect", `${source.width} / ${source.height}`);
        this.stage.style.aspectRatio = `${source.width} / ${source.height}`;
      }
      const lag = source.lag === null ? "" : `, rows ${source.lag.toFixed(1)} s after the picture`;
      this.facts.textContent = `${AvaPage.formatCount(source.numKeyframes, "keyframe")}, ${source.dropped.toLocaleString("en")} left out${lag}`;
      this.people.take(source);
      this.drawBoxes();
      this.drawPast(source);
    }

    /** Fetch pictures for ever, each when there is another one. */
    async follow() {
      for (;;) {
        let pause = PICTURE_MS;
        try {
          const answer = await fetch(`api/picture/${this.number}?after=${this.seconds ?? ""}`);
          if (answer.status === 200) {
            const seconds = answer.headers.get("x-seconds");
            const image = await createImageBitmap(await answer.blob());
            Object.assign(this.picture, { width: image.width, height: image.height });
            this.picture.getContext("2d").drawImage(image, 0, 0);
            image.close();
            this.seconds = seconds;
            this.root.dataset.seconds = seconds;
            this.drawBoxes();
          }
        } catch { pause = RETRY_MS; }
        await wait(document.hidden ? RETRY_MS : pause);
      }
    }

    drawBoxes() {
      const people = this.seconds === null ? [] : this.people.shownAt(Number(this.seconds)) ?? [];
      this.root.dataset.boxes = JSON.stringify(people.map(({ track, box }) => [track, ...box]));
      this.overlay.draw(people.map(person => ({ ...person, isFaint: false, found: -1, rows: person.rows.map(row => ({ ...row, mark: -1 })) })), null);
    }

    /** The timeline: a row for each action that happened, the newest at the right. */
    drawPast({ now, spans }) {
      const rows = new Map();
      for (const span of spans) {
        const key = `${span.isAlarm ? "!" : span.track}\u0000${span.text}`;
        if (!rows.has(key)) rows.set(key, []);
        rows.get(key).push(span);
      }
      const last = parts => Math.max(...parts.map(({ start, end }) => end ?? now + start / 1e6));
      const shown = [...rows.values()].sort((a, b) => b[0].isAlarm - a[0].isAlarm || last(b) - last(a)).slice(0, 8);
      const ratio = window.devicePixelRatio || 1, line = 18, width = this.stage.clientWidth, height = line * (shown.length + 1);
      Object.assign(this.past, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
      this.past.style.height = `${height}px`;
      const context = this.past.getContext("2d"), length = this.meta.timelineSeconds;
      context.scale(ratio, ratio);
      const x = seconds => width * Math.min(1, Math.max(0, 1 - (now - seconds) / length));
      const { ink, soft, line: grid, wrong } = AvaPage.coloursOf("--ink", "--soft", "--line", "--wrong");
      context.font = "12px system-ui, sans-serif";
      context.textBaseline = "middle";
      for (let minute = 0; minute <= length / 60; minute++) {
        const at = x(now - 60 * minute);
        context.fillStyle = grid;
        context.fillRect(Math.min(at, width - 1), 0, 1, height - line);
        context.fillStyle = soft;
        context.textAlign = minute === 0 ? "right" : minute === length / 60 ? "left" : "center";
        context.fillText(minute === 0 ? "now" : `-${minute} min`, at, height - line / 2);
      }
      context.textAlign = "left";
      shown.forEach((parts, row) => {
        for (const { start, end, isAlarm, track } of parts) {
          context.fillStyle = isAlarm ? wrong : AvaPage.trackColour(this.meta, track);
          context.globalAlpha = 0.55;
          context.fillRect(x(start), row * line + 2, Math.max(2, x(end ?? now) - x(start)), line - 4);
          context.globalAlpha = 1;
        }
        context.fillStyle = ink;
        context.fillText(parts[0].isAlarm ? `! ${parts[0].text}` : `${parts[0].track} ${parts[0].text}`, 4, row * line + line / 2);
      });
      this.past.dataset.rows = shown.map(parts => parts[0].text).join("|");
    }
  }

  function showNews(news) {
    if (!news.length) return;
    byId("news").replaceChildren(...[...news].reverse().map(({ kind, source, text }) =>
      el("li", { className: kind }, named(source), ": ", text)));
  }

  AvaPage.wireTheme(byId("theme"));
  const meta = await json("api/fixed");
  AvaPage.useKinds(meta.kinds);
  const panes = meta.sources.map((name, number) => new Pane(number, name, meta));
  panes.forEach(pane => pane.follow());
  for (;;) {
    try {
      const { sources, news } = await json("api/state");
      sources.forEach((source, number) => panes[number].show(source));
      showNews(news);
      AvaPage.showNotices(byId("notices"), meta.note ? [`${meta.note[0].toUpperCase()}${meta.note.slice(1)}.`] : []);
    } catch {
      AvaPage.showNotices(byId("notices"), ["The program that this page belongs to has ended, or does not answer."]);
    }
    await wait(STATE_MS);
  }
})();
