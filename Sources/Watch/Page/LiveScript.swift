/// The script that updates an open page. It requests the page again, with the tag of the version it shows, and replaces
/// what has changed. It uses no other file. Without it the page shows the state at the time of loading.
///
/// The text contains neither `<` nor `&`, so that the page stays well-formed XML.
enum LiveScript {
  static let text = """
    "use strict";
    const pause = \(WebLimits.pagePause.seconds * 1000);
    const me = Math.random().toString(36).slice(2);
    const shown = new Map();
    const job = document.getElementById("job");
    const line = document.getElementById("connection");
    let tag = null, timer = 0, shift = 0, heard = Date.now(), asking = false;
    const parts = (page) => page.querySelectorAll("[data-live]");
    const span = (seconds) => {
      for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
        if (seconds >= 2 * size) return Math.round(seconds / size) + "\\u00a0" + unit;
      }
      return Math.max(0, Math.round(seconds)) + "\\u00a0s";
    };
    const ago = () => {
      for (const time of document.querySelectorAll("time[data-ago], time[data-until]")) {
        const seconds = (heard - shift - Date.parse(time.dateTime)) / 1000;
        if ("ago" in time.dataset) time.textContent = span(seconds) + "\\u00a0ago";
        else time.textContent = seconds >= 0 ? "at any moment" : "in\\u00a0" + span(-seconds);
      }
    };
    const table = document.getElementById("clientsTable");
    const wanted = document.getElementById("wanted");
    const names = new Intl.Collator("en", { numeric: true });
    const sizes = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };
    let column = 0, direction = 1;
    // Returns the sort key of a row: a time, a number with its unit, a share, or text; null for an empty cell.
    const value = (row) => {
      const cell = row.cells[column];
      const time = cell.querySelector("time");
      if (time) return Date.parse(time.dateTime);
      const bar = cell.querySelector("rect");
      if (bar) return Number(bar.getAttribute("width"));
      const [number, unit] = cell.textContent.split("\\u00a0");
      if (cell.textContent === "\\u2013") return null;
      return number === "" || isNaN(number) || column === 0 ? cell.textContent : number * (sizes[unit] || 1);
    };
    const arrange = () => {
      const body = table.tBodies[0];
      const rows = [...body.rows].filter((row) => row.cells.length > 1);
      const text = wanted.value.trim().toLowerCase();
      let count = 0;
      for (const row of rows) {
        row.hidden = !row.cells[0].textContent.toLowerCase().includes(text);
        if (!row.hidden) count += 1;
      }
      const found = text ? count + " of " + rows.length : "";
      const said = document.getElementById("found");
      if (said.textContent !== found) said.textContent = found;
      document.getElementById("find").hidden = rows.length === 0;
      const keys = new Map(rows.map((row) => [row, value(row)]));
      const compare = (a, b) => {
        const [one, two] = [keys.get(a), keys.get(b)];
        if (one === null || two === null) return (one === null) - (two === null);
        if (typeof one === "number" ? typeof two === "number" : false) return direction * (one - two);
        return direction * names.compare(one, two);
      };
      const order = (a, b) =>
        compare(a, b) || names.compare(a.cells[0].textContent, b.cells[0].textContent);
      body.append(...rows.sort(order));
    };
    [...table.tHead.rows[0].cells].forEach((head, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", index === 0 ? "ascending" : "none");
      button.addEventListener("click", () => {
        direction = column === index ? -direction : 1;
        column = index;
        for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
        arrange();
      });
    });
    wanted.addEventListener("input", arrange);
    const show = (page) => {
      for (const part of parts(page)) {
        const here = document.getElementById(part.id);
        if (!here || shown.get(part.id) === part.innerHTML) continue;
        shown.set(part.id, part.innerHTML);
        here.innerHTML = part.innerHTML;
        if (part.id === "clients") arrange();
      }
      document.title = page.title;
      job.dataset.over = page.getElementById("job").dataset.over;
    };
    const say = (text, isGone) => {
      if (line.textContent !== text) line.textContent = text;
      job.classList.toggle("gone", isGone);
      line.classList.toggle("away", isGone ? job.dataset.over === "no" : false);
    };
    const look = async () => {
      if (asking) return;
      asking = true;
      clearTimeout(timer);
      try {
        const answer = await fetch("/", {
          cache: "no-store", signal: AbortSignal.timeout(15000),
          headers: tag ? { "Strata-Page": me, "If-None-Match": tag } : { "Strata-Page": me }
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
        ago();
        say("Live", false);
      } catch (error) {
        // The page keeps the state of the last answer, and its times stop.
        const then = new Date(heard - shift).toISOString().slice(0, 19).replace("T", " ") + "\\u00a0UTC";
        say(job.dataset.over === "yes" ? "The server has ended; this is its last state, at " + then
          : "No answer since " + then + "; this is the last known state", true);
      }
      asking = false;
      if (!document.hidden) timer = setTimeout(look, pause);
    };
    for (const part of parts(document)) shown.set(part.id, part.innerHTML);
    arrange();
    document.addEventListener("visibilitychange", () => document.hidden || look());
    look();
    """
}
