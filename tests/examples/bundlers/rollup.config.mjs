// With `--environment assets`, by the plugin that finds files by their addresses.
import { nodeResolve } from "@rollup/plugin-node-resolve";
import { importMetaAssets } from "@web/rollup-plugin-import-meta-assets";

const plugins = [nodeResolve(), ...(process.env.assets ? [importMetaAssets()] : [])];
export default { input: "page.js", output: { dir: "dist", format: "es" }, plugins };
