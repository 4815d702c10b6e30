// What is read out to those who do not see the page.

import { $, put } from "./parts.js";
import { plural } from "./words.js";

let saying = [];
let sayTimer = 0;

export function say(text) {
  saying.push(text);
  if (!sayTimer) sayTimer = setTimeout(sayNow, 1000);
}

function sayNow() {
  sayTimer = 0;
  const more = saying.length - 3;
  put($("said"), saying.slice(0, 3).join(". ") + (more > 0 ? `. And ${plural(more, "more change")}` : ""));
  saying = [];
}
