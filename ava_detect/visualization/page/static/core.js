// Shared by all scripts of the page: loading of data, formatting of times, DOM helpers, themes.
"use strict";

const AvaPage = (() => {
  // Browsers load neither JSON nor modules from disk, so each piece of data is a script that calls `register`.
  // Key -> { promise, resolve, reject }.
  const pieces = new Map();

  /** Called by a data script with its value. */
  function register(key, value) {
    pieces.get(key)?.resolve(value);
  }

  /** A promise of the value of a piece; its script is loaded once. */
  function load(key) {
    if (!pieces.has(key)) {
      const piece = {};
      piece.promise = new Promise((resolve, reject) => Object.assign(piece, { resolve, reject }));
      pieces.set(key, piece);
      const script = document.createElement("script");
      script.src = `page-data/${key}.js`;
      const fail = () => piece.reject(new Error(`The file page-data/${key}.js of this page is missing or damaged: write the page again.`));
      script.addEventListener("error", fail);
      script.addEventListener("load", () => { script.remove(); fail(); }); // without effect once the value is registered
      document.head.append(script);
    }
    return pieces.get(key).promise;
  }

  /** 7.5 -> "0:07.5", 3723 -> "1:02:03.0"; `tenths`: whether to show tenths of a second. */
  function formatTime(seconds, tenths = true) {
    const unit = tenths ? 10 : 1;
    const whole = Math.round(Math.max(0, seconds) * unit);
    const minutes = Math.floor(whole / (60 * unit));
    const hours = Math.floor(minutes / 60);
    const clock = hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}` : `${minutes}`;
    const rest = whole % (60 * unit);
    const text = `${clock}:${String(Math.floor(rest / unit)).padStart(2, "0")}`;
    return tenths ? `${text}.${rest % 10}` : text;
  }

  /** A number with its noun, in the singular or the plural. */
  function formatCount(number, one, many = `${one}s`) {
    return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
  }

  const percent = score => `${Math.round(100 * score)}%`;

  /** A new element; strings among the children become text, never markup. `properties`: DOM properties or attributes. */
  function el(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  /** A name from outside, with its text direction isolated: it may be written from right to left. */
  const named = text => el("bdi", {}, text);

  // Kind of action -> its mark: `glyph`, and colours `onLight`, `onDark`, `onChip`; filled from the list of videos.
  const KINDS = {};

  /** Take the marks over, and give their colours to the style sheet. */
  function useKinds(kinds) {
    Object.assign(KINDS, kinds);
    for (const [kind, { onLight, onDark }] of Object.entries(kinds)) {
      document.documentElement.style.setProperty(`--${kind}`, `light-dark(${onLight}, ${onDark})`);
    }
  }

  /** The symbol of a kind of action; hidden from screen readers. */
  function kindMark(kind) {
    return el("span", { className: `kind ${kind}`, "aria-hidden": "true" }, KINDS[kind].glyph);
  }

  /** The colour of a track id; the same as in the drawn video. */
  const trackColour = ({ colours }, track) => colours[(((track - 1) % colours.length) + colours.length) % colours.length];

  /** The current colours of CSS variables, by their names without dashes, in a form that a canvas accepts. */
  function coloursOf(...variables) {
    const probes = variables.map(variable => {
      const probe = el("span", { hidden: true });
      probe.style.color = `var(${variable})`;
      return probe;
    });
    document.body.append(...probes); // all before the first is read, so that styles are computed once
    const found = Object.fromEntries(probes.map((probe, i) => [variables[i].slice(2), getComputedStyle(probe).color]));
    probes.forEach(probe => probe.remove());
    return found;
  }

  /** Show sentences as a list, or hide the list where there is none. */
  function showNotices(list, sentences) {
    list.replaceChildren(...sentences.map(text => el("li", {}, named(text))));
    list.hidden = !sentences.length;
  }

  /** The first index whose value is greater than `value`, in an ascending list. */
  function upperBound(values, value, low = 0, high = values.length) {
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[middle] <= value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Browsers may deny storage to pages from disk; the theme then follows the system.
  function remembered(name) {
    try { return localStorage.getItem(name); } catch { return null; }
  }
  function remember(name, value) {
    try { localStorage.setItem(name, value); } catch { /* the choice is not stored */ }
  }

  function isDark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  /** Make a button that switches between light and dark; `onChange` is called at every change, also of the system. */
  function wireTheme(button, onChange = () => {}) {
    const show = () => {
      button.textContent = isDark() ? "Light" : "Dark";
      button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
      onChange();
    };
    button.addEventListener("click", () => {
      document.documentElement.dataset.theme = isDark() ? "light" : "dark";
      remember("ava-detect-theme", document.documentElement.dataset.theme);
      show();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
    show();
  }
  const theme = remembered("ava-detect-theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;

  return {
    register, load, formatTime, formatCount, percent, el, named, KINDS, useKinds, kindMark, trackColour, coloursOf, showNotices, upperBound,
    wireTheme, isDark,
  };
})();
