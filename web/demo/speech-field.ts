/** The setting of which model hears the microphone.  It is of the page, not of a conversation. */

import { field, h } from "./dom.js";
import { chooseSpeech, chosenSpeech } from "./speech.js";
import * as strings from "./strings.js";

export function speechField(): HTMLElement {
  const words = strings.speech;
  const input = h("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: "openai/whisper-base" });
  input.value = chosenSpeech();
  input.addEventListener("change", () => chooseSpeech(input.value.trim()));
  return field(words.label, input, words.note);
}
