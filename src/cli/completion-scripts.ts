/** Completion for the three shells, generated from the same points. Pure. */
import type { FlagWords, Point } from "./completion-words.ts"

export const SHELLS = ["bash", "zsh", "fish"] as const
export type Shell = (typeof SHELLS)[number]

export function completionScript(shell: Shell, points: readonly Point[]): string {
  return { bash, zsh, fish }[shell](points)
}

/** Shell text as it stands, but for `@{`, which is the shell's own `${`. */
const sh = ({ raw }: TemplateStringsArray): string => (raw[0] ?? "").replaceAll("@{", "${")

/** Single quotes as in POSIX sh 2.2.2. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** A function that prints what belongs to its first argument, the words so far (with a second one: and that). */
function table(name: string, rows: readonly (readonly [key: string, text: string])[]): string {
  const cases = rows.map(([key, text]) => `    ${quote(key)}) printf '%s\\n' ${quote(text)} ;;`)
  return [`${name}() {`, '  case "$*" in', ...cases, "  esac", "}"].join("\n")
}

const values = (points: readonly Point[]) =>
  points.flatMap(({ words, flags }) =>
    flags.flatMap(({ spellings, value }) =>
      value === null ? [] : spellings.map((spelling) => [`${words} ${spelling}`, value] as const),
    ),
  )

/** `WORDS N`: what argument N, from 0 on, may be. */
const positions = (points: readonly Point[]) =>
  points.flatMap(({ words, arguments: offers }) => offers.map((offer, i) => [`${words} ${i}`, offer] as const))

const endless = (points: readonly Point[]) =>
  points.flatMap(({ words, arguments: offers, many }) => (many ? [[words, String(offers.length - 1)] as const] : []))

const spellings = (flags: readonly FlagWords[]) => flags.flatMap((flag) => flag.spellings)

/**
 * How bash and zsh find out what comes next. Both have dynamic scope: it reads the caller's `words`, `last` and `cur`, and sets its
 * `command`, `position`, `value` and `passed`.
 */
const WALK = sh`_pollux_walk() {
  if [[ -n $ZSH_VERSION ]]; then setopt localoptions ksharrays; fi
  local before= word most i
  for ((i = 1; i < last; i++)); do
    word=@{words[i]}
    if [[ -n $before ]]; then
      case $before in -c|--config|--server) passed+=("$before" "$word") ;; esac
      before=
      continue
    fi
    case $word in
      --config=*|--server=*) passed+=("$word") ;;
      --*=*) ;;
      -*) if [[ -n $(_pollux_value "$command" "$word") ]]; then before=$word; fi ;;
      *)
        if [[ $'\n'$(_pollux_words "$command")$'\n' == *$'\n'"$word"$'\n'* ]]; then
          command="@{command:+$command }$word"
        else
          position=$((position + 1))
        fi ;;
    esac
  done
  most=$(_pollux_most "$command")
  if [[ -n $most ]] && ((position > most)); then position=$most; fi
  if [[ -n $before ]]; then value=$(_pollux_value "$command" "$before")
  elif [[ $cur == --*=* ]]; then value=$(_pollux_value "$command" "@{cur%%=*}")
  elif [[ $cur == -* ]]; then value=flags
  elif [[ -n $(_pollux_words "$command") ]]; then value=words
  else value=$(_pollux_argument "$command" "$position")
  fi
}`

function tables(points: readonly Point[]): readonly string[] {
  return [
    table("_pollux_value", values(points)),
    table("_pollux_argument", positions(points)),
    table("_pollux_most", endless(points)),
    table(
      "_pollux_words",
      points.flatMap(({ words, next }) =>
        next.length === 0 ? [] : [[words, next.map(({ word }) => word).join("\n")] as const],
      ),
    ),
  ]
}

function bash(points: readonly Point[]): string {
  return [
    "# Completion of pollux for bash. Load it from ~/.bashrc: source <(pollux completion bash)",
    ...tables(points),
    table(
      "_pollux_flags",
      points.map(({ words, flags }) => [words, spellings(flags).join("\n")]),
    ),
    WALK,
    sh`_pollux() {
  local line=@{COMP_LINE:0:COMP_POINT} command= position=0 value= cur last
  local -a words passed=()
  # Not COMP_WORDS, which is cut at every colon and equals sign.
  read -ra words <<< "$line"
  if [[ $line == *[[:space:]] ]]; then words+=(""); fi
  last=$((@{#words[@]} - 1))
  cur=@{words[last]}
  _pollux_walk
  if [[ $cur == --*=* ]]; then cur=@{cur#*=}; fi
  local IFS=$'\n'
  case $value in
    files)
      compopt -o filenames 2>/dev/null
      COMPREPLY=($(compgen -f -- "$cur")) ;;
    flags) COMPREPLY=($(compgen -W "$(_pollux_flags "$command")" -- "$cur")) ;;
    words) COMPREPLY=($(compgen -W "$(_pollux_words "$command")" -- "$cur")) ;;
    "= "*)
      IFS=$' \n'
      COMPREPLY=($(compgen -W "@{value#= }" -- "$cur")) ;;
    credentials|keys|models)
      COMPREPLY=($(compgen -W "$("$1" completion "$value" "@{passed[@]}" 2>/dev/null </dev/null)" -- "$cur")) ;;
    *) COMPREPLY=() ;;
  esac
  # Readline replaces only what follows the last colon.
  if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("@{COMPREPLY[@]#"@{cur%"@{cur##*:}"}"}")
  fi
}
complete -F _pollux pollux`,
    "",
  ].join("\n")
}

function zsh(points: readonly Point[]): string {
  const described = (word: string, says: string) => `${word.replaceAll(":", "\\:")}:${says}`
  return [
    "#compdef pollux",
    "# Completion of pollux for zsh. Load it from ~/.zshrc, behind compinit: source <(pollux completion zsh)",
    ...tables(points),
    table(
      "_pollux_flags",
      points.map(({ words, flags }) => [
        words,
        flags.flatMap((flag) => flag.spellings.map((spelling) => described(spelling, flag.says))).join("\n"),
      ]),
    ),
    table(
      "_pollux_described",
      points.flatMap(({ words, next }) =>
        next.length === 0 ? [] : [[words, next.map(({ word, says }) => described(word, says)).join("\n")] as const],
      ),
    ),
    WALK,
    sh`_pollux() {
  local command= position=0 value= cur=$PREFIX last=$((CURRENT - 1))
  local -a offers passed
  _pollux_walk
  if [[ $cur == --*=* ]]; then compset -P '*='; fi
  case $value in
    files) _files ;;
    flags)
      offers=("@{(@f)$(_pollux_flags "$command")}")
      _describe -o option offers ;;
    words)
      offers=("@{(@f)$(_pollux_described "$command")}")
      _describe command offers ;;
    "= "*) compadd -- @{=value#= } ;;
    credentials|keys|models)
      offers=("@{(@f)$("$words[1]" completion "$value" "$passed[@]" 2>/dev/null </dev/null)}")
      compadd -- "@{(@)offers:#}" ;;
  esac
}
if [[ $funcstack[1] == _pollux ]]; then _pollux "$@"; else compdef _pollux pollux; fi`,
    "",
  ].join("\n")
}

function fish(points: readonly Point[]): string {
  const q = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`
  const list = (words: readonly string[]) => words.map(q).join(" ")
  const lines = points.flatMap(({ words, next, flags, arguments: offers, many }) => {
    const at = (position: string) => q(`__pollux_at ${q(words)}${position}`)
    return [
      ...next.map(({ word, says }) => `complete -c pollux -n ${at(" 0")} -a ${q(word)} -d ${q(says)}`),
      ...flags.map(({ spellings: names, says, value }) => {
        const spelled = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`))
        return `complete -c pollux -n ${at("")} ${spelled.join(" ")} ${value === null ? "" : `${fishOffer(value, true, q)} `}-d ${q(says)}`
      }),
      ...offers.map((offer, i) => {
        const from = many && i === offers.length - 1 ? `${i} more` : String(i)
        return `complete -c pollux -n ${at(` ${from}`)} ${fishOffer(offer, false, q)}`
      }),
    ]
  })
  return [
    "# Completion of pollux for fish. Install it: pollux completion fish > ~/.config/fish/completions/pollux.fish",
    `set -g __pollux_commands ${list(points.flatMap(({ words, next }) => next.map(({ word }) => (words === "" ? word : `${words} ${word}`))))}`,
    `set -g __pollux_valued ${list(values(points).map(([key]) => key))}`,
    sh`function __pollux_at --argument-names wanted position more
    set -l command ''
    set -l count 0
    set -l before ''
    for word in (commandline -opc)[2..-1]
        if test -n "$before"
            set before ''
            continue
        end
        switch $word
            case '--*=*'
            case '-*'
                if contains -- "$command $word" $__pollux_valued
                    set before $word
                end
            case '*'
                if contains -- (string trim -- "$command $word") $__pollux_commands
                    set command (string trim -- "$command $word")
                else
                    set count (math $count + 1)
                end
        end
    end
    test "$command" = "$wanted"; or return 1
    test -z "$position"; and return 0
    test $count -eq $position; and return 0
    test -n "$more"; and test $count -gt $position
end`,
    "complete -c pollux -f",
    ...lines,
    "",
  ].join("\n")
}

/** How fish is told what a value, or an argument, may be. */
function fishOffer(offer: string, value: boolean, q: (text: string) => string): string {
  const need = value ? "-x " : ""
  if (offer === "files") return value ? "-r -F" : "-F"
  if (offer.startsWith("= ")) return `${need}-a ${q(offer.slice(2))}`
  return offer === "nothing" ? `${need}-a ''` : `${need}-a ${q(`(pollux completion ${offer} 2>/dev/null </dev/null)`)}`
}
