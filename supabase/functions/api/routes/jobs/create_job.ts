import { forward, Route } from "../../../_shared/route.ts";
import { to } from "../../shapes/table.ts";

export const route: Route = {
  method: "POST",
  path: "/jobs",
  access: "member",
  name: "create_job",
  summary: "Creates a job",
  body: { kind: "object", schema: to("Job") },
  answers: { 201: { description: "The job", schema: to("Job") } },
  handle: forward("create_job"),
};
