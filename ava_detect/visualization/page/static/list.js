// The list of videos: thumbnails, counts, sorting, and a search over names and actions.
"use strict";

(async () => {
  const { el, named, formatTime, formatCount } = AvaPage;
  const cards = document.getElementById("cards");
  const status = document.getElementById("status");
  const query = document.getElementById("query");
  const order = document.getElementById("order");
  AvaPage.wireTheme(document.getElementById("theme"));

  let list, reviewNotices;
  try {
    list = await AvaPage.load("list");
    if (list.videos.length > 1) reviewNotices = await AvaPage.Overview?.prepare(list); // only where `ava-detect review` serves the page
  } catch (error) {
    AvaPage.showNotices(document.getElementById("notices"), [error.message]);
    return;
  }
  const { videos } = list;
  if (videos.length === 1 && videos[0].hasPage) {
    location.replace(`video.html#v=${videos[0].key}`);
    return;
  }
  document.title = `${list.title}: videos`;
  document.getElementById("title").replaceChildren(named(list.title));
  AvaPage.showNotices(document.getElementById("notices"), [...list.note ? [`Note: ${list.note}.`] : [], ...reviewNotices ?? []]);

  const fits = (text, wanted) => text.toLowerCase().includes(wanted);

  /** The list item of a video. `wanted`: the search text in lower case; the link passes it on if it matches an action. */
  function card(video, wanted) {
    const matching = wanted ? video.actions.filter(([name]) => fits(name, wanted)) : [];
    const search = matching.length ? `&q=${encodeURIComponent(wanted)}` : "";
    const picture = video.thumbnail
      ? el("img", { src: video.thumbnail, alt: "", loading: "lazy", decoding: "async" })
      : el("span", { className: "no-picture", "aria-hidden": "true" }, "no picture");
    const name = video.hasPage
      ? el("a", { href: `video.html#v=${video.key}${search}` }, named(video.id)) : named(video.id);
    const facts = [
      formatTime(video.duration, false), formatCount(video.people, "person", "people"), formatCount(video.boxes, "box", "boxes"),
    ];
    if (video.reviewed) facts.push(video.reviewed);
    const shown = (matching.length ? matching : video.actions).slice(0, 4);
    const body = [el("h2", {}, name)];
    if (video.hasPage) body.push(el("p", { className: "facts" }, facts.join(" · ")));
    if (shown.length) {
      const tags = shown.map(([action, count]) => el("li", {}, named(action), " ", el("span", { className: "count" }, count.toLocaleString("en"))));
      body.push(el("ul", { className: "tags", "aria-label": "most frequent actions" }, ...tags));
    }
    body.push(...video.notices.map(text => el("p", { className: "notice" }, named(text))));
    return el("li", { className: "card" }, el("div", { className: "picture" }, picture), el("div", { className: "words" }, ...body));
  }

  const ORDERS = {
    given: () => 0,
    name: (a, b) => a.id.localeCompare(b.id, undefined, { numeric: true }),
    duration: (a, b) => b.duration - a.duration,
    people: (a, b) => b.people - a.people,
    boxes: (a, b) => b.boxes - a.boxes,
    notices: (a, b) => b.notices.length - a.notices.length,
  };

  /** Rebuild the list after a change of search or order. */
  function show() {
    const wanted = query.value.trim().toLowerCase();
    const chosen = videos.filter(video => !wanted || fits(video.id, wanted) || video.actions.some(([name]) => fits(name, wanted)));
    chosen.sort(ORDERS[order.value]);
    cards.replaceChildren(...chosen.map(video => card(video, wanted)));
    const all = formatCount(videos.length, "video");
    status.textContent = wanted ? `${chosen.length.toLocaleString("en")} of ${all}` : all;
  }
  query.addEventListener("input", show);
  order.addEventListener("change", show);
  show();
})();
