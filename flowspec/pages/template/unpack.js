// Arrays of a page: half precision with a scale, or double precision, in base64.

const HALVES = (() => {
  const values = new Float32Array(65536);
  for (let i = 0; i < 65536; i++) {
    const sign = i & 0x8000 ? -1 : 1, exponent = (i >> 10) & 31, fraction = i & 1023;
    values[i] = exponent === 31 ? (fraction ? NaN : sign * Infinity)
      : sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
  }
  return values;
})();

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}

// A flat array of numbers, NaN where one is absent; of several columns row by row.
function unpacked(packed) {
  if (!packed) return null;
  if (packed.double !== undefined) return new Float64Array(bytes(packed.double));
  const halves = new Uint16Array(bytes(packed.half)), values = new Float64Array(halves.length);
  const columns = packed.middle ? packed.middle.length : 0;
  for (let i = 0; i < halves.length; i++) {
    values[i] = columns ? packed.middle[i % columns] + packed.scale[i % columns] * HALVES[halves[i]]
      : packed.scale * HALVES[halves[i]];
  }
  return values;
}

const page = JSON.parse(document.getElementById("contents").textContent);
const byId = (id) => document.getElementById(id);

// What the page holds of one object.
function rowOf(index) {
  return JSON.parse(byId(`row-${index}`).textContent);
}

// An element with text: nothing that comes from files is ever read as HTML.
function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function quantile(values, share) {
  const sorted = Float64Array.from(values).filter(Number.isFinite).sort();
  if (!sorted.length) return NaN;
  const place = share * (sorted.length - 1), low = Math.floor(place);
  return sorted[low] + (place - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}
