// The page of one video: creates its parts and connects them.
"use strict";

(async () => {
  const { el, named, formatTime, percent } = AvaPage;
  const byId = id => document.getElementById(id);
  const parameters = new URLSearchParams(location.hash.slice(1));
  const key = /^\d{4,}$/.test(parameters.get("v") ?? "") ? parameters.get("v") : "0001";
  const sentences = [];
  const say = sentence => {
    if (!sentences.includes(sentence)) sentences.push(sentence);
    AvaPage.showNotices(byId("notices"), sentences);
  };

  let meta, list, editor;
  try {
    list = await AvaPage.load("list");
    AvaPage.useKinds(list.kinds);
    meta = await AvaPage.load(`${key}/meta`);
    editor = await AvaPage.Editor?.open(key, meta); // only where `ava-detect review` serves the page
  } catch (error) {
    say(error.message);
    byId("viewer").hidden = true;
    byId("back").hidden = !list;
    return;
  }
  byId("back").hidden = list.videos.length < 2;
  document.title = `${meta.id}: people and actions`;
  byId("title").replaceChildren(named(meta.id));
  if (list.note) say(`Note: ${list.note}.`);
  meta.notices.forEach(say);
  if (meta.isProxy) say("Browsers cannot play the original file: this is a copy made for the page, without sound.");

  const stage = byId("stage");
  stage.style.setProperty("--aspect", meta.width / meta.height);
  const overlay = new AvaPage.Overlay(byId("overlay"), meta);
  const onError = error => say(error.message);
  const people = new AvaPage.People(`${key}/people`, meta.times, meta.spacing, meta.cuts, meta.piece, () => refresh(), onError);
  const truth = meta.truth
    ? new AvaPage.People(`${key}/truth`, meta.truth.times, meta.truth.spacing, meta.cuts, meta.piece, () => refresh(), onError) : null;
  const filter = new AvaPage.Filter(meta);
  const player = new AvaPage.Player(byId("video"), meta, { onFrame: showFrame, onState: showState, onFailure: sayFailure });
  const timeline = new AvaPage.Timeline(meta, seconds => jump(seconds));
  const find = { onChange: () => { showFilter(); refresh(); }, onJump: seconds => jump(seconds) };
  const panel = new AvaPage.FindPanel(meta, filter, new AvaPage.FoundActions(key, meta), find);
  let shownAt = 0, listed = { version: -1, actions: [] };

  // For the tests: the time on screen, and the parts of the page.
  AvaPage.viewer = { get shownAt() { return shownAt; }, get isReady() { return people.shownAt(shownAt) !== undefined; }, player, timeline, people, editor, frames: 0 };

  /** The frame of a time is on screen: draw its boxes, and update the list of people and the playhead. */
  function showFrame(given) {
    const seconds = editor ? editor.timeShown(given) : given;
    shownAt = seconds;
    const shown = people.shownAt(seconds);
    const most = !shown || shown.length > 8 ? 1 : overlay.width < 480 || shown.length > 4 ? 2 : 3;
    if (shown) overlay.draw(shown.map(person => dress(person, most)), filter.truth ? trueAt(seconds) : null);
    timeline.moveTo(seconds, player.isPlaying);
    if (shown) showPeople(shown);
    panel.markMoment(seconds);
    showTime(seconds);
    editor?.onFrame(seconds);
    AvaPage.viewer.frames += 1;
  }

  function refresh() { showFrame(shownAt); }

  /** Whether a person on screen does not match the filter. */
  function isFaint(person) {
    if (!filter.showsPerson(person.track)) return true;
    const isError = filter.errorsOnly && person.found === 0;
    return (filter.active !== null || filter.errorsOnly) && !isError && !filter.rowsOf(person).length;
  }

  /** A person with the rows of their chip, at most `most`. */
  function dress(person, most) {
    const rows = filter.rowsOf(person).slice(0, most);
    return { ...person, isFaint: isFaint(person), rows: rows.map(({ action, score, mark }) => ({ text: meta.actions[action].short, kind: meta.actions[action].kind, score: person.isEdited ? undefined : score, mark })) };
  }

  /** The true people at a time with the names of their missed actions. */
  function trueAt(seconds) {
    const shown = truth?.shownAt(seconds) ?? [];
    return shown.filter(person => filter.active === null || person.actions.some(({ action }) => filter.isMeant(action)))
      .map(person => ({ ...person, missed: filter.missedOf(person).map(action => meta.actions[action].short) }));
  }

  /** List the people on screen; the list is rebuilt only when people, actions or filter have changed. */
  function showPeople(shown) {
    const isListed = listed.version === filter.version && listed.actions.length === shown.length
      && shown.every(({ actions }, i) => actions === listed.actions[i]);
    if (isListed) return;
    listed = { version: filter.version, actions: shown.map(({ actions }) => actions) };
    const rows = shown.filter(person => !isFaint(person)).map(person => ({ person, actions: filter.rowsOf(person).slice(0, 6) }));
    const focused = document.activeElement?.dataset?.track;
    const items = rows.sort((a, b) => a.person.track - b.person.track).map(({ person, actions }) => personItem(person, actions));
    byId("people").replaceChildren(...(items.length ? items : [el("li", { className: "soft" }, shown.length ? "Nobody here is what you look for." : "Nobody at this moment.")]));
    if (focused !== undefined) byId("people").querySelector(`[data-track="${focused}"]`)?.focus();
  }

  function personItem(person, actions) {
    const isChosen = filter.person === person.track;
    const button = el("button", { type: "button", className: "who", "aria-pressed": String(isChosen), title: isChosen ? "Show everybody" : "Show this person only" }, `Person ${person.track}`);
    button.style.setProperty("--track-colour", AvaPage.trackColour(meta, person.track));
    button.dataset.track = person.track;
    button.addEventListener("click", () => panel.choosePerson(isChosen ? null : person.track));
    const facts = [];
    if (meta.hasPersonScores) facts.push(el("span", { className: "soft" }, `box ${percent(person.score)}`));
    if (filter.truth && person.found === 0) facts.push(el("span", { className: "wrong" }, "✗ nobody there"));
    const rows = actions.map(({ action, score, mark }) => {
      const { name, kind } = meta.actions[action];
      const verdict = !filter.truth || mark < 0 ? [] : [el("span", { className: mark ? "right" : "wrong" }, mark ? "✓" : "✗"), el("span", { className: "unseen" }, mark ? " right" : " wrong")];
      const bar = el("span", { className: `bar ${kind}`, "aria-hidden": "true" });
      bar.style.setProperty("--share", score);
      return el("li", {}, AvaPage.kindMark(kind), el("span", { className: "name" }, named(name)), ...verdict, bar, el("span", { className: "score" }, percent(score)));
    });
    const nothing = el("p", { className: "soft" }, "No action with such a score.");
    return el("li", {}, el("div", { className: "person-head" }, button, ...facts), rows.length ? el("ul", {}, ...rows) : nothing);
  }

  /** Apply the filter to the lanes, the legend and the list of occurrences; data of actions are loaded where missing. */
  function showFilter() {
    const { source } = panel;
    byId("legend").hidden = !filter.truth;
    byId("errors-switch").hidden = !filter.truth;
    const isSeen = index => panel.countOf(index) > 0;
    const frequent = meta.actions.map((_, index) => index).filter(isSeen).sort((a, b) => panel.countOf(b) - panel.countOf(a)).slice(0, 8);
    const lanes = filter.active?.length > 8 ? filter.active.filter(isSeen) : filter.active ?? frequent;
    const wanted = filter.isSearching ? filter.active ?? meta.actions.map((_, index) => index) : [];
    const missing = [...new Set([...lanes, ...wanted])].filter(index => !source.get(index));
    const laneRows = lanes.map(index => ({ index, name: meta.actions[index].short, kind: meta.actions[index].kind, data: source.get(index) }));
    timeline.show(laneRows, filter);
    panel.setHits(missing.length && wanted.length ? null : filter.hits(new Map(wanted.map(index => [index, source.get(index)]))));
    if (missing.length) Promise.all(missing.map(index => source.load(index))).then(() => { showFilter(); refresh(); }, onError);
  }

  function showTime(seconds) {
    const text = formatTime(seconds);
    if (byId("now").textContent === text) return;
    byId("now").textContent = text;
    byId("seek").value = seconds;
    byId("seek").setAttribute("aria-valuetext", `${text} of ${formatTime(player.duration)}`);
  }

  function showState() {
    if (editor) refresh();
    byId("play").textContent = player.isPlaying ? "Pause" : "Play";
    byId("seek").max = player.duration;
    byId("end").textContent = formatTime(player.duration, false);
    byId("rate").value = String(player.rate);
    byId("sound").hidden = !player.hasVideo || meta.isProxy;
    byId("sound").textContent = byId("video").muted ? "Unmute" : "Mute";
    byId("sound").setAttribute("aria-pressed", String(byId("video").muted));
    byId("stage-note").hidden = player.hasVideo;
    byId("stage-note").textContent = "No picture: the video is not here";
  }

  function sayFailure(kind) {
    if (kind === "length") {
      say(`The video is ${formatTime(byId("video").duration)} long where ${formatTime(meta.duration)} was expected: it is not the one that this page was written for, and boxes may be off.`);
      return;
    }
    say(`The video ${decodeURIComponent(meta.video)} cannot be played: it was moved or deleted, or this browser cannot decode it. The boxes are shown without it.`);
    refresh();
  }

  /** Go to a time, plus a millisecond, so that rounding does not show the frame before it. */
  function jump(seconds) {
    player.seek(seconds + 0.001);
    timeline.moveTo(seconds, false);
    showTime(seconds);
  }

  function jumpTo(direction) {
    const start = panel.neighbour(player.time, direction);
    if (start !== undefined) jump(start);
  }

  function toggleTruth() {
    if (!truth) return;
    filter.truth = !filter.truth;
    filter.errorsOnly &&= filter.truth;
    byId("truth").checked = filter.truth;
    panel.changed();
  }

  const step = frames => jump(player.time + frames / meta.fps);
  const KEYS = {
    " ": () => player.toggle(),
    "ArrowLeft": event => jump(player.time - (event.shiftKey ? 10 : 1)),
    "ArrowRight": event => jump(player.time + (event.shiftKey ? 10 : 1)),
    ",": () => step(-1),
    ".": () => step(1),
    "n": () => jumpTo(1),
    "p": () => jumpTo(-1),
    "/": () => byId("query").focus(),
    "g": toggleTruth,
    "m": () => { byId("video").muted = !byId("video").muted; },
    "+": () => timeline.zoom(0.5),
    "-": () => timeline.zoom(2),
    "0": () => timeline.zoomAll(),
    "?": () => byId("keys").showModal(),
  };
  const isTyping = target => target.matches("input[type=search], select, textarea") || target.closest("dialog");
  const usesItself = (target, name) => (name === " " && target.matches("button, input, summary, a")) || (name.startsWith("Arrow") && target.matches("input[type=range], input[type=radio]"));
  document.addEventListener("keydown", event => {
    if (editor?.onKey(event)) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { target } = event;
    if (event.key === "Escape" && target === byId("query")) target.blur();
    if (isTyping(target) || usesItself(target, event.key) || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key](event);
  });

  byId("play").addEventListener("click", () => player.toggle());
  byId("previous").addEventListener("click", () => jumpTo(-1));
  byId("next").addEventListener("click", () => jumpTo(1));
  byId("seek").addEventListener("input", event => jump(Number(event.target.value)));
  byId("rate").addEventListener("change", event => { player.rate = Number(event.target.value); });
  byId("sound").addEventListener("click", KEYS.m);
  byId("truth").addEventListener("change", toggleTruth);
  byId("truth-switch").hidden = !truth;
  byId("truth").checked = filter.truth;
  byId("zoom-in").addEventListener("click", KEYS["+"]);
  byId("zoom-out").addEventListener("click", KEYS["-"]);
  byId("zoom-all").addEventListener("click", KEYS["0"]);
  byId("help").addEventListener("click", KEYS["?"]);
  stage.addEventListener("click", () => { if (!editor?.onStageClick()) player.toggle(); });
  new ResizeObserver(() => { overlay.resize(); refresh(); }).observe(stage);
  new ResizeObserver(() => timeline.draw()).observe(byId("timeline"));
  AvaPage.wireTheme(byId("theme"), () => timeline.draw());

  editor?.attach({ people, player, timeline, find: panel, refresh, jump, say });
  filter.query = (parameters.get("q") ?? "").trim();
  panel.changed();
  showState();
  const start = Number(parameters.get("t"));
  if (start > 0) jump(start);
})();
