import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { Rehearsal } from "../testing.ts";
import { routes } from "./table.ts";

async function served() {
  await using it = new Rehearsal();
  const response = await it.ask("GET", "/openapi.json", { bearer: null });
  strictEqual(200, response.status);
  return await response.json();
}

Deno.test("every route is in the document, and nothing else", async () => {
  const { paths } = await served();
  const listed = Object.entries<Record<string, unknown>>(paths).flatMap(([path, verbs]) =>
    Object.keys(verbs).map((verb) => `${verb.toUpperCase()} ${path}`)
  );

  deepStrictEqual(routes.map((route) => `${route.method} ${route.path}`).sort(), listed.sort());
});

Deno.test("every path parameter is declared, and every operation has its own id", async () => {
  const { paths } = await served();
  const ids = new Set();
  for (
    const [path, verbs] of Object.entries<Record<string, { operationId: string; parameters: Parameter[] }>>(
      paths,
    )
  ) {
    for (const { operationId, parameters } of Object.values(verbs)) {
      const declared = parameters.filter((parameter) => parameter.in === "path").map((parameter) =>
        parameter.name
      );
      deepStrictEqual([...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]), declared);
      ids.add(operationId);
    }
  }
  strictEqual(routes.length, ids.size);
});

Deno.test("every reference leads somewhere", async () => {
  const document = await served();
  const references = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g);

  for (const [, name] of references) ok(name !== undefined && name in document.components.schemas, name);
});

Deno.test("the server is the address that clients see", async () => {
  strictEqual("https://control.example/functions/v1/api/v1", (await served()).servers[0].url);
});

interface Parameter {
  readonly in: string;
  readonly name: string;
}
