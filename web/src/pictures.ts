/**
 * A picture's pixels in a page: what its encoder's tiles are (fanlight/images/plan.py), with the arithmetic of Pillow's `resize`,
 * so that every byte is the same as natively: two passes, weights in fixed point, each pass rounded to 8 bits.
 */

/** A step has 2 numbers, the size to resize to; or 4, the left, top, width and height of a crop. */
export interface Plan {
  filter: string;
  tiles: number[][][];
}

/** 3 bytes a pixel, row by row. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8Array;
}

interface Filter {
  support: number;
  weight(x: number): number;
}

const PRECISION = 22; // bits of a weight

const FILTERS: Record<string, Filter> = {
  bilinear: { support: 1, weight: (x) => Math.max(1 - Math.abs(x), 0) },
  bicubic: { support: 2, weight: (x) => cubic(Math.abs(x)) },
  lanczos: { support: 3, weight: (x) => (-3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

function cubic(x: number): number {
  const a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

function sinc(x: number): number {
  if (x === 0) return 1;
  x *= Math.PI;
  return Math.sin(x) / x;
}

/** The picture in a file, turned as it says, without its colour profile; transparency is left out. */
export async function openPicture(file: Blob): Promise<Pixels> {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("no canvas to read a picture with");
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return withoutAlpha(context.getImageData(0, 0, width, height).data, width, height);
}

export function withoutAlpha(rgba: ArrayLike<number>, width: number, height: number): Pixels {
  const data = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = rgba[from]!;
    data[to + 1] = rgba[from + 1]!;
    data[to + 2] = rgba[from + 2]!;
  }
  return { width, height, data };
}

/** The pixels of all tiles, one after the other. Steps that tiles have in common are done once. */
export function tilesOf(picture: Pixels, plan: Plan): Uint8Array<ArrayBuffer> {
  const filter = FILTERS[plan.filter];
  if (filter === undefined) throw new Error(`no filter ${plan.filter}`);
  const made = new Map<string, Pixels>();
  const tiles = plan.tiles.map((steps) => {
    let pixels = picture;
    let name = "";
    for (const step of steps) {
      name += `${step.join()};`;
      const done = made.get(name) ?? carryOut(pixels, step, filter);
      made.set(name, done);
      pixels = done;
    }
    return pixels.data;
  });
  const all = new Uint8Array(tiles.reduce((sum, tile) => sum + tile.length, 0));
  let at = 0;
  for (const tile of tiles) {
    all.set(tile, at);
    at += tile.length;
  }
  return all;
}

function carryOut(picture: Pixels, step: number[], filter: Filter): Pixels {
  const [first, second, width, height] = step as [number, number, number?, number?];
  if (width === undefined || height === undefined) return resize(picture, first, second, filter);
  const data = new Uint8Array(3 * width * height);
  for (let row = 0; row < height; row++) {
    const from = 3 * ((second + row) * picture.width + first);
    data.set(picture.data.subarray(from, from + 3 * width), 3 * row * width);
  }
  return { width, height, data };
}

/** Across first; down first where the height shrinks by more than twice what the width does (Pillow 13). */
function resize(picture: Pixels, width: number, height: number, filter: Filter): Pixels {
  const downFirst = height < picture.height && picture.height - height > 2 * (picture.width - width);
  if (downFirst) return across(down(picture, height, filter), width, filter);
  return down(across(picture, width, filter), height, filter);
}

function across({ width, height, data }: Pixels, to: number, filter: Filter): Pixels {
  if (to === width) return { width, height, data };
  return { width: to, height, data: pass(data, height, width, to, 3, 3 * width, 3, 3 * to, filter) };
}

function down({ width, height, data }: Pixels, to: number, filter: Filter): Pixels {
  if (to === height) return { width, height, data };
  return { width, height: to, data: pass(data, width, height, to, 3 * width, 3, 3 * width, 3, filter) };
}

/**
 * Each of `lines` lines of `from` pixels becomes one of `to` pixels. Pixels of a line are `stride` and `toStride` bytes apart, lines
 * `lineStride` and `toLineStride`.
 */
function pass(
  data: Uint8Array,
  lines: number,
  from: number,
  to: number,
  stride: number,
  lineStride: number,
  toStride: number,
  toLineStride: number,
  filter: Filter,
): Uint8Array {
  const made = new Uint8ClampedArray(3 * lines * to);
  const bytes = new Uint8Array(made.buffer);
  for (let i = 0; i < to; i++) {
    const { first, weights } = weightsOf(i, from, to, filter);
    for (let line = 0; line < lines; line++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 1 << (PRECISION - 1);
        let at = line * lineStride + first * stride + channel;
        for (let j = 0; j < weights.length; j++, at += stride) sum += data[at]! * weights[j]!;
        made[line * toLineStride + i * toStride + channel] = sum >> PRECISION;
      }
    }
  }
  return bytes;
}

/** Of the pixels from `first` on, of a line of `from`, in pixel i of one of `to`. */
function weightsOf(i: number, from: number, to: number, filter: Filter): { first: number; weights: Int32Array } {
  const scale = from / to;
  const wide = Math.max(scale, 1); // a picture that shrinks is filtered over more of its pixels
  const support = filter.support * wide;
  const centre = (i + 0.5) * scale;
  const first = Math.max(Math.trunc(centre - support + 0.5), 0);
  const end = Math.min(Math.trunc(centre + support + 0.5), from);
  const weights = Array.from({ length: end - first }, (_, j) => filter.weight((j + first - centre + 0.5) * (1 / wide)));
  const sum = weights.reduce((a, b) => a + b, 0);
  const rounded = weights.map((w) => (sum === 0 ? w : w / sum) * 2 ** PRECISION).map((w) => Math.trunc(w < 0 ? w - 0.5 : w + 0.5));
  return { first, weights: Int32Array.from(rounded) };
}
