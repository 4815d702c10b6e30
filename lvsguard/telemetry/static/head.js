// The upper half of the page: the headline, VIPs, directors, overrides, totals.

import { page, rows, services } from "./facts.js";
import { isFit, peerNotes, peerState, stateOf, vipTrouble } from "./judge.js";
import { $, MARK, ageCell, dress, el, line, named, pill, put, table } from "./parts.js";
import { moment, now, number, plural, rateText, span } from "./words.js";

export function drawHead() {
  const head = page.head;
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

export function drawTimes() {
  for (const node of document.querySelectorAll(".age")) {
    const since = Number(node.dataset.since);
    put(node, since ? span(now() - since) : "–");
  }
  for (const node of document.querySelectorAll(".when")) put(node, moment(Number(node.dataset.at)));
  for (const node of document.querySelectorAll(".left")) {
    put(node, node.dataset.expires ? span(Number(node.dataset.expires) - now()) : "until cleared");
  }
}

export function drawTiles() {
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
  const troubled = page.head && page.head.troubles.length > 0;
  const found = page.head && vipTrouble(page.head);
  const vips = found && [found[0], `${found[1]}: ${found[2]}`];
  const other = page.head?.peers.find((peer) => !peer.heard || peer.unfit.length > 0);
  const [state, text] = !page.hearing ? ["unknown", page.lastWord === null ? "connecting" : "not connected"]
    : vips?.[0] === "down" ? vips
    : troubled ? ["down", "trouble"]
    : unfit ? ["down", "quorum lost"]
    : vips ? vips
    : other ? ["drain", `${other.name || other.address} ${peerState(other)[1]}`]
    : count.down ? ["drain", `${number(count.down)} down`]
    : ["up", "all is well"];
  pill($("overall"), state, text);
  document.title = `${MARK[state]} ${text} – ${page.head ? page.head.director : "lvsguard"}`;
}
