// Services and their realservers.

import { ROWS_SHOWN, rows, services, touch } from "./facts.js";
import { isFit, isWell, stateOf } from "./judge.js";
import { $, dress, el, line, named, pill, put, table } from "./parts.js";
import { draw, spark } from "./spark.js";
import { lateText, now, number, plural, rateText, span } from "./words.js";

const OPEN_MAX = 60; // with more realservers than this, only services that are not well stand open
export const reader = { filter: "", only: false }; // what the reader wants to see
const opened = new Map(); // name of a service -> what the reader wants

function matches(row, words) {
  if (reader.only && isWell(row.facts)) return false;
  if (!words.length) return true;
  const s = services.get(row.facts.service).facts;
  const text = `${s.name} ${s.address} ${row.facts.name} ${row.facts.address} ${stateOf(row.facts)} ${row.facts.verdict} ${row.facts.reason}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

export function drawServices() {
  const words = reader.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const narrowed = words.length > 0 || reader.only;
  let shown = 0;
  let after = null;
  for (const service of services.values()) {
    const wanted = narrowed ? service.rows.filter((row) => matches(row, words)) : service.rows;
    const ill = !isFit(service.facts);
    const hidden = narrowed && wanted.length === 0 && !(reader.only && !words.length && ill);
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
    touch("services");
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
    touch("services");
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
  const text = !facts.present ? "not in the kernel" : facts.panic ? "panic" : ill ? "quorum lost" : facts.sorry ? "sorry server" : `live weight ${facts.have}, needs ${facts.need}`;
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

export function drawSparks() {
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
