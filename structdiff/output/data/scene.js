// Puts a scene (see output/scene.py) into a 3Dmol.js viewer; shared by the page and by notebooks.
function structdiffScene(viewer, scene) {
  const floats = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const frames = scene.frames.map(floats);
  const start = frames[frames.length - 1];
  const bonds = scene.atoms.map(() => []);
  const orders = scene.atoms.map(() => []);
  for (const [i, j, order] of scene.bonds) {
    bonds[i].push(j); orders[i].push(order);
    bonds[j].push(i); orders[j].push(order);
  }
  const atoms = scene.atoms.map(([residue, name, element, value], i) => {
    const r = scene.residues[residue];
    return {
      serial: i, elem: element, atom: name, x: start[3 * i], y: start[3 * i + 1], z: start[3 * i + 2], b: value,
      chain: scene.chains[r.chain].name, resi: r.number, icode: r.icode, rescode: r.number + "^" + r.icode,
      resn: r.name, ss: r.ss, hetflag: r.draw >= 2, bonds: bonds[i], bondOrder: orders[i], properties: {},
      residueRow: residue, chainRow: r.chain,
    };
  });

  // A frame of noise has no backbone to draw: it is shown as a cloud of dots, one a residue.
  const anchors = atoms.filter((atom) => scene.residues[atom.residueRow].draw < 2 && (atom.atom === "CA" || atom.atom === "P"));
  function isNoise(positions) {
    let links = 0, broken = 0;
    for (let k = 1; k < anchors.length; k++) {
      const [a, b] = [anchors[k - 1], anchors[k]];
      if (a.chainRow !== b.chainRow || b.resi - a.resi > 1) continue;
      const step = Math.hypot(...[0, 1, 2].map((axis) => positions[3 * a.serial + axis] - positions[3 * b.serial + axis]));
      links += 1;
      broken += step > (a.atom === "P" ? 9.0 : 5.0);
    }
    return broken > 0.3 * links;
  }

  const model = viewer.addModel();
  model.addAtoms(atoms);
  if (frames.length > 1) {
    const loaded = model.selectedAtoms({});
    for (const positions of frames) {
      const noise = isNoise(positions);
      model.addFrame(loaded.map((atom, i) => ({
        ...atom, noise, x: positions[3 * i], y: positions[3 * i + 1], z: positions[3 * i + 2],
      })));
    }
    model.setFrame(frames.length - 1);
  }

  const elementColors = {
    N: "#3050f8", O: "#e03020", S: "#d8b020", P: "#ff8000", F: "#70c060", CL: "#1fb01f", BR: "#a62929", I: "#940094",
    H: "#f0f0f0",
  };
  const draws = { cartoon: 0, trace: 1, sticks: 2, spheres: 3 };

  // hidden: rows of chains not to draw
  function paint(color, style, hidden = new Set()) {
    const colors = scene.colors[color];
    const tint = (atom) => colors[atom.residueRow];
    const byElement = (atom) => (atom.elem === "C" ? tint(atom) : elementColors[atom.elem.toUpperCase()] || tint(atom));
    const stick = { stick: { radius: 0.18, colorfunc: byElement }, sphere: { radius: 0.24, colorfunc: byElement } };
    const shapes = [
      { cartoon: { arrows: true, colorfunc: tint } },
      { cartoon: { style: "trace", thickness: 0.35, colorfunc: tint } },
      stick,
      { sphere: { scale: 0.6, colorfunc: byElement } },
    ];
    const drawOf = (r) => {
      if (r.draw >= 2) return style === "spheres" ? 3 : r.draw;
      if (style === "cartoon" || (r.draw === 1 && style === "sticks")) return r.draw;
      return draws[style];
    };
    model.setStyle({}, {});
    shapes.forEach((shape, draw) => {
      const chosen = (atom) =>
        !atom.noise && !hidden.has(atom.chainRow) && drawOf(scene.residues[atom.residueRow]) === draw;
      model.setStyle({ predicate: chosen }, shape);
    });
    const dot = (atom) => atom.noise && !hidden.has(atom.chainRow) &&
      (atom.hetflag || atom.atom === "CA" || atom.atom === "P");
    model.setStyle({ predicate: dot }, { sphere: { radius: 0.9, colorfunc: tint } });
    if (color === "motif" && style !== "spheres") {
      const motif = (atom) => scene.residues[atom.residueRow].motif && !atom.noise && !hidden.has(atom.chainRow);
      model.setStyle({ predicate: motif }, { stick: { radius: 0.14, colorfunc: byElement } }, true);
    }
    viewer.render();
  }
  return { frames: frames.length, paint };
}
