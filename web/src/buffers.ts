/** Makes GPU buffers.  One that there is no room for fails whoever asked for it, not the others on the device. */

import { DoesNotFit } from "./errors.js";

export async function createBuffers(device: GPUDevice, wanted: readonly GPUBufferDescriptor[]): Promise<GPUBuffer[]> {
  const made: GPUBuffer[] = [];
  const checks = wanted.map(async (descriptor) => {
    device.pushErrorScope("validation");
    device.pushErrorScope("out-of-memory");
    let thrown: unknown = null;
    try {
      made.push(device.createBuffer(descriptor));
    } catch (error) {
      thrown = error; // a RangeError: one that is mapped needs memory of the page too
    }
    const found = await Promise.all([device.popErrorScope(), device.popErrorScope()]);
    const error = thrown ?? found.find((one) => one !== null);
    if (!error) return;
    throw new DoesNotFit(`Could not allocate ${descriptor.size} bytes: ${(error as Error).message}`, {
      where: `buffer '${descriptor.label}'`,
      hint: "Choose a shorter context or a smaller model, or close other programs that use the graphics card.",
    });
  });
  try {
    await Promise.all(checks);
  } catch (error) {
    await Promise.allSettled(checks);
    for (const buffer of made) buffer.destroy();
    throw error;
  }
  return made;
}
