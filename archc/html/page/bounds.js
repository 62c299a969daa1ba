// The roofline of archc/analysis/roofline.py: the least time of a layer on a device.

const NOTHING = { flops: 0, bytes: 0, compute: 0, bandwidth: 0, seconds: 0 };

/**
 * @typedef {{batch: number, dtype: string, item: number, training: boolean}} Choice
 * @typedef {{flops: Record<string, number>, bandwidth: number}} Device
 * @typedef {{flops: number, bytes: number, compute: number, bandwidth: number, seconds: number}} Bound
 */

// The dtype in which a device states its peak; under autocast no layer is faster than in bfloat16.
/** @param {Choice} choice */
const peakName = (choice) => (choice.dtype === "autocast" ? "bfloat16" : choice.dtype);
/** @param {Choice} choice */
const widthOf = (choice) => (choice.dtype === "autocast" ? 2 : choice.item);

/**
 * @param {number[]} row FLOPs, values moved, bytes of indices, values of weights; three where there are no indices
 * @param {Choice} choice
 * @param {Device} device
 * @returns {Bound}
 */
function bound(row, choice, device) {
  if (!row.length) return NOTHING;
  const size = widthOf(choice);
  const [flops, moved, indices, weights] = row.length === 4 ? row : [row[0], row[1], 0, row[2]];
  const work = flops * choice.batch;
  const traffic = (moved * size + indices) * choice.batch + weights * size;
  const compute = work / device.flops[peakName(choice)];
  const bandwidth = traffic / device.bandwidth;
  return { flops: work, bytes: traffic, compute, bandwidth, seconds: Math.max(compute, bandwidth) };
}

/**
 * Forward and backward of a layer; without a peak in the dtype, seconds are NaN.
 * @param {Network} network
 * @param {number} i
 * @param {Choice} choice
 * @param {Device} device
 */
function layerTime(network, i, choice, device) {
  const { training } = choice;
  const there = training || !(network.idle.has(i) || network.train.has(i));
  const ahead = there ? bound(network.columns.ahead[i], choice, device) : NOTHING;
  const back = training ? bound(network.columns.back[i], choice, device) : NOTHING;
  const larger = back.seconds > ahead.seconds ? [back, ahead] : [ahead, back];
  let by = larger[0].compute >= larger[0].bandwidth ? "compute" : "bandwidth";
  if (ahead.seconds === back.seconds && back.compute >= back.bandwidth) by = "compute";
  const whole = ahead.seconds + back.seconds;
  return { ahead, back, flops: ahead.flops + back.flops, bytes: ahead.bytes + back.bytes, seconds: whole, by: whole ? by : "" };
}
