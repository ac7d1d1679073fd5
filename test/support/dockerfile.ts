/** The project's Dockerfile, read by a parser; and its build stage, done without an engine. */
import { cpSync, mkdirSync, readFileSync, statSync } from "node:fs"
import { basename, join, resolve } from "node:path"
import { type Copy, DockerfileParser, type Instruction } from "dockerfile-ast"
import { capture } from "../../scripts/lib/capture.ts"

export const root = resolve(import.meta.dir, "../..")
export const dockerfileText = readFileSync(join(root, "Dockerfile"), "utf8")

export interface Stage {
  readonly image: string
  readonly instructions: readonly Instruction[]
}

/** The stages in their order. */
export function stages(): readonly Stage[] {
  const found: { image: string; instructions: Instruction[] }[] = []
  for (const instruction of DockerfileParser.parse(dockerfileText).getInstructions()) {
    if (instruction.getKeyword() === "FROM") {
      const image = instruction.getArguments().map((argument) => argument.getValue())[0] ?? ""
      found.push({ image, instructions: [] })
    } else found.at(-1)?.instructions.push(instruction)
  }
  return found
}

/** The arguments of each instruction of that kind in a stage, without flags. */
export function argumentsOf(stage: Stage | undefined, keyword: string): readonly (readonly string[])[] {
  return (stage?.instructions ?? [])
    .filter((instruction) => instruction.getKeyword() === keyword)
    .map((instruction) => instruction.getArguments().map((argument) => argument.getValue()))
}

export function isCopy(instruction: Instruction): instruction is Copy {
  return instruction.getKeyword() === "COPY"
}

/**
 * Does what the build stage does, in an empty folder that stands for its WORKDIR.
 * @throws Error with the output of a RUN that fails
 */
export async function buildStage(folder: string, env: Readonly<Record<string, string>>): Promise<void> {
  const [build] = stages()
  for (const instruction of build?.instructions ?? []) {
    if (isCopy(instruction)) {
      const all = instruction.getArguments().map((argument) => argument.getValue())
      const target = all.at(-1) ?? "."
      for (const source of all.slice(0, -1)) copy(join(root, source), folder, target)
    }
    if (instruction.getKeyword() === "RUN") {
      const command = instruction.getRawArgumentsContent() ?? ""
      const ran = await capture(["sh", "-ec", command], { cwd: folder, env: { ...process.env, ...env } })
      if (ran.code !== 0) throw new Error(`RUN ${command}\nended with code ${ran.code}:\n${ran.output}`)
    }
  }
}

/** COPY puts a folder's content, not the folder, at the target. */
function copy(source: string, folder: string, target: string): void {
  const into = join(folder, target)
  if (statSync(source).isDirectory()) {
    cpSync(source, into, { recursive: true })
    return
  }
  const named = target.endsWith("/") || target === "." ? join(into, basename(source)) : into
  mkdirSync(join(named, ".."), { recursive: true })
  cpSync(source, named)
}
