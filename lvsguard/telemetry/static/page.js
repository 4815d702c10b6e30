// The status page. Text of servers and operators reaches the document by textContent alone.
"use strict";

const SAMPLES = 120; // of a sparkline, one a second
const ROWS_SHOWN = 100; // of a service at first; a button shows more
const OPEN_MAX = 60; // with more realservers than this, only services that are not well stand open
const SILENT_MS = 12000; // the daemon says something at least every few seconds
const RETRY_MS = 5000;
const SVG = "http://www.w3.org/2000/svg";

const $ = (id) => document.getElementById(id);
const services = new Map(); // number -> service
const rows = new Map(); // number -> realserver
const opened = new Map(); // name of a service -> what the reader wants
let events = [];
let top_ = null;
let version = null;
let skew = 0; // server's clock minus ours, seconds
let heard = 0; // when the last word came, ms
let whole = false; // whether all has come since the last hello
let sampled = 0;
let filter = "";
let only = false;
let source = null;
let lastWord = null; // server's time of it
let hearing = false; // whether the stream speaks; else what is shown is of some time ago
const dirty = { head: false, services: false, events: false, samples: false };

// ---- small parts ----------------------------------------------------------------------------

function el(tag, names, ...children) {
  const node = document.createElement(tag);
  if (names) node.className = names;
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function dress(node, names) {
  if (node.className !== names) node.className = names;
}

const now = () => Date.now() / 1000 + skew;

function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${two(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h${two(Math.floor((s % 3600) / 60))}m`;
  return `${Math.floor(s / 86400)}d${two(Math.floor((s % 86400) / 3600))}h`;
}

const clock = (at) => new Date(at * 1000).toLocaleTimeString([], { hourCycle: "h23" });
const day = (at) => new Date(at * 1000).toDateString();
// With its date where that is not today's: events of past days are shown, too.
function moment(at) {
  if (day(at) === day(now())) return clock(at);
  return `${new Date(at * 1000).toLocaleDateString([], { month: "short", day: "numeric" })} ${clock(at)}`;
}

const plural = (n, noun) => `${number(n)} ${noun}${n === 1 ? "" : "s"}`;
const number = (n) => n.toLocaleString("en").replaceAll(",", "\u202f");
const rateText = (rate) => (rate === null ? "–" : rate >= 100 ? number(Math.round(rate)) : rate.toFixed(1));
const lateText = (ms) => (ms ? (ms >= 100 ? `${Math.round(ms)} ms` : `${ms.toPrecision(2)} ms`) : "–");

function table(names, heads, body) {
  const t = el("table", names);
  t.setAttribute("role", "table");
  const head = el("tr");
  head.setAttribute("role", "row");
  for (const [text, cls] of heads) {
    const th = el("th", cls, text);
    th.scope = "col";
    th.setAttribute("role", "columnheader");
    head.append(th);
  }
  const thead = el("thead", "", head);
  thead.setAttribute("role", "rowgroup");
  body.setAttribute("role", "rowgroup");
  t.append(thead, body);
  return t;
}

function line(...cells) {
  const tr = el("tr");
  tr.setAttribute("role", "row");
  for (const cell of cells) {
    cell.setAttribute("role", cell.tagName === "TH" ? "rowheader" : "cell");
    if (cell.tagName === "TH") cell.scope = "row";
    tr.append(cell);
  }
  return tr;
}

function spark(kind) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `spark ${kind}`);
  svg.setAttribute("viewBox", "0 0 100 20");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const area = document.createElementNS(SVG, "path");
  area.setAttribute("class", "area");
  svg.append(area, document.createElementNS(SVG, "path"));
  return svg;
}

function draw(svg, samples) {
  const known = samples.values;
  let most = 0;
  for (const value of known) if (value > most) most = value;
  let path = "";
  let first = null;
  // The first ones fill a part of the width that can be read, the later ones all of it.
  const room = Math.max(known.length, SAMPLES / 4);
  const from = room - known.length;
  for (let at = 0; at < known.length; at++) {
    if (Number.isNaN(known[at])) continue;
    const x = ((from + at) * 100) / (room - 1);
    const y = most ? 19 - (known[at] * 18) / most : 19;
    first ??= x;
    path += `${path ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
  }
  svg.lastChild.setAttribute("d", path);
  svg.firstChild.setAttribute("d", path ? `${path}L100 20L${first.toFixed(1)} 20Z` : "");
}

class Samples {
  values = [];
  add(value) {
    this.values.push(value === null ? NaN : value);
    if (this.values.length > SAMPLES) this.values.shift();
  }
}

// ---- what the stream says -------------------------------------------------------------------

const said = {
  hello(data) {
    if (version !== null && version !== data.version) location.reload(); // another page goes with it
    version = data.version;
    services.clear();
    rows.clear();
    events = [];
    whole = false;
    $("list").replaceChildren();
  },
  head(data) {
    const before = top_;
    top_ = data;
    dirty.head = true;
    if (!whole || !before) return;
    for (const vip of data.vips) {
      const was = before.vips.find((one) => one.name === vip.name);
      if (was && was.role !== vip.role) say(`VIP ${vip.name}: this director is ${vip.role}, was ${was.role}`);
    }
    for (const peer of data.peers) {
      const was = before.peers.find((one) => one.name === peer.name);
      if (was && peerState(was)[1] !== peerState(peer)[1]) say(`Director ${peer.name}: ${peerState(peer)[1]}, was ${peerState(was)[1]}`);
    }
    for (const trouble of data.troubles) {
      if (!before.troubles.includes(trouble)) say(`Trouble: ${trouble}`);
    }
  },
  services(list) {
    for (const facts of list) {
      const known = services.get(facts.id);
      if (known) known.facts = facts;
      else services.set(facts.id, { facts, rows: [], rates: new Samples(), limit: ROWS_SHOWN, dom: null });
    }
    dirty.services = true;
  },
  rows(list) {
    for (const facts of list) {
      const known = rows.get(facts.id);
      if (known) {
        announce(known.facts, facts);
        if (stateOf(known.facts) !== stateOf(facts) || known.facts.weight !== facts.weight) known.changed = true;
        known.facts = facts;
      } else {
        const row = { facts, live: null, rates: new Samples(), lates: new Samples(), dom: null, changed: false };
        rows.set(facts.id, row);
        services.get(facts.service).rows.push(row);
      }
    }
    dirty.services = true;
  },
  live(list) {
    for (const live of list) rows.get(live[0]).live = live;
    dirty.services = true;
  },
  events(list) {
    events = [...events, ...list].slice(-50);
    dirty.events = true;
  },
  beat(data) {
    skew = data.now - Date.now() / 1000;
    lastWord = data.now;
    whole = true;
    if (Date.now() - sampled >= 950) sample();
    linked();
  },
};

function sample() {
  sampled = Date.now();
  for (const row of rows.values()) {
    row.rates.add(row.live ? row.live[3] : null);
    row.lates.add(row.live ? row.live[4] : null);
  }
  for (const service of services.values()) service.rates.add(service.facts.rate);
  dirty.samples = true;
}

const stateOf = (facts) => (facts.admin === "ready" ? facts.verdict : facts.admin);

// ---- what is read out -----------------------------------------------------------------------

let saying = [];
let sayTimer = 0;

function say(text) {
  saying.push(text);
  if (!sayTimer) sayTimer = setTimeout(sayNow, 1000);
}

function sayNow() {
  sayTimer = 0;
  const more = saying.length - 3;
  put($("said"), saying.slice(0, 3).join(". ") + (more > 0 ? `. And ${plural(more, "more change")}` : ""));
  saying = [];
}

function announce(before, after) {
  if (!whole || stateOf(before) === stateOf(after)) return;
  const service = services.get(after.service);
  say(`${service.facts.name}: ${after.name} is ${stateOf(after)}, was ${stateOf(before)}`);
}

// ---- drawing --------------------------------------------------------------------------------

const MARK = { up: "▲", down: "▼", unknown: "○", drain: "◆", disabled: "■", master: "★", backup: "☆", fault: "▼", init: "○" };

function pill(node, state, text) {
  dress(node, `pill ${state}`);
  put(node, `${MARK[state] ?? ""} ${text ?? state}`.trim());
  return node;
}

const isWell = (facts) => facts.verdict === "up" && facts.admin === "ready" && facts.weight === facts.configured_weight;
const isFit = (facts) => facts.have >= facts.need && !facts.panic;

function drawHead() {
  const head = top_;
  put($("director"), head.director);
  put($("about"), `lvsguard ${head.version} · config ${head.config}`);
  $("troubles").hidden = head.troubles.length === 0;
  $("trouble-list").replaceChildren(...head.troubles.map((text) => el("li", "", text)));
  drawVips(head);
  drawDirectors(head);
  drawOverrides(head);
  drawForeign(head);
}

function drawVips(head) {
  const body = el("tbody");
  for (const vip of head.vips) {
    const remarks = [...vip.conflicts.map((text) => [text, "under bad"])];
    if (vip.problem) remarks.push([vip.problem, "under bad"]);
    if (vip.ready === false || vip.why.length) remarks.push([`${vip.ready === false ? "stands back" : "priority lowered"}: ${vip.why.join("; ")}`, "under warn"]);
    if (vip.held_back) remarks.push(["held back by a failover", "under warn"]);
    const election = vip.vrid === null ? "" : `vrid ${vip.vrid}, priority ${vip.priority}`;
    const who = vip.master ?? (vip.role === "master" ? head.director : "nobody known");
    body.append(line(
      el("th", "", vip.name, el("span", "under mono", vip.addresses.join(" "))),
      el("td", "", pill(el("span"), vip.role), ...remarks.map(([text, names]) => el("span", names, text))),
      named("Master", el("td", "", who, el("span", "under", election))),
      ageCell(vip.since),
    ));
  }
  $("vips").replaceChildren(
    head.vips.length
      ? table("stack", [["VIP", ""], ["Here", ""], ["Master", ""], ["For", "num"]], body)
      : el("p", "quiet", "The config names none."),
  );
}

function named(label, cell) {
  cell.dataset.name = label;
  return cell;
}

function ageCell(since) {
  const cell = named("For", el("td", "num age"));
  cell.dataset.since = since;
  put(cell, since ? span(now() - since) : "–");
  return cell;
}

function drawDirectors(head) {
  const body = el("tbody");
  const roles = (vips) => named("VIPs", el("td", "", ...vips.flatMap((vip) => [pill(el("span"), vip.role, `${vip.name}: ${vip.role}`), " "])));
  body.append(line(
    el("th", "", head.director, el("span", "under", "this one")),
    el("td", "", pill(el("span"), ...(head.troubles.length ? ["down", "trouble"] : vipTrouble(head)?.slice(0, 2) ?? ["up", "well"])),
      head.sync && head.sync.length < 2 ? el("span", "under bad", "a sync daemon is missing") : ""),
    roles(head.vips), ageCell(head.started),
  ));
  for (const peer of head.peers) {
    const notes = peerNotes(peer);
    body.append(line(
      el("th", "", peer.name || peer.address, el("span", "under mono", peer.name ? peer.address : "")),
      el("td", "", pill(el("span"), ...peerState(peer)), notes.length ? "" : el("span", "under", peer.heard ? "same config, health and overrides" : "")),
      roles(peer.vips), ageCell(peer.since),
    ));
    if (!notes.length) continue;
    // Sentences, which a column of the table is too narrow for.
    const why = el("td", "remarks", ...notes.map(([names, text]) => el("span", names, text)));
    why.colSpan = 4;
    body.append(line(why));
  }
  const below = [];
  if (head.etcd === false) below.push(el("p", "warn", "etcd, where directors meet, cannot be asked: what is known of the others is what was told last."));
  if (head.etcd === true) below.push(el("p", "quiet", "They meet at etcd, which answers."));
  if (!head.peers.length) below.push(el("p", "quiet", head.etcd === null ? "No channel to another director: [peer] in the config makes one." : "No other director is known."));
  $("directors").replaceChildren(table("stack", [["Director", ""], ["State", ""], ["VIPs", ""], ["For", "num"]], body), ...below);
}

// The worst that is wrong with the VIPs: its colour, what, and with which VIP group; null: nothing.
function vipTrouble(head) {
  const elsewhere = (vip) => head.peers.some((peer) => peer.heard && peer.vips.some((one) => one.name === vip.name && one.role === "master"));
  const found = (is) => head.vips.find(is);
  const twice = found((vip) => vip.role === "master" && elsewhere(vip));
  if (twice) return ["down", "two masters", twice.name];
  const nobodys = found((vip) => vip.role !== "master" && vip.master === null && !elsewhere(vip));
  if (nobodys) return ["down", "no master", nobodys.name];
  const out = found((vip) => vip.role === "fault" || vip.role === "init");
  if (out) return ["down", out.role, out.name];
  const back = found((vip) => vip.ready === false);
  return back ? ["drain", "stands back", back.name] : null;
}

// A master that is not well takes nothing over: it is not asked whether it is fit for that.
function peerState(peer) {
  if (!peer.heard) return ["down", "silent"];
  if (!peer.unfit.length) return ["up", "heard"];
  const leads = peer.vips.length > 0 && peer.vips.every((vip) => vip.role === "master");
  return ["drain", leads ? "not well" : "not fit"];
}

// The lines of lvsguard status: why it is not fit, then what differs and is no reason for that.
function peerNotes(peer) {
  const notes = peer.problem ? [["under bad", peer.problem]] : [];
  if (!peer.heard) return notes;
  const told = new Set(peer.unfit.map((one) => one.why));
  for (const one of peer.unfit) notes.push(["under warn", one.text]);
  if (peer.same_config === false && !told.has("config")) {
    const keys = firstOf(peer.config_differs).join("; ") || "the order of its keys";
    notes.push(["under warn", `another config, of no matter here: ${keys}`]);
  }
  if (peer.other_table) notes.push(["under warn", peer.other_table]);
  if (!told.has("checks")) for (const text of firstOf(peer.differs)) notes.push(["under warn", text]);
  return notes;
}

function firstOf(lines) {
  const more = lines.length - 5;
  return more > 0 ? [...lines.slice(0, 5), `and ${number(more)} more`] : lines;
}

function drawForeign(head) {
  $("foreign").hidden = head.foreign_count === 0;
  const more = head.foreign_count - head.foreign.length;
  $("foreign-list").replaceChildren(
    ...head.foreign.map((one) => el("li", "", el("span", "mono", one.service), ` ${one.scheduler}, ${plural(one.realservers, "realserver")}`)),
    ...(more > 0 ? [el("li", "quiet", `and ${number(more)} more`)] : []),
  );
}

function drawOverrides(head) {
  $("held").hidden = head.overrides_count === 0;
  const body = el("tbody");
  for (const one of head.overrides) {
    const left = named("Time left", el("td", "num left"));
    left.dataset.expires = one.expires ?? "";
    body.append(line(
      el("th", "", one.target),
      el("td", "", pill(el("span"), one.kind === "drain" ? "drain" : one.kind === "disable" ? "disabled" : "unknown", one.weight ? `${one.kind} ${one.weight}` : one.kind)),
      named("By, and why", el("td", "", one.actor, el("span", "under", one.reason))),
      ageCell(one.since), left,
    ));
  }
  const more = head.overrides_count - head.overrides.length;
  $("overrides").replaceChildren(
    table("stack", [["Target", ""], ["Kind", ""], ["By, and why", ""], ["For", "num"], ["Time left", "num"]], body),
    ...(more > 0 ? [el("p", "quiet", `and ${number(more)} more`)] : []),
  );
  drawTimes();
}

function drawTimes() {
  for (const node of document.querySelectorAll(".age")) {
    const since = Number(node.dataset.since);
    put(node, since ? span(now() - since) : "–");
  }
  for (const node of document.querySelectorAll(".when")) put(node, moment(Number(node.dataset.at)));
  for (const node of document.querySelectorAll(".left")) {
    put(node, node.dataset.expires ? span(Number(node.dataset.expires) - now()) : "until cleared");
  }
}

function drawTiles() {
  const count = { up: 0, down: 0, drain: 0, unknown: 0, disabled: 0 };
  let active = 0;
  let rate = null;
  for (const row of rows.values()) {
    count[stateOf(row.facts)]++;
    if (row.live) active += row.live[1];
  }
  let unfit = 0;
  for (const service of services.values()) {
    if (!isFit(service.facts)) unfit++;
    if (service.facts.rate !== null) rate = (rate ?? 0) + service.facts.rate;
  }
  const held = count.drain + count.disabled;
  const tiles = [
    ["", services.size, "services"],
    ["up", count.up, "up"],
    [count.down ? "down" : "", count.down, "down"],
    [held ? "drain" : "", held, "drained"],
    ["", active, "connections"],
    ["", rate === null ? "–" : rateText(rate), "new/s"],
  ];
  const list = $("tiles");
  tiles.forEach(([names, value, text], at) => {
    let tile = list.children[at];
    if (!tile) list.append((tile = el("li", "", el("b"), el("span", "quiet"))));
    dress(tile, names);
    put(tile.firstChild, typeof value === "number" ? number(value) : value);
    put(tile.lastChild, text);
  });
  const troubled = top_ && top_.troubles.length > 0;
  const found = top_ && vipTrouble(top_);
  const vips = found && [found[0], `${found[1]}: ${found[2]}`];
  const other = top_?.peers.find((peer) => !peer.heard || peer.unfit.length > 0);
  const [state, text] = !hearing ? ["unknown", lastWord === null ? "connecting" : "not connected"]
    : vips?.[0] === "down" ? vips
    : troubled ? ["down", "trouble"]
    : unfit ? ["down", "quorum lost"]
    : vips ? vips
    : count.down ? ["drain", `${number(count.down)} down`]
    : other ? ["drain", `${other.name || other.address} ${peerState(other)[1]}`]
    : ["up", "all is well"];
  pill($("overall"), state, text);
  document.title = `${MARK[state]} ${text} – ${top_ ? top_.director : "lvsguard"}`;
}

function matches(row, words) {
  if (only && isWell(row.facts)) return false;
  if (!words.length) return true;
  const s = services.get(row.facts.service).facts;
  const text = `${s.name} ${s.address} ${row.facts.name} ${row.facts.address} ${stateOf(row.facts)} ${row.facts.verdict} ${row.facts.reason}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

function drawServices() {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const narrowed = words.length > 0 || only;
  let shown = 0;
  let after = null;
  for (const service of services.values()) {
    const wanted = narrowed ? service.rows.filter((row) => matches(row, words)) : service.rows;
    const ill = !isFit(service.facts);
    const hidden = narrowed && wanted.length === 0 && !(only && !words.length && ill);
    if (!service.dom) {
      service.dom = newService(service);
      if (after) after.after(service.dom.box);
      else $("list").prepend(service.dom.box);
    }
    after = service.dom.box;
    service.dom.box.hidden = hidden;
    if (hidden) continue;
    shown += wanted.length;
    const well = !ill && service.rows.every((row) => isWell(row.facts));
    const open = narrowed ? opened.get(service.facts.name) ?? wanted.length <= ROWS_SHOWN
      : opened.get(service.facts.name) ?? (rows.size <= OPEN_MAX || (!well && service.rows.length <= ROWS_SHOWN));
    service.dom.setOpen(open);
    drawService(service, ill);
    if (open) drawRows(service, wanted);
  }
  put($("found"), narrowed ? `${plural(shown, "realserver")} of ${number(rows.size)}` : "");
}

function newService(service) {
  const dom = { where: el("span", "mono quiet"), counts: el("span", "quiet"), quorum: el("span"), rate: el("span", "quiet"), spark: spark("rate"), why: el("div"), body: el("tbody") };
  const title = el("h3", "", service.facts.name);
  const summary = el("summary", "", title, dom.where, el("span", "grow"), dom.counts, el("span", "both", dom.spark, dom.rate), dom.quorum);
  dom.more = el("button", "more");
  dom.more.type = "button";
  dom.more.addEventListener("click", () => {
    service.limit += 200;
    dirty.services = true;
    schedule();
  });
  dom.table = table("rows", [["Realserver", ""], ["State", ""], ["Weight", "num"], ["Active", "num"], ["Idle", "num"], ["New/s", "num"], ["Latency", "num"], ["For", "num"], ["Why", ""]], dom.body);
  dom.table.setAttribute("aria-label", `Realservers of ${service.facts.name}`);
  const inside = el("div", "inside", dom.why, dom.table, dom.more);
  dom.box = el("details", "", summary, inside);
  dom.setOpen = (open) => {
    if (dom.box.open !== open) dom.box.open = open;
  };
  summary.addEventListener("click", (event) => {
    event.preventDefault();
    opened.set(service.facts.name, !dom.box.open);
    dirty.services = true;
    schedule();
  });
  return dom;
}

function drawService(service, ill) {
  const { facts, dom } = service;
  put(dom.where, `${facts.protocol ? `${facts.protocol} ` : ""}${facts.address} · ${facts.scheduler}/${facts.forwarding}`);
  const count = {};
  let active = 0;
  for (const row of service.rows) {
    const state = stateOf(row.facts);
    count[state] = (count[state] ?? 0) + 1;
    if (row.live) active += row.live[1];
  }
  const parts = ["up", "down", "drain", "disabled", "unknown"].filter((s) => count[s]).map((s) => `${number(count[s])} ${s}`);
  put(dom.counts, `${parts.join(", ")} · ${number(active)} active`);
  put(dom.rate, `${rateText(facts.rate)}/s`);
  const text = facts.panic ? "panic" : ill ? "quorum lost" : facts.sorry ? "sorry server" : `live weight ${facts.have}, needs ${facts.need}`;
  pill(dom.quorum, facts.panic || ill ? "down" : facts.sorry ? "drain" : "up", text);
  dress(dom.box, ill || facts.panic ? "ill" : "");
  const why = [...facts.why];
  if (facts.slow_starting) why.push(`${plural(facts.slow_starting, "realserver")} in slow start`);
  if (dom.why.childElementCount !== why.length || why.some((text, at) => dom.why.children[at].textContent !== text)) {
    dom.why.replaceChildren(...why.map((text) => el("p", "why", text)));
  }
}

function drawRows(service, wanted) {
  const limit = service.limit;
  let list = wanted;
  if (list.length > limit) {
    const ill = list.filter((row) => !isWell(row.facts));
    list = [...ill, ...list.filter((row) => isWell(row.facts))].slice(0, limit);
  }
  const body = service.dom.body;
  let at = body.firstChild;
  for (const row of list) {
    if (!row.dom) row.dom = newRow();
    if (row.dom.tr === at) at = at.nextSibling;
    else body.insertBefore(row.dom.tr, at);
    drawRow(row);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
  const more = wanted.length - list.length;
  service.dom.more.hidden = more <= 0;
  put(service.dom.more, `Show more (${number(more)} not shown)`);
}

function newRow() {
  const dom = { name: document.createTextNode(""), where: el("span", "under mono"), state: el("span"), verdict: el("span", "under"), weight: el("td", "num weight"), active: el("td", "num"), idle: el("td", "num idle"), rate: el("span"), late: el("span"), rates: spark("rate"), lates: spark("late"), age: el("td", "num age for"), why: el("span"), notes: el("div") };
  named("Weight", dom.weight);
  named("Active", dom.active);
  named("For", dom.age);
  dom.tr = line(
    el("th", "", dom.name, dom.where), el("td", "state", dom.state, dom.verdict), dom.weight, dom.active, dom.idle,
    named("New/s", el("td", "num", el("span", "both", dom.rates, dom.rate))),
    named("Latency", el("td", "num", el("span", "both", dom.lates, dom.late))),
    dom.age, el("td", "reason", dom.why, dom.notes),
  );
  dom.tr.addEventListener("animationend", () => dom.tr.classList.remove("changed"));
  return dom;
}

function drawRow(row) {
  const { facts, live, dom } = row;
  const host = facts.address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  const title = facts.name === host ? facts.address : facts.name;
  if (dom.name.data !== title) dom.name.data = title;
  put(dom.where, facts.name === host ? "" : facts.address);
  pill(dom.state, stateOf(facts));
  put(dom.verdict, facts.admin === "ready" ? "" : `checks: ${facts.verdict}`);
  const held = facts.weight === null ? "–" : String(facts.weight);
  put(dom.weight, facts.weight === facts.configured_weight ? held : `${held}/${facts.configured_weight}`);
  put(dom.active, live ? number(live[1]) : "–");
  put(dom.idle, live ? number(live[2]) : "–");
  put(dom.rate, live ? rateText(live[3]) : "–");
  put(dom.late, live ? lateText(live[4]) : "–");
  dom.age.dataset.since = facts.since;
  put(dom.age, facts.since ? span(now() - facts.since) : "–");
  put(dom.why, facts.reason);
  dress(dom.why, facts.verdict === "down" ? "bad" : "");
  if (dom.notes.childElementCount !== facts.notes.length || facts.notes.some((text, at) => dom.notes.children[at].textContent !== text)) {
    dom.notes.replaceChildren(...facts.notes.map((text) => el("span", "under", text)));
  }
  if (row.changed) {
    row.changed = false;
    dom.tr.classList.add("changed");
  }
}

function drawSparks() {
  for (const service of services.values()) {
    if (!service.dom || service.dom.box.hidden) continue;
    draw(service.dom.spark, service.rates);
    if (!service.dom.box.open) continue;
    for (const row of service.rows) {
      if (row.dom && row.dom.tr.isConnected) {
        draw(row.dom.rates, row.rates);
        draw(row.dom.lates, row.lates);
      }
    }
  }
}

function drawEvents() {
  const body = el("tbody");
  for (const one of [...events].reverse()) {
    const at = el("time", "when", moment(one.at));
    at.dataset.at = one.at;
    at.dateTime = new Date(one.at * 1000).toISOString();
    at.title = new Date(one.at * 1000).toLocaleString();
    const names = one.level === "error" ? "bad" : one.level === "warning" ? "warn" : "";
    body.append(line(el("td", "quiet", at), el("td", "quiet", one.kind), el("td", names, one.text)));
  }
  $("events").replaceChildren(
    events.length ? table("events", [["Time", ""], ["Kind", ""], ["What", ""]], body) : el("p", "quiet", "None yet."),
  );
}

let scheduled = false;

function schedule() {
  if (scheduled) return;
  scheduled = true;
  // A page that nobody sees gets no frames, and catches up when somebody does.
  requestAnimationFrame(() => {
    scheduled = false;
    if (dirty.head && top_) drawHead();
    if (dirty.services) drawServices();
    if (dirty.services || dirty.head) drawTiles();
    if (dirty.samples) drawSparks();
    if (dirty.events) drawEvents();
    for (const part of Object.keys(dirty)) dirty[part] = false;
    document.body.dataset.ready = String(whole);
  });
}

// ---- the connection -------------------------------------------------------------------------

function linked() {
  dress($("link"), "quiet live");
  put($("link"), `live, ${clock(now())}`);
  $("lost").hidden = true;
  hears(true);
}

function lost(why) {
  dress($("link"), "quiet dead");
  put($("link"), "not connected");
  const known = lastWord === null ? "" : ` What is shown was so at ${moment(lastWord)}.`;
  const text = `${why}${known} Trying again.`;
  if ($("lost").hidden) say(text);
  put($("lost"), text);
  $("lost").hidden = false;
  hears(false);
}

// The headline and the title say it, too: a tab that nobody looks at gets no frames, but has its title.
function hears(is) {
  if (hearing !== is) dirty.head = true;
  hearing = is;
  if (document.hidden) drawTiles();
  schedule();
}

function connect() {
  if (source) source.close();
  source = new EventSource("stream");
  heard = Date.now();
  for (const [name, take] of Object.entries(said)) {
    source.addEventListener(name, (event) => {
      heard = Date.now();
      take(JSON.parse(event.data));
      schedule();
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
  filter = event.target.value;
  dirty.services = true;
  schedule();
});

$("only").addEventListener("change", (event) => {
  only = event.target.checked;
  dirty.services = true;
  schedule();
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
    $("filter").value = filter = "";
    if (only) $("only").click();
    if (typing) $("services").focus({ preventScroll: true });
    dirty.services = true;
    schedule();
  }
});

connect();
