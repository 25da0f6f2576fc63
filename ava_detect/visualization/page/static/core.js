// What every script of the page stands on: data that arrives as scripts, words for times, small DOM helpers, themes.
"use strict";

const AvaPage = (() => {
  // Browsers load neither JSON nor modules from disk, so each piece of data is a script that registers itself.
  const pieces = new Map();

  function register(key, value) {
    pieces.get(key)?.resolve(value);
  }

  /** The value of a piece, loaded once. */
  function load(key) {
    if (!pieces.has(key)) {
      const piece = {};
      piece.promise = new Promise((resolve, reject) => Object.assign(piece, { resolve, reject }));
      pieces.set(key, piece);
      const script = document.createElement("script");
      script.src = `page-data/${key}.js`;
      const fail = () => piece.reject(new Error(`The file page-data/${key}.js of this page is missing or damaged: write the page again.`));
      script.addEventListener("error", fail);
      script.addEventListener("load", () => { script.remove(); fail(); }); // a no-op once it is registered
      document.head.append(script);
    }
    return pieces.get(key).promise;
  }

  /** 7.5 -> "0:07.5", 3723 -> "1:02:03.0"; without tenths for lists. */
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

  function formatCount(number, one, many = `${one}s`) {
    return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
  }

  const percent = score => `${Math.round(100 * score)}%`;

  /** An element; strings among the children become text, never markup. */
  function el(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  /** Text from outside, kept apart from the direction of what stands around it. */
  const named = text => el("bdi", {}, text);

  const KINDS = {
    pose: { glyph: "●", label: "pose" },
    object: { glyph: "■", label: "object" },
    person: { glyph: "▲", label: "person" },
    unknown: { glyph: "◆", label: "other" },
  };

  function kindMark(kind) {
    return el("span", { className: `kind ${kind}`, "aria-hidden": "true" }, KINDS[kind].glyph);
  }

  /** The colour of a track, the same for the same number always. */
  const trackColour = ({ colours }, track) => colours[(((track - 1) % colours.length) + colours.length) % colours.length];

  /** The colour that a CSS variable has now, in words that a canvas understands. */
  function colour(variable) {
    const probe = el("span", { hidden: true });
    probe.style.color = `var(${variable})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  }

  function showNotices(list, sentences) {
    list.replaceChildren(...sentences.map(text => el("li", {}, named(text))));
    list.hidden = !sentences.length;
  }

  /** The first index whose value is above `value`, in a rising list. */
  function upperBound(values, value, low = 0, high = values.length) {
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[middle] <= value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Storage may be forbidden on disk pages; the theme is then that of the system each time.
  function remembered(name) {
    try { return localStorage.getItem(name); } catch { return null; }
  }
  function remember(name, value) {
    try { localStorage.setItem(name, value); } catch { /* not remembered */ }
  }

  function isDark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  /** A button that turns light to dark and back; `onChange` is also called when the system changes. */
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
    register, load, formatTime, formatCount, percent, el, named, KINDS, kindMark, trackColour, colour, showNotices, upperBound,
    wireTheme, isDark,
  };
})();
