/** The Gemini API v1beta as far as Cloud Code serves it. */
import { type AnyElysia, Elysia } from "elysia"
import { faultResponse } from "../../http/faults.ts"
import {
  type ApiContext,
  allowsModel,
  type EdgeFault,
  type ErrorShape,
  HttpError,
  type RouteTools,
  type Taking,
} from "../../http/ports.ts"
import type { Live, Random } from "../../observe/clock.ts"
import type { Relay } from "../../relay/ports.ts"
import { viewOf } from "../../relay/span.ts"
import type { Form, GeminiCall, Verb } from "./call.ts"
import { modelList, modelOf, openaiModelList } from "./models.ts"
import { promptId } from "./prompt-id.ts"
import { parseRequest, sessionHeaders } from "./request.ts"
import { formOf, PREFIX, pathFault, splitModelPath, verbFault, verbOf } from "./target.ts"
import { inArray, shape } from "./tell.ts"

export interface RouteDeps {
  readonly tools: RouteTools
  readonly relay: Relay<GeminiCall>
  readonly settings: Live<{ readonly modelList: readonly string[] }>
  readonly random: Random
}

const refuse = (fault: EdgeFault): never => {
  throw new HttpError(fault)
}

const arrayShape: ErrorShape = (fault) => inArray(shape(fault))

const json = (value: unknown): Response =>
  new Response(JSON.stringify(value), { headers: { "content-type": "application/json; charset=UTF-8" } })

/** `application/json`, with or without parameters. */
const isJsonType = (type: string | null): boolean =>
  type === "application/json" || (type !== null && /^\s*application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type))

export function routes(deps: RouteDeps): AnyElysia {
  const { settings, relay, random } = deps

  const visible = (c: ApiContext) => settings.current.modelList.filter((id) => allowsModel(c.principal, id))

  function getModel(c: ApiContext): Response {
    const target = splitModelPath(restOf(c.path)) ?? refuse({ kind: "not_found", message: "There is no such model." })
    if (target.verb !== null)
      refuse({ kind: "method_not_allowed", message: "Use POST for this method.", allow: "POST" })
    if (!visible(c).includes(target.model))
      refuse({ kind: "not_found", message: "The model is not configured here; list the models to see which are." })
    return json(modelOf(target.model))
  }

  function postModel(c: ApiContext): Taking | Response {
    const target = splitModelPath(restOf(c.path)) ?? refuse({ kind: "not_found", message: "There is no such method." })
    if (target.verb === null)
      return refuse({ kind: "method_not_allowed", message: "Use GET for a model.", allow: "GET, HEAD" })
    const verb = verbOf(target.verb) ?? refuse(verbFault(target.verb))
    return generate(c, target.model, verb)
  }

  function generate(c: ApiContext, named: string, verb: Verb): Taking | Response {
    // Only streams have two forms, and a query costs as much to take apart as a small body.
    const form = verb === "streamGenerateContent" ? formOf(c.query) : "unary"
    if (form !== "array") return taking(c, named, verb, form)
    // What would have been an array of answers is an array with the error (spec 4.6).
    try {
      return { ...taking(c, named, verb, form), shape: arrayShape }
    } catch (error) {
      if (error instanceof HttpError) return faultResponse(error.fault, arrayShape)
      throw error
    }
  }

  function taking(c: ApiContext, named: string, verb: Verb, form: Form): Taking {
    const listed = settings.current.modelList.indexOf(named)
    // The list's own text: the same one for every request, so that tables by model need not hash it again.
    const model =
      settings.current.modelList[listed] ??
      refuse({ kind: "invalid_request", message: `unsupported model: ${shown(named)}` })
    if (!allowsModel(c.principal, model)) refuse({ kind: "forbidden", message: `The key may not use model ${model}.` })
    if (!isJsonType(c.request.headers.get("content-type")))
      refuse({ kind: "invalid_request", message: "invalid request: the content type must be application/json" })
    return {
      take(body) {
        const sessions = sessionHeaders(c.request.headers)
        const parsed = parseRequest(viewOf(body), { model, verb, form, sessions, promptId: promptId(random) })
        return parsed.call === null ? refuse(parsed.fault) : relay.serve(parsed.call, c.inbound)
      },
    }
  }

  const wrongMethod = (allow: string) => () =>
    refuse({ kind: "method_not_allowed", message: `Use ${allow} here.`, allow })

  const { tools } = deps
  const raw = { parse: "none" } as const
  // A colon cannot be written in the router's paths, and a parameter would be decoded: hence the wildcards.
  return new Elysia({ name: "geminicli" })
    .get(
      `${PREFIX}/models`,
      tools.api((c) => json(modelList(visible(c), c.query))),
      raw,
    )
    .get(
      `${PREFIX}/openai/models`,
      tools.api((c) => json(openaiModelList(visible(c)))),
      raw,
    )
    .get(`${PREFIX}/models/*`, tools.api(getModel), raw)
    .post(`${PREFIX}/models/*`, tools.posted(postModel, { method: "POST", path: `${PREFIX}/models/*` }), raw)
    .all(`${PREFIX}/models`, tools.api(wrongMethod("GET, HEAD")), raw)
    .all(`${PREFIX}/openai/models`, tools.api(wrongMethod("GET, HEAD")), raw)
    .all(`${PREFIX}/models/*`, tools.api(wrongMethod("GET, HEAD, POST")), raw)
    .all(
      `${PREFIX}/*`,
      tools.api((c) => refuse(pathFault(c.path))),
      raw,
    )
}

const restOf = (path: string): string => path.slice(`${PREFIX}/models/`.length)

/** A name from a URL, safe to be shown in a message and a log. */
const shown = (model: string): string => model.slice(0, 128).replace(/[^\x20-\x7e]/g, "?")
