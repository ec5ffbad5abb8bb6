import { forward, Route } from "../../../_shared/route.ts";
import { page } from "../../shapes/paging.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "GET",
  path: "/catalog/entries",
  access: "member",
  name: "list_entries",
  summary: "Finds entries of knowledge bases by their words, best first; without q the newest",
  query: {
    q: { type: "string", description: 'words, "a phrase", or, -without' },
    collection: { type: "string" },
    language: { type: "string", description: "how the words are bent: english, german, … simple" },
    limit: { type: "integer", minimum: 1, maximum: 1000 },
    cursor: { type: "string", description: "next of the page before" },
  },
  answers: { 200: { description: "Entries, each with a snippet", schema: page(to("Thing")) } },
  handle: forward("list_entries"),
};
