/** The button that listens: pressed once it records, pressed again it has what was said written down. */

import { type Announce, h } from "./dom.js";
import { icon } from "./icons.js";
import { CHOSEN } from "./speech.js";
import * as strings from "./strings.js";

export interface Microphone {
  readonly node: HTMLButtonElement;
  /** Shows the button, where there is a model to hear. */
  refresh(): void;
}

export interface MicrophoneActions {
  canHear(): boolean;
  /** The text of a recording; `loading` is called as long as the model is on its way. */
  hear(sound: Blob, loading: () => void): Promise<string>;
  written(text: string): void;
  readonly announce: Announce;
}

export function microphone({ canHear, hear, written, announce }: MicrophoneActions): Microphone {
  const words = strings.speech;
  const node = h("button", { type: "button", class: "quiet tool microphone", hidden: true, onclick: () => void press() }, icon("microphone"));
  let recorder: MediaRecorder | null = null;
  let isWriting = false;

  const show = (): void => {
    const label = recorder ? words.stop : words.record;
    node.setAttribute("aria-label", label);
    node.title = label;
    node.setAttribute("aria-pressed", String(recorder !== null));
    node.toggleAttribute("aria-busy", isWriting);
    node.disabled = isWriting;
    node.hidden = !canHear() && recorder === null;
  };
  const press = async (): Promise<void> => {
    if (recorder) return recorder.stop();
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      recorder = record(stream);
      announce(words.recording);
    } catch {
      announce(words.refused);
    }
    show();
  };
  const record = (stream: MediaStream): MediaRecorder => {
    const made = new MediaRecorder(stream);
    const parts: Blob[] = [];
    made.addEventListener("dataavailable", ({ data }) => parts.push(data));
    made.addEventListener("stop", () => {
      for (const track of stream.getTracks()) track.stop();
      recorder = null;
      void write(new Blob(parts, { type: made.mimeType }));
    });
    made.start();
    return made;
  };
  const write = async (sound: Blob): Promise<void> => {
    isWriting = true;
    show();
    announce(words.writing);
    try {
      const text = (await hear(sound, () => announce(words.loading))).trim();
      if (text) written(text);
      announce(text ? words.written : words.nothing);
    } catch (error) {
      console.error(error);
      announce(words.trouble(String((error as Error).message)));
    }
    isWriting = false;
    show();
  };
  addEventListener(CHOSEN, show);
  show();
  return { node, refresh: show };
}
