// Drives the page in headless Chromium as a person would: clicks, keys, the pointer. Needs no packages.
//   node tests/page.mjs FOLDER SHOTS [CHROMIUM [EBM]]     FOLDER as src/web/build.sh wrote it; screenshots and downloads go to SHOTS
// With the path of the command line, EBM, also the page of `ebm train --serve`; with - for FOLDER only that.
// Fails on a wrong outcome, and on any error or warning in the console.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join, resolve } from "node:path";

const [folder, shots, chromium = "chromium", ebm] = process.argv.slice(2);
if (!shots) throw new Error("usage: node tests/page.mjs FOLDER SHOTS [CHROMIUM [EBM]]");
mkdirSync(shots, { recursive: true });
const TYPES = { html: "text/html", js: "text/javascript", wasm: "application/wasm" };
const server = createServer((request, response) => {
  const name = request.url === "/" ? "index.html" : request.url.slice(1);
  response.setHeader("Content-Type", TYPES[name.split(".").pop()] ?? "text/plain");
  response.end(readFileSync(join(folder, name)));
}).listen(0);
const url = `http://localhost:${server.address().port}/`;

// The DevTools protocol over two pipes: JSON messages that end with a zero byte.
const profile = resolve(shots, "profile");
const browser = spawn(chromium, ["--headless=new", "--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan", "--remote-debugging-pipe", `--user-data-dir=${profile}`, "about:blank"],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
const waiting = new Map(), complaints = [];
let last = 0, rest = "";
browser.stdio[4].setEncoding("utf8").on("data", (text) => {
  const parts = (rest + text).split("\0");
  rest = parts.pop();
  for (const { id, result, error, method, params } of parts.map((part) => JSON.parse(part))) {
    if (id) error ? waiting.get(id).no(new Error(error.message)) : waiting.get(id).yes(result);
    if (method === "Runtime.exceptionThrown") complaints.push(params.exceptionDetails.exception?.description);
    if (method === "Log.entryAdded" && params.entry.level !== "info") complaints.push(params.entry.text);
    if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type))
      complaints.push(params.args.map((arg) => arg.value ?? arg.description).join(" "));
  }
});
const send = (method, params = {}, sessionId) => new Promise((yes, no) => {
  waiting.set(++last, { yes, no });
  browser.stdio[3].write(JSON.stringify({ id: last, method, params, sessionId }) + "\0");
});
const { targetId } = await send("Target.createTarget", { url: "about:blank" });
const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
const page = (method, params) => send(method, params, sessionId);

const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));
const value = async (expression) => (await page("Runtime.evaluate", { expression, returnByValue: true })).result.value;
const text = async (id) => (await value(`document.getElementById("${id}")?.textContent`)) ?? "";
async function until(what, seconds, condition) {
  for (const end = Date.now() + 1000 * seconds; Date.now() < end; await sleep(100)) if (await condition()) return;
  throw new Error(`${what}: not within ${seconds} s; the page says: ${await text("message")}; ${complaints.join("; ")}`);
}
const says = (words, seconds = 60) => until(words, seconds, async () => (await text("message")).includes(words));
async function place(id, x = 0.5, y = 0.5) {
  const box = `document.getElementById("${id}").getBoundingClientRect()`;
  await value(`document.getElementById("${id}").scrollIntoView({ block: "nearest" })`);
  const [left, top, width, height] = await value(`(() => { const b = ${box}; return [b.left, b.top, b.width, b.height]; })()`);
  return { x: left + x * width, y: top + y * height };
}
const mouse = (type, at, buttons) => page("Input.dispatchMouseEvent", { type, ...at, buttons, button: "left", clickCount: 1 });
async function click(id) {
  const at = await place(id);
  await mouse("mousePressed", at, 1);
  await mouse("mouseReleased", at, 0);
}
async function key(key, code) {
  const named = { key, code, text: key, windowsVirtualKeyCode: key.toUpperCase().charCodeAt(0) };
  await page("Input.dispatchKeyEvent", { type: "keyDown", ...named });
  await page("Input.dispatchKeyEvent", { type: "keyUp", ...named });
}
// A person chooses in a list or types into a field, and the browser tells the page that it changed.
const choose = (id, to) => value(`(() => { const e = document.getElementById("${id}"); e.value = ${JSON.stringify(to)};
  e.dispatchEvent(new Event("change")); })()`);
async function shot(name, width = 1200, height = 1000) {
  await page("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
  await sleep(700);
  const { data } = await page("Page.captureScreenshot", { captureBeyondViewport: true });
  writeFileSync(join(shots, `${name}.png`), Buffer.from(data, "base64"));
}
const done = async () => Number(await text("done"));
async function metrics() {
  const names = await value(`[...document.getElementById("metric").options].map((o) => o.value)`);
  const all = {};
  for (const name of names) {
    await choose("metric", name);
    await sleep(150);
    all[name] = Number(await text("value"));
  }
  return all;
}

// Trains in the browser.
async function trains() {
  await send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: resolve(shots) });
  const { identifier } = await page("Page.addScriptToEvaluateOnNewDocument",
    { source: `Object.defineProperty(Navigator.prototype, "gpu", { get: () => undefined })` });
  await page("Page.navigate", { url });
  await says("no WebGPU");
  await shot("no-webgpu");
  await page("Page.removeScriptToEvaluateOnNewDocument", { identifier });

  await page("Page.navigate", { url });
  await says("Ready");
  console.log("adapter:", await text("adapter"));
  for (let i = 1; i <= 20; i++) {
    await key("s", "KeyS");
    await until(`step ${i}`, 60, async () => (await done()) === i);
  }
  console.log("after 20 steps:", JSON.stringify(await metrics()));
  await choose("metric", "energy_gap");

  const began = Date.now();
  await click("pause");
  await until("SW2 <= 0.25", 900, async () => Number(await text("sw2")) <= 0.25);
  console.log(`SW2 ${await text("sw2")} after ${await done()} iterations, ${(Date.now() - began) / 1000} s`);
  await until("a speed", 60, async () => Number(await text("rate")) > 0);
  await sleep(6000);
  console.log(`${await text("rate")} iterations/s, frame ${await text("frame")}`);
  await key(" ", "Space");
  await says("Paused");
  await shot("wide");

  await choose("lr", "0.002");
  await says("press Start");
  await click("files"); // its summary, which opens it
  await click("save");
  await says("Saved");
  const saved = (await text("message")).match(/as (\S+\.tar)/)[1], at = await done();
  await sleep(1000);
  console.log(`${saved}: ${statSync(join(shots, saved)).size} bytes after ${at} iterations`);
  await key("r", "KeyR");
  await says("From the start");
  const { root } = await page("DOM.getDocument");
  const { nodeId } = await page("DOM.querySelector", { nodeId: root.nodeId, selector: "#load" });
  await page("DOM.setFileInputFiles", { nodeId, files: [resolve(shots, saved)] });
  await says("Loaded");
  if ((await done()) !== at) throw new Error(`loaded ${await done()} iterations, saved ${at}`);

  await click("step");
  await until("a step", 60, async () => (await done()) === at + 1);
  await click("kernels");
  await value(`document.getElementById("kernel").selectedIndex = 2; document.getElementById("kernel").dispatchEvent(new Event("change"))`);
  await until("the text of a kernel", 10, async () => (await text("wgsl")).includes("@compute"));
  await click("time");
  await says("Kernels of an iteration take", 120);
  console.log(await text("message"));
  console.log("kernels:", await value(`[...document.getElementById("kernel").options].map((o) => o.value).join("; ")`));
  await shot("kernels", 1200, 1500);

  await choose("density", "two-moons");
  await says("cd/two-moons with its settings");
  await choose("density", "your own points");
  await says("Draw on the map");
  await mouse("mousePressed", await place("points", 0.2, 0.7), 1);
  for (let i = 0; i <= 30; i++) await mouse("mouseMoved", await place("points", 0.2 + 0.02 * i, 0.5 + 0.25 * Math.cos(i / 5)), 1);
  await mouse("mouseReleased", await place("points", 0.8, 0.7), 0);
  await says("trains on");
  await until("training on own points", 300, async () => (await done()) >= 10);
  await shot("drawn");
  await shot("narrow", 390, 844);
}

// A first energy of one's own from a fresh page: one choice, another map; one click, and it trains.
async function own() {
  await page("Page.navigate", { url });
  await says("Ready");
  const map = () => value(`document.getElementById("map").toDataURL()`);
  await until("a map", 60, async () => (await map()).length > 2000);
  const before = await map();
  await choose("activation", "relu");
  await says("Changed at iteration 0");
  if ((await map()) === before) throw new Error("the map shows the energy from before");
  await click("pause");
  await until("training with relu", 300, async () => (await done()) >= 20);
  await shot("own");
  await choose("l2", "-1");
  await says("energy_l2");
  const at = await done();
  await until("training in spite of a wrong setting", 60, async () => (await done()) > at);
}

// Looks at a training of the command line.
async function looks() {
  rmSync(join(shots, "run"), { recursive: true, force: true });
  const run = spawn(ebm, ["train", "cd/eight-gaussians", "--serve", "0", "--out", resolve(shots, "run")]);
  try {
    const url = await new Promise((yes, no) => {
      run.stdout.on("data", (text) => `${text}`.match(/http:\S+/)?.forEach(yes));
      run.on("exit", () => no(new Error("the training ended without a page")));
    });
    await page("Page.navigate", { url });
    await says("Training: ");
    await until("SW2 of the run", 120, async () => Number(await text("sw2")) > 0);
    await until("iterations a second", 60, async () => Number(await text("rate")) > 0);
    await until("the metrics", 60, async () => (await value(`document.getElementById("metric").options.length`)) > 3);
    const at = await done();
    await until("progress", 60, async () => (await done()) > at + 50);
    const seen = await value(`(() => { const map = document.getElementById("map"), all = new Set(map.getContext("2d")
      .getImageData(0, 0, map.width, map.height).data); return all.size; })()`);
    if (!(seen > 50)) throw new Error(`the map has ${seen} shades`);
    await click("kernels");
    await value(`document.getElementById("kernel").selectedIndex = 2; document.getElementById("kernel").dispatchEvent(new Event("change"))`);
    await until("the text of a kernel", 10, async () => (await text("wgsl")).includes("@compute"));
    await until("the times of kernels", 60, async () => (await value(`document.getElementById("kernel").options[2].value`)).endsWith(" ms"));
    console.log(`served: ${await text("message")} SW2 ${await text("sw2")}, energy_gap ${await text("value")}`);
    await shot("served", 1200, 1500);
    run.kill("SIGTERM");
    await says("has ended");
    await shot("served-narrow", 390, 844);
  } finally {
    run.kill("SIGKILL");
  }
}

try {
  for (const domain of ["Page", "Runtime", "Log"]) await page(`${domain}.enable`);
  const sound = (meant) => {
    const wrong = complaints.filter((what) => !`${what}`.includes(meant));
    if (wrong.length) throw new Error(`the console: ${wrong.join("\n")}`);
  };
  if (folder !== "-") await trains(), await own();
  sound("nothing is meant");
  if (ebm) await looks();
  sound("ERR_CONNECTION"); // a page whose run has ended asks in vain
  console.log("no errors or warnings in the console");
} finally {
  browser.kill();
  server.close();
  await sleep(500);
  rmSync(profile, { recursive: true, force: true });
}
