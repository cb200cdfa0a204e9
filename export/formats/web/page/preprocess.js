// What happens to an image before the network sees it, to the last bit as keras_resnet's evaluation does it in Python with
// Pillow: resize with an antialiased filter, crop the center, and turn to gray where the network is gray. No browser needed.

const PRECISION = 22; // bits of a filter's weight, as in Pillow's src/libImaging/Resample.c
const LUMA = [19595, 38470, 7471]; // ITU-R 601, (.299, .587, .114) in 16 bits: Pillow's mode "L"
const MAX_RESIZED_PIXELS = 1e8; // beyond which evaluation resizes the crop alone

const FILTERS = {
  bilinear: { support: 1, weight: (x) => Math.max(1 - x, 0) },
  bicubic: {
    support: 2,
    weight: (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0),
  },
};

/**
 * Resizes an image so that the center crop covers height x width, with its aspect ratio kept, and cuts out the crop.
 *
 * @param {{data: Uint8Array, width: number, height: number}} image Rows of pixels of `channels` bytes each.
 * @param {{height: number, width: number, channels: number, crop_fraction: number, interpolation: string,
 *   crop_rounding: string}} preprocessing
 * @returns {Uint8Array} height x width x channels
 */
export function resizeAndCrop(image, preprocessing) {
  const { channels, crop_fraction: fraction, interpolation } = preprocessing;
  const crop = [preprocessing.width, preprocessing.height];
  const sides = [image.width, image.height];
  // The small addition is Python's: 224 / (224 / 232) must not become 231.
  const least = crop.map((side) => Math.trunc(side / fraction + 1e-6));
  const scale = Math.max(least[0] / sides[0], least[1] / sides[1]);
  const size = sides.map((side, axis) => Math.max(least[axis], Math.trunc(side * scale + 1e-6)));
  const rounded = preprocessing.crop_rounding === "down" ? Math.floor : roundHalfToEven;
  const start = size.map((side, axis) => rounded((side - crop[axis]) / 2));
  const whole = size[0] * size[1] <= MAX_RESIZED_PIXELS;
  const [rows, columns] = [0, 1].map((axis) => {
    if (whole) return filterTable(sides[axis], [0, sides[axis]], size[axis], start[axis], crop[axis], interpolation);
    const box = boxOfCrop(sides[axis], size[axis], start[axis], crop[axis]);
    return filterTable(sides[axis], box, crop[axis], 0, crop[axis], interpolation);
  });
  return filterColumns(filterRows(image, rows, columns, channels), columns, crop[0] * channels);
}

/** The part of a side that the crop shows, in single precision, as Pillow takes it. */
function boxOfCrop(side, size, start, count) {
  const ratio = side / size;
  return [Math.fround(start * ratio), Math.fround(Math.min((start + count) * ratio, side))];
}

/**
 * Computes what each of `count` values, from `start` on, takes of the `length` given ones; those in `box` become `size` values.
 *
 * @returns {{first: Int32Array, taps: Int32Array, weights: Int32Array, most: number}} Value i is the sum of the taps[i] given
 *   values from first[i] on, with the weights from most * i on.
 */
function filterTable(length, box, size, start, count, interpolation) {
  const { support, weight } = FILTERS[interpolation];
  const scale = Math.fround(box[1] - box[0]) / size;
  const stretch = Math.max(scale, 1); // antialiased: the filter covers what becomes one value
  const reach = support * stretch;
  const most = 2 * Math.ceil(reach) + 1;
  const table = { first: new Int32Array(count), taps: new Int32Array(count), weights: new Int32Array(count * most), most };
  const shares = new Float64Array(most);
  for (let i = 0; i < count; i++) {
    const center = box[0] + (start + i + 0.5) * scale;
    const first = Math.max(Math.trunc(center - reach + 0.5), 0);
    const taps = Math.min(Math.trunc(center + reach + 0.5), length) - first;
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      shares[tap] = weight(Math.abs((tap + first - center + 0.5) * (1 / stretch)));
      sum += shares[tap];
    }
    for (let tap = 0; tap < taps; tap++) {
      const share = (shares[tap] / sum) * 2 ** PRECISION;
      table.weights[most * i + tap] = Math.trunc(share < 0 ? share - 0.5 : share + 0.5);
    }
    table.first[i] = first;
    table.taps[i] = taps;
  }
  return table;
}

/** Filters along the rows, of those rows only that the filter along the columns will read; the others stay 0. */
function filterRows({ data, width, height }, table, columnTable, channels) {
  const count = table.first.length;
  const result = new Uint8Array(height * count * channels);
  const last = columnTable.first.length - 1;
  const end = columnTable.first[last] + columnTable.taps[last];
  for (let row = columnTable.first[0]; row < end; row++) {
    for (let i = 0; i < count; i++) {
      const from = (row * width + table.first[i]) * channels;
      for (let channel = 0; channel < channels; channel++) {
        let sum = 1 << (PRECISION - 1);
        for (let tap = 0; tap < table.taps[i]; tap++) {
          sum += data[from + tap * channels + channel] * table.weights[table.most * i + tap];
        }
        result[(row * count + i) * channels + channel] = clipped(sum);
      }
    }
  }
  return result;
}

/** Filters along the columns of rows of `stride` bytes. */
function filterColumns(data, table, stride) {
  const result = new Uint8Array(table.first.length * stride);
  for (let i = 0; i < table.first.length; i++) {
    const from = table.first[i] * stride;
    for (let x = 0; x < stride; x++) {
      let sum = 1 << (PRECISION - 1);
      for (let tap = 0; tap < table.taps[i]; tap++) {
        sum += data[from + tap * stride + x] * table.weights[table.most * i + tap];
      }
      result[i * stride + x] = clipped(sum);
    }
  }
  return result;
}

function clipped(sum) {
  return Math.min(Math.max(sum >> PRECISION, 0), 255);
}

/** Python's `round`. */
function roundHalfToEven(x) {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + (floor % 2) : Math.round(x);
}

/** Writes pixels of four bytes, red, green, blue and alpha, as gray or RGB into `target` from `offset` on; alpha is dropped. */
export function dropAlpha(rgba, channels, target, offset = 0) {
  const [red, green, blue] = LUMA;
  for (let from = 0, to = offset; from < rgba.length; from += 4) {
    if (channels === 1) {
      target[to++] = (rgba[from] * red + rgba[from + 1] * green + rgba[from + 2] * blue + 32768) >> 16;
    } else {
      target[to++] = rgba[from];
      target[to++] = rgba[from + 1];
      target[to++] = rgba[from + 2];
    }
  }
}
