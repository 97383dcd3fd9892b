// Feeds index.html from a training that runs on the command line (`ebm train ... --serve`), in place of the WebAssembly that trains
// in the browser. It only shows: every second it asks how things stand.
const element = (id) => document.getElementById(id);
const json = async (name) => (await fetch(name)).json();
const EVERY = 1000;

let state, metrics = {}, kernels = [], listed = 0, drawn = null, before = null;

export default async function start() {
  state = await json("state.json");
  document.title = `ebm: ${state.preset}`;
  document.querySelector("h1").textContent = `${state.preset}, seed ${state.seed}, on ${state.data}`;
  document.querySelector("header p").textContent = `Trained by the command line on ${state.adapter}.`;
  element("toml").value = state.config;
  element("toml").previousElementSibling.textContent = "The run's config.toml.";
  for (const control of document.querySelectorAll("button, input, textarea, select"))
    control.disabled = !["metric", "kernel"].includes(control.id);
  for (const id of ["density", "preset", "lr", "langevin", "stepsize", "activation", "l2", "seed"]) element(id).parentElement.hidden = true;
  for (const id of ["pause", "step", "reset", "apply", "time", "files"]) element(id).hidden = true;
  if (!state.bounds) for (const of of [element("sw2").parentElement, element("curve-sw2"), element("curve-sw2").previousElementSibling]) of.hidden = true;
  element("frame").parentElement.firstChild.textContent = "drawn at ";
  element("page").hidden = element("more").hidden = false;
  element("metric").addEventListener("change", show);
  element("kernel").addEventListener("change", (event) => (element("wgsl").textContent = kernels[event.target.selectedIndex].wgsl));
  addEventListener("resize", show);
  for (;;) {
    await turn();
    await new Promise((wake) => setTimeout(wake, EVERY));
  }
}

// Asks and shows.
async function turn() {
  try {
    const now = await json("state.json");
    metrics = columns(await (await fetch("metrics.csv")).text());
    if (now.listed !== listed) list(await json("kernels.json"), now.listed);
    if (now.drawn !== drawn) await picture(now.drawn);
    state = now;
  } catch {
    say(`The run has ended, or was stopped, after ${state.done} iterations.`);
    return;
  }
  const now = performance.now();
  if (before && state.done > before.done) element("rate").textContent = (((state.done - before.done) / (now - before.at)) * 1e3).toFixed(1);
  if (!before || state.done < before.done || now - before.at > 5000) before = { done: state.done, at: now };
  const progress = state.done < state.steps ? `Training: ${state.done} of ${state.steps} iterations.` : "All iterations are done; scores follow.";
  say(state.trouble ? `${progress} No picture: ${state.trouble}` : progress);
  show();
}

function say(text) {
  element("message").textContent = text;
}

// The columns of metrics.csv by name, each as [iteration, value].
function columns(text) {
  const [names, ...rows] = text.trim().split("\n").map((line) => line.split(","));
  const of = (i) => rows.map((row) => [+row[0] + 1, parseFloat(row[i])]).filter((point) => Number.isFinite(point[1]));
  return Object.fromEntries(names.map((name, i) => [name, of(i)]).slice(2));
}

function list(found, revision) {
  const select = element("kernel"), chosen = select.selectedIndex;
  const time = (kernel) => (kernel.ms === null ? "" : `, ${kernel.ms.toFixed(2)} ms`);
  [kernels, listed] = [found, revision];
  select.replaceChildren(...kernels.map((kernel) => new Option(`${kernel.times} × ${kernel.name}${time(kernel)}`)));
  select.selectedIndex = chosen;
}

async function picture(iteration) {
  const image = await createImageBitmap(await (await fetch("picture.png")).blob());
  const map = element("map");
  [map.width, map.height, drawn] = [image.width, image.height, iteration];
  element("picture").style.aspectRatio = `${image.width} / ${image.height}`;
  map.getContext("2d").drawImage(image, 0, 0);
}

function show() {
  const names = Object.keys(metrics), select = element("metric");
  if (names.join() !== [...select.options].map((option) => option.value).join()) {
    select.replaceChildren(...names.map((name) => new Option(name)));
    select.value = names.includes("energy_gap") ? "energy_gap" : names[0];
  }
  element("done").textContent = state.done;
  element("frame").textContent = state.drawn ?? "–";
  const last = (points) => (points?.length ? points.at(-1)[1] : undefined);
  element("sw2").textContent = last(state.sw2.filter((point) => point[1] !== null))?.toFixed(3) ?? "–";
  element("value").textContent = last(metrics[select.value])?.toFixed(6) ?? "";
  curve(element("curve-sw2"), state.sw2.filter((point) => point[1] !== null));
  curve(element("curve-metric"), metrics[select.value] ?? []);
  if (state.bounds) points();
}

// A canvas with as many pixels as it has on the screen.
function pen(canvas) {
  [canvas.width, canvas.height] = [canvas.clientWidth, canvas.clientHeight].map((size) => Math.round(size * devicePixelRatio));
  return [canvas.getContext("2d"), canvas.width, canvas.height];
}

function points() {
  const [draw, width, height] = pen(element("points"));
  const [[left, right], [low, high]] = state.bounds, size = Math.max(width / 180, 2);
  for (const [color, all] of [["#e08a00", state.points], ["#111", state.chains]]) {
    draw.fillStyle = color;
    for (let i = 0; i < all.length; i += 2) {
      if (all[i] === null || all[i + 1] === null) continue; // JSON has no NaN
      const x = ((all[i] - left) / (right - left)) * width, y = (1 - (all[i + 1] - low) / (high - low)) * height;
      draw.fillRect(x - size / 2, y - size / 2, size, size);
    }
  }
}

// Between its least and its largest value and 0, a few of the first ones aside.
function curve(canvas, all) {
  const [draw, width, height] = pen(canvas);
  if (!all.length) return;
  const values = all.slice(Math.floor(all.length / 20)).map((point) => point[1]).concat(0);
  const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b)), end = Math.max(all.at(-1)[0], 1);
  const size = Math.min(Math.max(height / 9, 10), 26), room = 0.8 * size;
  const y = (value) => room + ((high - value) / Math.max(high - low, 1e-9)) * (height - 2 * room);
  const line = (color, thick, path) => {
    [draw.strokeStyle, draw.lineWidth] = [color, thick];
    draw.beginPath();
    path.forEach(([x, y]) => draw.lineTo(x, y));
    draw.stroke();
  };
  line("#bbb", 1, [[0, y(0)], [width, y(0)]]);
  line("#1a5fb4", 1.5 * devicePixelRatio, all.map(([step, value]) => [(step / end) * width, y(value)]));
  [draw.fillStyle, draw.font] = ["#555", `${size}px system-ui, sans-serif`];
  draw.fillText(high.toFixed(3), 3, size);
  draw.fillText(low.toFixed(3), 3, height - 3);
}
