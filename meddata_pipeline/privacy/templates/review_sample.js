"use strict";
// One reader, one sample. Offsets are code points, as everywhere in the project; JavaScript counts UTF-16 units.
const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const state = data.notes.map(() => ({ read: false, leaks: [] }));
let current = 0, lang = data.lang, saved = true, said = "missing";

function show() {
  const text = Array.from(data.notes[current].text), box = at("note");
  box.replaceChildren();
  const kind = i => state[current].leaks.some(([s, e]) => s <= i && i < e) ? "leak"
    : data.notes[current].placed.some(([s, e]) => s <= i && i < e) ? "placed" : "";
  for (let i = 0; i < text.length;) {
    let end = i + 1;
    while (end < text.length && kind(end) === kind(i)) end++;
    const piece = text.slice(i, end).join("");
    if (kind(i)) {
      const mark = document.createElement("span");
      mark.className = kind(i);
      mark.textContent = piece;
      box.append(mark);
    } else box.append(piece);
    i = end;
  }
  const words = data.texts[lang], read = state.filter(n => n.read).length, leaks = state.filter(n => n.leaks.length).length;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = words[element.dataset.t];
  document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
  at("where").textContent = `${words.note} ${current + 1} / ${state.length} · ${words.read} ${read} · ${words.leaks} ${leaks}`;
  at("progress").max = state.length;
  at("progress").value = read;
  at("said").textContent = words[read === state.length && said === "missing" ? "done" : said];
}

function selected() {
  const selection = document.getSelection(), box = at("note");
  if (!selection.rangeCount || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  if (!box.contains(range.startContainer) || !box.contains(range.endContainer)) return null;
  const before = document.createRange();
  before.setStart(box, 0);
  before.setEnd(range.startContainer, range.startOffset);
  const start = Array.from(before.toString()).length;
  return [start, start + Array.from(range.toString()).length];
}

function mark() {
  const span = selected() || [0, Array.from(data.notes[current].text).length];
  if (span[1] > span[0]) state[current].leaks.push(span);
  document.getSelection().removeAllRanges();
  saved = false;
  show();
}

function undo() {
  state[current].leaks.pop();
  saved = false;
  show();
}

function go(step) {
  if (step > 0) { state[current].read = true; saved = false; }
  current = Math.min(Math.max(current + step, 0), state.length - 1);
  said = "missing";
  show();
}

function answers() {
  return { format: data.format, sample: data.sample, reader: at("reader").value.trim(), notes: state };
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(answers())], { type: "application/json" }));
  link.download = "answers.json";
  link.click();
  URL.revokeObjectURL(link.href);
  saved = true;
}

async function load(file) {
  let found = null;
  try { found = JSON.parse(await file.text()); } catch { found = null; }
  const fits = found && found.sample === data.sample && Array.isArray(found.notes) && found.notes.length === state.length;
  said = fits ? "missing" : "wrong";
  if (fits) {
    found.notes.forEach((note, i) => { state[i].read = note.read === true; state[i].leaks = note.leaks; });
    at("reader").value = found.reader;
    current = Math.max(state.findIndex(note => !note.read), 0);
  }
  show();
}

at("mark").onclick = mark;
at("undo").onclick = undo;
at("next").onclick = () => go(1);
at("previous").onclick = () => go(-1);
at("save").onclick = save;
at("load").onchange = event => load(event.target.files[0]);
at("language").onclick = () => { lang = lang === "zh" ? "en" : "zh"; show(); };
// A click on a button takes the selection away in some browsers; it must stay until the mark is made.
at("mark").onmousedown = event => event.preventDefault();
document.addEventListener("keydown", event => {
  if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = { m: mark, u: undo, n: () => go(1), ArrowRight: () => go(1), p: () => go(-1), ArrowLeft: () => go(-1) };
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (act[key]) { event.preventDefault(); act[key](); }
});
window.addEventListener("beforeunload", event => { if (!saved) event.preventDefault(); });
show();
