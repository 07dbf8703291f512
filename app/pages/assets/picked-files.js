// Files that somebody drops, pastes or chooses; folders are walked through.

/** What a file chooser offers; as `IMAGE_FILES` in app/pages/rendering.py. */
export const IMAGE_FILES = "image/*,.tif,.tiff,.jp2,.bmp,.avif,.heic,.heif,.dcm,.dicom";

/** Tells whether a file may be an image. Browsers know no type of some kinds. */
export const mayBeImage = (file) => /^(image\/|application\/dicom$|$)/.test(file.type);

/** Returns [{file, path}] of what was dropped or pasted; the path has the folders, as in `forest/1.jpg`. */
export async function filesOf(transfer) {
  const entries = [...(transfer.items ?? [])].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files].map(picked);
  const found = await Promise.all(entries.map((entry) => walk(entry)));
  return found.flat();
}

/** Takes [{file, path}] of what is chosen in an input, now and later: somebody may choose before the page has its scripts. */
export function takeChosen(input, take) {
  const takeAll = () => take([...input.files].map(picked));
  input.addEventListener("change", takeAll);
  if (input.files.length > 0) takeAll();
}

const picked = (file) => ({ file, path: file.webkitRelativePath || file.name });

async function walk(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return isHidden(file.name) ? [] : [{ file, path: entry.fullPath.replace(/^\//, "") }];
  }
  const reader = entry.createReader();
  const found = [];
  // A reader gives a part of a folder at a time, and none at its end.
  for (;;) {
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (part.length === 0) return (await Promise.all(found.map((one) => walk(one)))).flat();
    found.push(...part);
  }
}

// Systems put such files into every folder.
const isHidden = (name) => name.startsWith(".") || /^(thumbs\.db|desktop\.ini)$/i.test(name);

/** Takes files that are dropped anywhere on the page, or pasted, and marks an element while something is dragged over it. */
export function takeDrops(marked, take) {
  let depth = 0;
  const over = (change) => {
    depth = Math.max(0, depth + change);
    marked.classList.toggle("over", depth > 0);
  };
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => hasFiles(event) && over(1));
  document.addEventListener("dragleave", (event) => hasFiles(event) && over(-1));
  document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  document.addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    over(0);
    take(await filesOf(event.dataTransfer));
  });
  document.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])].map(picked);
    if (pasted.length > 0) take(pasted);
  });
}
