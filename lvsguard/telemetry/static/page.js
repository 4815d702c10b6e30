// The status page: the stream that it hears, and the keys of its reader.

import { page, said, takeTouched, touch, whenTouched } from "./facts.js";
import { drawHead, drawTiles, drawTimes } from "./head.js";
import { $, dress, el, line, put, table } from "./parts.js";
import { drawServices, drawSparks, reader } from "./services.js";
import { say } from "./speech.js";
import { clock, moment, now } from "./words.js";

const SILENT_MS = 12000; // the daemon says something at least every few seconds
const RETRY_MS = 5000;

let scheduled = false;
let source = null;
let heard = 0; // when the last word came, ms

function drawEvents() {
  const body = el("tbody");
  for (const one of [...page.events].reverse()) {
    const at = el("time", "when", moment(one.at));
    at.dataset.at = one.at;
    at.dateTime = new Date(one.at * 1000).toISOString();
    at.title = new Date(one.at * 1000).toLocaleString();
    const names = one.level === "error" ? "bad" : one.level === "warning" ? "warn" : "";
    body.append(line(el("td", "quiet", at), el("td", "quiet", one.kind), el("td", names, one.text)));
  }
  $("events").replaceChildren(
    page.events.length ? table("events", [["Time", ""], ["Kind", ""], ["What", ""]], body) : el("p", "quiet", "None yet."),
  );
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  // A page that nobody sees gets no frames, and catches up when somebody does.
  requestAnimationFrame(() => {
    scheduled = false;
    const touched = takeTouched();
    if (touched.has("head") && page.head) drawHead();
    if (touched.has("services")) drawServices();
    if (touched.has("services") || touched.has("head")) drawTiles();
    if (touched.has("samples")) drawSparks();
    if (touched.has("events")) drawEvents();
    document.body.dataset.ready = String(page.whole);
  });
}

function linked() {
  dress($("link"), "quiet live");
  put($("link"), `live, ${clock(now())}`);
  $("lost").hidden = true;
  hears(true);
}

function lost(why) {
  dress($("link"), "quiet dead");
  put($("link"), "not connected");
  const known = page.lastWord === null ? "" : ` What is shown was so at ${moment(page.lastWord)}.`;
  const text = `${why}${known} Trying again.`;
  if ($("lost").hidden) say(text);
  put($("lost"), text);
  $("lost").hidden = false;
  hears(false);
}

// The headline and the title say it, too: a tab that nobody looks at gets no frames, but has its title.
function hears(is) {
  if (page.hearing !== is) touch("head");
  page.hearing = is;
  if (document.hidden) drawTiles();
}

function connect() {
  if (source) source.close();
  source = new EventSource("stream");
  heard = Date.now();
  for (const [name, take] of Object.entries(said)) {
    source.addEventListener(name, (event) => {
      heard = Date.now();
      take(JSON.parse(event.data));
      if (name === "hello") $("list").replaceChildren(); // all of it comes anew
      if (name === "beat") linked();
    });
  }
  source.addEventListener("error", () => {
    const refused = source.readyState === EventSource.CLOSED;
    lost(refused ? "The director does not let this page in: as many are open as may be, or the page is off." : "The connection to the director is lost.");
    if (refused) setTimeout(connect, RETRY_MS);
  });
}

setInterval(() => {
  drawTimes();
  if (source.readyState !== EventSource.CLOSED && Date.now() - heard > SILENT_MS) {
    lost("The director says nothing.");
    connect();
  }
}, 1000);

$("filter").addEventListener("input", (event) => {
  reader.filter = event.target.value;
  touch("services");
});

$("only").addEventListener("change", (event) => {
  reader.only = event.target.checked;
  touch("services");
});

document.addEventListener("keydown", (event) => {
  const typing = event.target === $("filter");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && !typing) {
    event.preventDefault();
    $("filter").focus();
  } else if (event.key === "t" && !typing && $("services").contains(event.target)) {
    // Not page-wide: who dictates, or whose screen reader has the letter, would hit it unawares.
    $("only").click();
    $("only").focus(); // where the focus was may be hidden now
  } else if (event.key === "Escape") {
    $("filter").value = reader.filter = "";
    if (reader.only) $("only").click();
    if (typing) $("services").focus({ preventScroll: true });
    touch("services");
  }
});

whenTouched(schedule);
connect();
