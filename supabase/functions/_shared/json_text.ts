/**
 * JSON as text. Bodies travel from the caller to Postgres, and back, without being rebuilt: numbers
 * beyond 2^53 and the digits of decimals stay as they were written.
 */
export type JsonText = string;

/** One object from parts that are JSON already; undefined parts are left out. */
export function object(parts: Readonly<Record<string, JsonText | undefined>>): JsonText {
  const members = Object.entries(parts)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${JSON.stringify(name)}:${value}`);
  return `{${members.join(",")}}`;
}

/**
 * `text`, an object, with `parts` as its last members. Of two members with one name jsonb keeps the last,
 * so what the path says beats what the body says.
 */
export function extended(text: JsonText, parts: Readonly<Record<string, JsonText | undefined>>): JsonText {
  const own = object(parts);
  if (own === "{}") return text;
  const inner = text.trim().slice(1, -1).trim();
  return inner === "" ? own : `{${inner},${own.slice(1)}`;
}

/** How deep arrays and objects nest; brackets inside strings do not count. Expects valid JSON. */
export function depth(text: JsonText): number {
  let level = 0;
  let deepest = 0;
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case 0x22: // a string: jump to its closing quote
        for (index++; index < text.length && text.charCodeAt(index) !== 0x22; index++) {
          if (text.charCodeAt(index) === 0x5c) index++;
        }
        break;
      case 0x5b:
      case 0x7b:
        if (++level > deepest) deepest = level;
        break;
      case 0x5d:
      case 0x7d:
        level--;
        break;
    }
  }
  return deepest;
}

/** The elements of an array, each as it was written. Expects valid JSON. */
export function elements(text: JsonText): JsonText[] {
  const found: JsonText[] = [];
  let level = 0;
  let start = 0;
  const take = (end: number) => {
    const element = text.slice(start, end).trim();
    if (element !== "") found.push(element);
    start = end + 1;
  };
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case 0x22:
        for (index++; index < text.length && text.charCodeAt(index) !== 0x22; index++) {
          if (text.charCodeAt(index) === 0x5c) index++;
        }
        break;
      case 0x2c:
        if (level === 1) take(index);
        break;
      case 0x5b:
      case 0x7b:
        if (++level === 1) start = index + 1;
        break;
      case 0x5d:
      case 0x7d:
        if (--level === 0) take(index);
        break;
    }
  }
  return found;
}

/** Whether a value holds text that Postgres keeps nowhere: NUL, or half of a surrogate pair. */
export function isUnkeepable(value: unknown): boolean {
  if (typeof value === "string") return value.includes("\0") || /\p{Surrogate}/u.test(value);
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([name, inner]) => isUnkeepable(name) || isUnkeepable(inner));
}
