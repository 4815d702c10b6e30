// What the server has said, and what of it is not drawn yet.

import { peerState, stateOf } from "./judge.js";
import { say } from "./speech.js";
import { Samples } from "./spark.js";
import { follow } from "./words.js";

export const ROWS_SHOWN = 100; // of a service at first; a button shows more
export const services = new Map(); // number -> service
export const rows = new Map(); // number -> realserver
export const page = {
  head: null,
  events: [],
  version: null,
  whole: false, // whether all has come since the last hello
  hearing: false, // whether the stream speaks; else what is shown is of some time ago
  lastWord: null, // server's time of it
};
let dirty = new Set();
let wake = () => {};
let sampled = 0;

// Something is to be drawn anew: head, services, events or samples.
export function touch(part) {
  dirty.add(part);
  wake();
}

export function whenTouched(then) {
  wake = then;
}

export function takeTouched() {
  const parts = dirty;
  dirty = new Set();
  return parts;
}

export const said = {
  hello(data) {
    if (page.version !== null && page.version !== data.version) location.reload(); // another page goes with it
    page.version = data.version;
    services.clear();
    rows.clear();
    page.events = [];
    page.whole = false;
  },
  head(data) {
    const before = page.head;
    page.head = data;
    touch("head");
    if (!page.whole || !before) return;
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
    touch("services");
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
    touch("services");
  },
  live(list) {
    for (const live of list) rows.get(live[0]).live = live;
    touch("services");
  },
  events(list) {
    page.events = [...page.events, ...list].slice(-50);
    touch("events");
  },
  beat(data) {
    follow(data.now);
    page.lastWord = data.now;
    page.whole = true;
    if (Date.now() - sampled >= 950) sample();
  },
};

function sample() {
  sampled = Date.now();
  for (const row of rows.values()) {
    row.rates.add(row.live ? row.live[3] : null);
    row.lates.add(row.live ? row.live[4] : null);
  }
  for (const service of services.values()) service.rates.add(service.facts.rate);
  touch("samples");
}

function announce(before, after) {
  if (!page.whole || stateOf(before) === stateOf(after)) return;
  const service = services.get(after.service);
  say(`${service.facts.name}: ${after.name} is ${stateOf(after)}, was ${stateOf(before)}`);
}
