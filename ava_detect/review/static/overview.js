// The list of videos in a review: how far each video is, and where to go on.
"use strict";

AvaPage.Overview = class {
  /** Add the progress to the videos of the list, and a link to the next keyframe above them. */
  static async prepare(list) {
    const { el, formatCount } = AvaPage;
    const review = await AvaPage.Connection.ask("api/review");
    for (const video of list.videos) {
      const counts = review.videos[video.key];
      if (counts) video.reviewed = counts[1] ? `${counts[0].toLocaleString("en")} of ${counts[1].toLocaleString("en")} accepted` : "nothing to review";
    }
    const next = await AvaPage.Connection.ask("api/next");
    const [accepted, all] = review.progress;
    const text = `${accepted.toLocaleString("en")} of ${formatCount(all, "keyframe")} accepted`;
    const bar = el("progress", { max: Math.max(all, 1), value: accepted, "aria-label": "Accepted keyframes" });
    const link = next.video === null ? el("span", {}, "All are accepted.")
      : el("a", { className: "go-on", href: `video.html#v=${next.video}&t=${next.seconds}` }, accepted ? "Go on" : "Begin");
    const bits = el("section", { className: "review review-overview", "aria-label": "Review" }, link, bar, el("p", {}, text));
    document.querySelector(".tools").before(bits);
    return review.notices;
  }
};
