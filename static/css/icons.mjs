// Makes ../icons.svg: one sprite with the mark and the Lucide icons that views/ui/icon.go names.
import { readFileSync, writeFileSync } from "node:fs";

const here = new URL(".", import.meta.url);
const names = [...readFileSync(new URL("../../views/ui/icon.go", here), "utf8").matchAll(/IconName = "([a-z0-9-]+)"/g)]
  .map((m) => m[1])
  .filter((name) => name !== "mark");

// The mark takes fill from the text colour and stroke from whoever shows it.
const mark =
  '<symbol id="mark" viewBox="0 0 22 22"><rect width="22" height="22" rx="6" fill="currentColor" stroke="none"/>' +
  '<path d="M11 8.5V17M8 8.5h8.2m-2.2-2.6 2.6 2.6-2.6 2.6"/><circle cx="5.9" cy="8.5" r=".8"/></symbol>';

const symbols = names.map((name) => {
  const svg = readFileSync(new URL(`node_modules/lucide-static/icons/${name}.svg`, here), "utf8");
  const shapes = svg
    .replace(/^[\s\S]*?<svg[^>]*>/, "")
    .replace(/<\/svg>\s*$/, "")
    .replace(/\s+/g, " ")
    .replace(/> </g, "><")
    .replace(/ \/>/g, "/>")
    .trim();
  return `<symbol id="${name}" viewBox="0 0 24 24">${shapes}</symbol>`;
});

writeFileSync(new URL("../icons.svg", here), `<svg xmlns="http://www.w3.org/2000/svg">\n${[mark, ...symbols].join("\n")}\n</svg>\n`);
