// The browser's half: sends acts, puts the HTML that comes back in place of what it shows, draws boxes and strokes.
const root = element.querySelector(".eigenwalk-body");
const lost = element.querySelector(".lost");
const fragment = new URLSearchParams(location.hash.slice(1));
let session = fragment.get("session") || sessionStorage.getItem("eigenwalk") || "";
let version = -1;
const PATIENCE = { pictures: 120, file: 1800 };
const pictures = new Pictures(64 << 20);  // bytes: all characters of a data URL are ASCII
const typed = new WeakSet();  // fields that a person writes in: an answer to what came before leaves them
let waiting = new Set();

function show(answer) {
  if (!answer || !answer.session) return;
  if (answer.session !== session) version = -1;
  session = answer.session;
  sessionStorage.setItem("eigenwalk", session);
  if (!lost.hidden) pictures.askAgain();
  lost.hidden = true;
  if (answer.html === null || answer.version <= version) return;
  version = answer.version;
  const fresh = document.createElement("div");
  fresh.innerHTML = answer.html;
  keepFocus(() => morph(root, fresh));
  fillPictures();
  for (const strip of root.querySelectorAll(".strip")) center(strip);
}

function center(strip) {
  // A narrow screen shows part of a row: the picture that is large, or the start.
  const here = strip.querySelector(".here") || strip.querySelector(".origin");
  const at = here && `${here.id} ${strip.children.length}`;
  if (!here || strip.dataset.at === at) return;
  strip.dataset.at = at;
  strip.scrollTo({ left: here.offsetLeft - strip.offsetLeft - (strip.clientWidth - here.offsetWidth) / 2 });
}

// What has the keyboard keeps it; where that is gone, what comes first around it takes it.
function keepFocus(change) {
  const around = [];
  for (let one = document.activeElement; root.contains(one) && one !== root; one = one.parentElement) around.push(one);
  change();
  if (!around.length || around[0].isConnected) return;
  for (const one of around.filter((one) => one.isConnected && one.id !== "work")) {
    const next = [...one.querySelectorAll("button, input, select, summary, [tabindex]")].find((one) => one.checkVisibility());
    if (next) return next.focus({ preventScroll: true });
  }
  root.querySelector(".stage").focus({ preventScroll: true });
}

// The same element before and after: by its id, else by what it does.
const identity = (node) => node.id || node.dataset?.act || node.dataset?.file || "";

function morph(old, fresh) {
  const known = new Map(), kept = new Set([...fresh.children].map(identity));
  for (const child of [...old.children]) {
    if (!identity(child)) continue;
    if (kept.has(identity(child))) known.set(identity(child), child); else child.remove();
  }
  let place = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const own = identity(next);
    let match = known.get(own);
    known.delete(own);
    if (!match && place && place.nodeName === next.nodeName && !identity(place) && !own) match = place;
    if (!match) { old.insertBefore(next, place); continue; }
    if (match !== place) old.insertBefore(match, place); else place = place.nextSibling;
    patch(match, next);
  }
  while (place) { const gone = place; place = place.nextSibling; gone.remove(); }
}

function patch(old, next) {
  if (old.nodeType !== 1) { if (old.data !== next.data) old.data = next.data; return; }
  if (old.hasAttribute("data-own")) return;
  const will = next.getAttribute("value");
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && name !== "src" && name !== "data-at" && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (old.nodeName === "INPUT" && old.type !== "file") {
    if (old.type === "checkbox") old.checked = next.hasAttribute("checked");
    else if (!typed.has(old) && !old.hasAttribute("data-cut") && old.value !== (will ?? "")) old.value = will ?? "";
  }
  morph(old, next);
  if (old.nodeName === "SELECT" && !old.dataset.fill) old.value = next.value;
}

function fillPictures() {
  const wanted = new Set();
  for (const image of root.querySelectorAll("img[data-picture]")) {
    const id = image.dataset.picture, url = pictures.get(id);
    if (url) { if (image.getAttribute("src") !== url) image.src = url; }
    else if (url === "") image.removeAttribute("src");
    else if (!waiting.has(id)) wanted.add(id);
  }
  // What is large comes first; a few at a time, so that the first are there soon.
  const ids = [...wanted];
  for (let i = 0; i < ids.length; i += 24) askPictures(ids.slice(i, i + 24));
}

async function askPictures(ids) {
  ids.forEach((id) => waiting.add(id));
  try {
    const found = await call("pictures", { ids });
    for (const id of ids) pictures.set(id, found[id] || "");  // what is not there is not asked for again
  } catch { /* the loop below says that the connection is lost */ }
  ids.forEach((id) => waiting.delete(id));
  for (const image of root.querySelectorAll("img[data-picture]")) {
    const url = pictures.get(image.dataset.picture);
    if (url && image.getAttribute("src") !== url) image.src = url;
  }
}

const sleep = (seconds) => new Promise((wake) => setTimeout(wake, 1000 * seconds));
async function call(name, entries) {
  // Gradio answers nothing where the server cannot be reached, and waits for ever for one that hangs.
  const answer = await Promise.race([server[name]({ session, ...entries }), sleep(PATIENCE[name] ?? 10)]);
  if (!answer) throw new Error("the studio does not answer");
  return answer;
}

let queue = Promise.resolve();
function act(entries) {
  queue = queue.then(async () => {
    try { show(await call("act", entries)); } catch { lost.hidden = false; }
  });
  return queue;
}

async function follow() {
  while (element.isConnected) {
    try { show(await call("follow", { version })); }
    catch { lost.hidden = false; await sleep(1.5); }
  }
}

const parsed = (target, name) => JSON.parse(target.dataset[name]);

root.addEventListener("click", (event) => {
  const target = event.target.closest("[data-act]");
  if (target?.ariaDisabled) return;
  if (target) return act(parsed(target, "act"));
  const file = event.target.closest("[data-file]");
  if (file && !file.ariaDisabled) save(parsed(file, "file"));
});

root.addEventListener("submit", (event) => {
  event.preventDefault();
  for (const field of event.target.elements) typed.delete(field);
  act({ ...parsed(event.target, "submit"), value: event.target.elements.value.value });
});

root.addEventListener("change", async (event) => {
  const target = event.target;
  if (!target.form) typed.delete(target);
  if (target.dataset.fill) {
    const field = root.querySelector(`#${target.dataset.fill}`);
    field.value = target.value;
    typed.add(field);
  } else if (target.dataset.field) {
    let value = target.value;
    if (target.dataset.group) value = [...root.querySelectorAll(`[data-group="${target.dataset.group}"]:checked`)].map((one) => one.value);
    act({ ...parsed(target, "field"), value });
  } else if (target.dataset.read && target.files[0]) {
    act({ ...parsed(target, "read"), value: await target.files[0].text() });
    target.value = "";
  } else if (target.dataset.upload && target.files[0]) {
    try { const { path } = await upload(target.files[0]); act({ ...parsed(target, "upload"), path }); }
    catch (error) { act({ act: "refused", value: String(error.message || error) }); }
    target.value = "";
  }
});

let typing;
root.addEventListener("input", (event) => {
  const target = event.target;
  typed.add(target);
  if (target.dataset.live) { clearTimeout(typing); typing = setTimeout(() => act({ ...parsed(target, "live"), value: target.value }), 150); }
  else if (target.closest(".tolerance")) target.closest(".tolerance").querySelector("output").value = `${target.value} %`;
  else if ("cut" in target.dataset) root.style.setProperty("--cut", `${target.value}%`);
  else if ("scrub" in target.dataset) { clearTimeout(typing); typing = setTimeout(() => act({ act: "scrub", value: target.value }), 30); }
});

element.ownerDocument.addEventListener("keydown", (event) => {
  if (!element.isConnected || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target.closest?.("input, select, textarea, summary, pre") || event.target.isContentEditable) return;
  const near = event.target.closest?.("[data-keys]") || (event.target === document.body && root.querySelector("[data-keys]"));
  const entries = near && parsed(near, "keys")[event.key];
  if (!entries) return;
  event.preventDefault();
  act(JSON.parse(entries)).then(() => {
    const here = root.querySelector(".thumbnail.here");
    if (here && document.activeElement?.classList.contains("thumbnail")) here.focus({ preventScroll: false });
  });
});

async function save(what) {
  try {
    const file = await call("file", { what });
    if (!file.url) return show(file);
    const link = document.createElement("a");
    link.href = file.url; link.download = file.name;
    link.click();
  } catch { lost.hidden = false; }
}

follow();
