// The picture of the mesh: a peer can be dragged, and the others make room. Without script it stays as it was drawn.
(() => {
  "use strict";
  const LINK = ".picture svg a";
  const STILL = 4; // CSS pixels that a pointer may move and still click
  const ROOM = 28; // around each peer, in units of the picture; none is drawn nearer to another than twice that
  const LIVELY = 0.3; // how much the others move while a peer is dragged (alpha of d3-force)
  const STEPS = 300; // of d3-force, until all is at rest
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const pictures = new WeakMap(); // by element: a search puts another picture in its place
  let held = null;
  let wasDragged = false;

  // The peers of a picture, and what moves them: their own places, their relays, and those who come too near.
  function read(svg) {
    const figure = (element, name) => Number(element.getAttribute(name));
    const peers = new Map();
    for (const link of svg.querySelectorAll("a")) {
      const circle = link.querySelector("circle");
      const home = { x: figure(circle, "cx"), y: figure(circle, "cy") };
      peers.set(`${home.x} ${home.y}`, { ...home, home, drawn: home, link, box: link.getBBox(), lines: [] });
    }
    const relayed = [];
    for (const line of svg.querySelectorAll("line")) {
      const [source, target] = [1, 2].map((end) => {
        const peer = peers.get(`${figure(line, `x${end}`)} ${figure(line, `y${end}`)}`);
        peer.lines.push({ line, end });
        return peer;
      });
      if (line.classList.contains("relay")) relayed.push({ source, target });
    }
    const length = ({ source, target }) => Math.hypot(source.x - target.x, source.y - target.y);
    const forces = d3.forceSimulation([...peers.values()]).stop()
      .force("x", d3.forceX((peer) => peer.home.x))
      .force("y", d3.forceY((peer) => peer.home.y))
      .force("relay", d3.forceLink(relayed).distance(length))
      .force("room", d3.forceCollide(ROOM))
      .on("tick", () => (svg.isConnected ? draw(svg, forces.nodes()) : forces.stop()));
    return forces;
  }

  // Put each peer where it is by now, its name within the picture.
  function draw(svg, peers) {
    const { x: left, y: top, width, height } = svg.viewBox.baseVal;
    for (const peer of peers) {
      const { home, box, drawn } = peer;
      peer.x = Math.max(left + home.x - box.x, Math.min(peer.x, left + width + home.x - box.x - box.width));
      peer.y = Math.max(top + home.y - box.y, Math.min(peer.y, top + height + home.y - box.y - box.height));
      if (Math.hypot(peer.x - drawn.x, peer.y - drawn.y) < 0.05) continue;
      peer.drawn = { x: peer.x, y: peer.y };
      peer.link.setAttribute("transform", `translate(${peer.x - home.x} ${peer.y - home.y})`);
      for (const { line, end } of peer.lines) {
        line.setAttribute(`x${end}`, peer.x);
        line.setAttribute(`y${end}`, peer.y);
      }
    }
  }

  // Where a pointer is, in units of the picture.
  const at = (svg, event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());

  document.addEventListener("pointerdown", (event) => {
    wasDragged = false;
    const link = event.isPrimary && event.button === 0 && event.target.closest(LINK);
    if (!link) return;
    const svg = link.ownerSVGElement;
    if (!pictures.has(svg)) pictures.set(svg, read(svg));
    const forces = pictures.get(svg);
    const peer = forces.nodes().find((one) => one.link === link);
    held = { svg, forces, peer, pressed: event, from: at(svg, event), x: peer.x, y: peer.y };
  });

  document.addEventListener("pointermove", (event) => {
    if (event.pointerId !== held?.pressed.pointerId || !held.svg.isConnected) return;
    const { svg, forces, peer, pressed, from, x, y } = held;
    if (!wasDragged) {
      if (Math.hypot(event.clientX - pressed.clientX, event.clientY - pressed.clientY) < STILL) return;
      wasDragged = true;
      peer.link.setPointerCapture(event.pointerId);
      if (!calm.matches) forces.alpha(LIVELY).alphaTarget(LIVELY).restart();
    }
    const to = at(svg, event);
    peer.x = peer.fx = x + to.x - from.x;
    peer.y = peer.fy = y + to.y - from.y;
    draw(svg, [peer]);
  });

  function release(event) {
    if (event.pointerId !== held?.pressed.pointerId) return;
    const { svg, forces } = held;
    held = null;
    if (!wasDragged) return;
    if (calm.matches) draw(svg, forces.alpha(1).tick(STEPS).nodes());
    else forces.alpha(1).alphaTarget(0).restart(); // after a short drag, too, all come to rest
  }
  document.addEventListener("pointerup", release);
  document.addEventListener("pointercancel", release);

  // A link that was dragged is not followed, and the browser does not carry it away; Enter follows it at any time.
  document.addEventListener("click", (event) => {
    if (wasDragged && event.detail && event.target.closest(LINK)) event.preventDefault();
  }, true);
  document.addEventListener("dragstart", (event) => {
    if (event.target.closest?.(LINK)) event.preventDefault();
  });
})();
