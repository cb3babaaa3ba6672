/// What keeps the page that is watched up to date: it asks for the page again, with the tag of the version that it
/// shows, and replaces what has changed. It needs nothing but the page; without it the page is true as of its loading.
///
/// The text has neither `<` nor `&`, so that the page stays well-formed XML.
enum LiveScript {
  static let text = """
    "use strict";
    const pause = 2000;
    const shown = new Map();
    const line = document.getElementById("connection");
    let tag = null, timer = 0, shift = 0, heard = Date.now(), asking = false;
    const parts = (page) => page.querySelectorAll("[data-live]");
    const span = (seconds) => {
      for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
        if (seconds >= 2 * size) return Math.round(seconds / size) + " " + unit;
      }
      return Math.max(0, Math.round(seconds)) + " s";
    };
    const ago = () => {
      for (const time of document.querySelectorAll("time[data-ago]")) {
        const seconds = (Date.now() - shift - Date.parse(time.dateTime)) / 1000;
        time.textContent = seconds >= 0 ? span(seconds) + " ago" : "in " + span(-seconds);
      }
    };
    const show = (page) => {
      for (const part of parts(page)) {
        const here = document.getElementById(part.id);
        if (!here || shown.get(part.id) === part.innerHTML) continue;
        shown.set(part.id, part.innerHTML);
        here.innerHTML = part.innerHTML;
      }
      document.title = page.title;
    };
    const say = (text, isAway) => {
      if (line.textContent !== text) line.textContent = text;
      line.classList.toggle("away", isAway);
    };
    const look = async () => {
      if (asking) return;
      asking = true;
      clearTimeout(timer);
      try {
        const answer = await fetch("/", {
          cache: "no-store", headers: tag ? { "If-None-Match": tag } : {}, signal: AbortSignal.timeout(15000)
        });
        const text = await answer.text();
        if (answer.status === 200) {
          show(new DOMParser().parseFromString(text, "text/html"));
          tag = answer.headers.get("ETag");
        } else if (answer.status !== 304) {
          throw new Error(answer.status);
        }
        heard = Date.now();
        shift = heard - Date.parse(answer.headers.get("Date"));
        say("Live", false);
      } catch (error) {
        say("No answer for " + span((Date.now() - heard) / 1000) + "; this is what was last heard", true);
      }
      ago();
      asking = false;
      if (!document.hidden) timer = setTimeout(look, pause);
    };
    for (const part of parts(document)) shown.set(part.id, part.innerHTML);
    document.addEventListener("visibilitychange", () => document.hidden || look());
    look();
    """
}
