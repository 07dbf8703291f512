// Reads what was dropped, chosen or pasted as a list of files, each with the name of its class or none.
import { filesOf, mayBeImage } from "./picked-files.js";

const LEFT_BEHIND = new Set(["thumbs.db", "desktop.ini", "__macosx"]);
const TRAIN = /^(train|training)$/i;
const QUERY = /^(val|valid|validation|test|testing)$/i;

/** A file with its folders; `label` is the folder that it lies in, "" for a file that was dropped by itself. */
export class FoundFile {
  constructor(file, path) {
    const folders = path.split("/").slice(0, -1).filter(Boolean);
    Object.assign(this, { file, path, folders, label: folders.at(-1) ?? "" });
  }
}

/** Returns all files of a drop, those of folders too. Must be called before the event has ended. */
export async function filesOfDrop(transfer) {
  return seen((await filesOf(transfer)).map(({ file, path }) => new FoundFile(file, path)));
}

/** Returns the files of an input or of the clipboard. */
export function filesOfList(list) {
  return seen([...list].map((file) => new FoundFile(file, file.webkitRelativePath || file.name)));
}

/** Of folders such as `train` and `val`, keeps the images of `train`; returns them and the folder's name, or "". */
export function withoutQueries(found) {
  const train = found.flatMap((one) => one.folders.slice(0, -1)).find((folder) => TRAIN.test(folder));
  const hasQueries = found.some((one) => one.folders.slice(0, -1).some((folder) => QUERY.test(folder)));
  if (!train || !hasQueries) return [found, ""];
  return [found.filter((one) => one.folders.includes(train)), train];
}

function seen(found) {
  const order = new Intl.Collator(undefined, { numeric: true });
  const kept = found.filter((one) => !isLeftBehind(one.file.name) && !one.folders.some(isLeftBehind));
  return withoutLooseLabels(kept.sort((one, other) => order.compare(one.path, other.path)));
}

// The folder that holds the folders of the classes is no class itself: photographs that lie loose in it have none yet.
function withoutLooseLabels(found) {
  const isOneFolder = new Set(found.map((one) => one.folders[0])).size === 1;
  if (!isOneFolder || !found.some((one) => one.folders.length > 1)) return found;
  const isOther = (one) => one.folders.length === 1 && !mayBeImage(one.file) && !/\.zip$/i.test(one.file.name);
  for (const one of found) if (one.folders.length === 1) one.label = "";
  return found.filter((one) => !isOther(one));
}

const isLeftBehind = (name) => name.startsWith(".") || LEFT_BEHIND.has(name.toLowerCase());
