// Small parts of the document. Text of servers and operators reaches it by textContent alone.

import { now, span } from "./words.js";

export const MARK = { up: "▲", down: "▼", unknown: "○", drain: "◆", disabled: "■", master: "★", backup: "☆", fault: "▼", init: "○" };

export const $ = (id) => document.getElementById(id);

export function el(tag, names, ...children) {
  const node = document.createElement(tag);
  if (names) node.className = names;
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
}

export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function dress(node, names) {
  if (node.className !== names) node.className = names;
}

export function table(names, heads, body) {
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

export function line(...cells) {
  const tr = el("tr");
  tr.setAttribute("role", "row");
  for (const cell of cells) {
    cell.setAttribute("role", cell.tagName === "TH" ? "rowheader" : "cell");
    if (cell.tagName === "TH") cell.scope = "row";
    tr.append(cell);
  }
  return tr;
}

export function named(label, cell) {
  cell.dataset.name = label;
  return cell;
}

export function ageCell(since) {
  const cell = named("For", el("td", "num age"));
  cell.dataset.since = since;
  put(cell, since ? span(now() - since) : "–");
  return cell;
}

export function pill(node, state, text) {
  dress(node, `pill ${state}`);
  put(node, `${MARK[state] ?? ""} ${text ?? state}`.trim());
  return node;
}
