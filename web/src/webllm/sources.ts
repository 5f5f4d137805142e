/** From a model's record to where its weights are read: MLC's own shards, where Fanlight has the family; else another file of the same model. */

import type { ModelInput } from "../client.js";
import { UnsupportedModel } from "../errors.js";
import { webllmError } from "./errors.js";
import { log } from "./logger.js";
import type { AppConfig, ModelRecord } from "./types.js";

const MLC = /^https:\/\/huggingface\.co\/mlc-ai\/(.+)-(q\df\d\d(?:_1)?)-MLC\/?$/;
/** Models whose shards of MLC are not read: of a family that fanlight/models/mlc_config.py does not have, or in three bits. */
const OTHERS = /^(gemma-4|snowflake)|-70B-/;
const HUB = "https://huggingface.co/";
/** The same model in a file that is read. Its weights are quantised otherwise, which the answers' `system_fingerprint` shows. */
const SUBSTITUTES: Readonly<Record<string, string>> = {
  "gemma-4-E2B-it": "unsloth/gemma-4-E2B-it-GGUF/resolve/main/gemma-4-E2B-it-Q4_K_M.gguf",
  "Llama-3.1-70B-Instruct": "bartowski/Meta-Llama-3.1-70B-Instruct-GGUF/resolve/main/Meta-Llama-3.1-70B-Instruct-Q3_K_M.gguf",
  "Llama-3-70B-Instruct": "bartowski/Meta-Llama-3-70B-Instruct-GGUF/resolve/main/Meta-Llama-3-70B-Instruct-Q3_K_M.gguf",
  "snowflake-arctic-embed-m": "Snowflake/snowflake-arctic-embed-m/resolve/main/",
  "snowflake-arctic-embed-s": "Snowflake/snowflake-arctic-embed-s/resolve/main/",
};

export function findRecord(modelId: string, { model_list }: AppConfig): ModelRecord {
  const found = model_list.find(({ model_id }) => model_id === modelId);
  if (!found) throw webllmError("ModelNotFoundError", modelId);
  return found;
}

/** A repository of the hub as Fanlight writes it; without these marks it would be a path of the page's own site, as for WebLLM. */
const HUB_ID = /^hf:|^[\w.-]+\/[\w.-]+(@[\w./-]+)?:[^:/][^:]*$/;

/** What `load` takes. Raises UnsupportedModel where nothing that Fanlight reads is known of the model. */
export function sourceOf({ model, model_id }: ModelRecord): ModelInput {
  if (model === "built-in" || typeof model !== "string" || /\.gguf(\?|$)/i.test(model) || HUB_ID.test(model)) return model;
  const [, name] = MLC.exec(model) ?? [];
  if (name === undefined || !OTHERS.test(name)) return folderOf(model);
  const other = SUBSTITUTES[name];
  if (other === undefined) {
    throw new UnsupportedModel(`'${model_id}' is of a family that Fanlight does not run`, {
      where: model,
      hint: "Choose another model; or give a record whose `model` is the address of a GGUF file.",
    });
  }
  log.warn(`${model_id}: MLC's shards of this family are not read; the weights come from ${HUB}${other}`);
  return HUB + other;
}

/** A repository's page stands for its files, as WebLLM has it. */
export function folderOf(model: string): string {
  const folder = model.endsWith("/") ? model : `${model}/`;
  const url = /.+\/resolve\/.+\//.test(folder) ? folder : `${folder}resolve/main/`;
  return new URL(url, globalThis.document?.URL ?? globalThis.location.href).href;
}
