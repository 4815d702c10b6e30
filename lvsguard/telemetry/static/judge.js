// What is to be thought of what the server says. Pure.

import { number } from "./words.js";

export const stateOf = (facts) => (facts.admin === "ready" ? facts.verdict : facts.admin);
export const isWell = (facts) => facts.verdict === "up" && facts.admin === "ready" && facts.weight === facts.configured_weight;
export const isFit = (facts) => facts.present && facts.have >= facts.need && !facts.panic;

// The worst that is wrong with the VIPs: its colour, what, and with which VIP group; null: nothing.
export function vipTrouble(head) {
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
export function peerState(peer) {
  if (!peer.heard) return ["down", "silent"];
  if (!peer.unfit.length) return ["up", "heard"];
  const leads = peer.vips.length > 0 && peer.vips.every((vip) => vip.role === "master");
  return ["drain", leads ? "not well" : "not fit"];
}

// The lines of lvsguard status: why it is not fit, then what differs and is no reason for that.
export function peerNotes(peer) {
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
