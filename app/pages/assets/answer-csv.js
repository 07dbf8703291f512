// The answers as a table for a spreadsheet.

/** A text that a spreadsheet shows as it is: one that begins like a formula gets an apostrophe in front. */
const safe = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
const number = (value) => (value == null ? "" : String(Math.round(value * 1e6) / 1e6));
const truth = (value) => (value == null ? "" : value ? "yes" : "no");

/** Returns the CSV of items that have been answered or refused. */
export function csvOf(items, labels) {
  const head = ["file", "class", "how sure", "may be", "none of these", "corrected to", "not read because", ...labels.map((label) => `probability of ${label}`)];
  const rows = items.filter((item) => item.answer || item.problem).map(({ path, answer, problem, corrected }) => [
    safe(path),
    safe(answer?.label ?? ""),
    number(answer?.probabilities[answer.label]),
    safe((answer?.prediction_set ?? []).join("; ")),
    truth(answer?.none_of_these),
    safe(corrected ?? ""),
    safe(problem ? `${problem.got}; expected ${problem.expected}` : ""),
    ...labels.map((label) => number(answer?.probabilities[label])),
  ]);
  return [head.map(safe), ...rows].map((row) => row.join(",")).join("\r\n") + "\r\n";
}

/** Lets the browser save a text as a file. */
export function download(name, text) {
  // The mark at the beginning tells spreadsheets that it is UTF-8.
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
