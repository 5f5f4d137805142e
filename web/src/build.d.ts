/** Written into the bundles by build.mjs. */

declare const FANLIGHT_BUILD: string; // changes with every file of the package
declare const PYODIDE_LOCK: string; // JSON: the head of Pyodide's list of packages, with none in it

declare module "*/catalogue.json" {
  const list: unknown;
  export default list;
}
