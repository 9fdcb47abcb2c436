// Pointing, boxes and strokes on the picture: with a mouse or a finger, or with a crosshair that the arrow keys move.
let drawn = null, aim = null;
const STEP = 0.05, SMALL_STEP = 0.01;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const said = element.querySelector(".said");
const inside = (share) => Math.min(Math.max(share, 0), 1);

const at = (event, stage) => {
  const box = stage.getBoundingClientRect();
  return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)];
};
root.addEventListener("pointerdown", (event) => {
  const stage = event.target.closest(".stage");
  if (!stage || event.button) return;
  leaveStage(stage);
  begin(stage, at(event, stage));
  if (drawn.tool !== "point") { stage.setPointerCapture(event.pointerId); event.preventDefault(); }
});
root.addEventListener("pointermove", (event) => {
  if (drawn && !aim) reach(at(event, drawn.stage));
});
root.addEventListener("pointerup", (event) => {
  if (drawn && !aim) finish(at(event, drawn.stage));
});
root.addEventListener("pointercancel", () => { drawn = null; });

function begin(stage, from) {
  drawn = { stage, tool: stage.dataset.tool, from, points: [from] };
  draw();
}
function reach(to) {
  drawn.points.push(to);
  draw();
}
function finish(to) {
  const { stage, tool, from, points } = drawn;
  wipe(stage);
  if (tool === "point") act({ act: "point", x: to[0], y: to[1] });
  else if (tool === "box") act({ act: "box", box: [...from, ...to] });
  else act({ act: "brush", picture: painted(points) });
}

// Enter shows a crosshair and uses the tool at it; a box or a stroke goes from one Enter to the next. Escape leaves it.
root.addEventListener("keydown", (event) => {
  const stage = event.target, move = aim && MOVES[event.key];
  if (!stage.classList.contains("stage") || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Enter" || event.key === " ") useCrosshair(stage);
  else if (event.key === "Escape" && aim) { leaveStage(stage); said.textContent = "the arrow keys move among the pictures"; }
  else if (move) {
    const step = event.shiftKey ? SMALL_STEP : STEP;
    aim = aim.map((share, i) => inside(share + step * move[i]));
    if (drawn) reach(aim);
    showCrosshair(stage);
  } else return;
  event.preventDefault();
  event.stopPropagation();
});
root.addEventListener("focusout", (event) => {
  if (event.target.classList.contains("stage")) leaveStage(event.target);
});

function useCrosshair(stage) {
  if (!aim) {
    aim = [0.5, 0.5];
    showCrosshair(stage, "crosshair: the arrow keys move it, with Shift by small steps, Enter takes the place, Escape leaves; ");
  } else if (drawn || stage.dataset.tool === "point") {
    const to = aim;
    if (!drawn) begin(stage, to);
    finish(to);
    leaveStage(stage);
    said.textContent = "";
  } else {
    begin(stage, aim);
    showCrosshair(stage, "begun: move on, and press Enter at the end; ");
  }
}
function showCrosshair(stage, words = "") {
  const cross = stage.querySelector(".crosshair"), [x, y] = aim.map((share) => `${Math.round(100 * share)}%`);
  cross.hidden = false;
  cross.style.left = x; cross.style.top = y;
  said.textContent = `${words}${x} from the left, ${y} from the top`;
}
function leaveStage(stage) {
  aim = null;
  wipe(stage);
  stage.querySelector(".crosshair").hidden = true;
}

function wipe(stage) {
  const canvas = stage.querySelector("canvas");
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  drawn = null;
}
function draw() {
  if (drawn.tool === "point") return;
  const canvas = drawn.stage.querySelector("canvas"), pen = canvas.getContext("2d");
  canvas.width = canvas.clientWidth; canvas.height = canvas.clientHeight;
  const [w, h] = [canvas.width, canvas.height], last = drawn.points.at(-1);
  pen.strokeStyle = "#fff"; pen.lineWidth = 3;
  if (drawn.tool === "box") {
    pen.strokeRect(drawn.from[0] * w, drawn.from[1] * h, (last[0] - drawn.from[0]) * w, (last[1] - drawn.from[1]) * h);
  } else stroke(pen, w, h, drawn.points, "rgba(255, 255, 255, .6)");
}
function stroke(pen, w, h, points, colour) {
  pen.strokeStyle = colour; pen.lineWidth = 0.09 * Math.min(w, h); pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  points.forEach(([x, y], i) => (i ? pen.lineTo(x * w, y * h) : pen.moveTo(x * w, y * h)));
  if (points.length === 1) pen.lineTo(points[0][0] * w + 0.1, points[0][1] * h);
  pen.stroke();
}
function painted(points) {
  const canvas = document.createElement("canvas"), image = root.querySelector(".stage img");
  canvas.width = 512; canvas.height = Math.round((512 * image.clientHeight) / image.clientWidth) || 512;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#000"; pen.fillRect(0, 0, canvas.width, canvas.height);
  stroke(pen, canvas.width, canvas.height, points, "#fff");
  return canvas.toDataURL("image/png");
}

