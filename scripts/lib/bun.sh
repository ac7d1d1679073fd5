# Gets the pinned Bun. Sourced by the scripts beside this folder, with `root` set to the project's folder:
#
#     . "$root/scripts/lib/bun.sh"
#     get_bun || exit 1        # afterwards $bun is the path of the pinned Bun, and "bun" on PATH is it
#
# Needs a POSIX shell; Node with npm only where no Bun of that very version is found. The version stands in one
# place, "packageManager" in package.json.

say() { printf '%s\n' "$*" >&2; }

# Lets npm and Bun keep their caches on machines where HOME is unset, missing or read-only.
have_home() {
  if [ -z "${HOME:-}" ] || [ ! -d "$HOME" ] || [ ! -w "$HOME" ]; then
    HOME="$root/.tmp/home"
    mkdir -p "$HOME" || return 1
    export HOME
  fi
}

pinned_bun() {
  sed -n 's/^[[:space:]]*"packageManager"[[:space:]]*:[[:space:]]*"bun@\([0-9][^"+]*\).*/\1/p' "$root/package.json" | head -n 1
}

# Usage: is_bun PATH VERSION. BUN_OPTIONS could change what --version answers.
is_bun() {
  [ -x "$1" ] && [ "$(BUN_OPTIONS='' "$1" --version 2>/dev/null </dev/null)" = "$2" ]
}

# Usage: fetch_bun VERSION FOLDER. Leaves FOLDER/bin/bun, or says why not.
#
# The package "bun" is a stub which its install script replaces by the real program. npm 12 no longer runs such
# scripts, npm 11 warns about them; the program itself lies complete in the platform's own package, so no script
# is run and the program is taken from there.
fetch_bun() {
  if ! command -v npm >/dev/null 2>&1; then
    say "error: Bun $1 is not here, and npm, which would fetch it, is not on PATH. Install Node.js with npm, or Bun $1."
    return 1
  fi
  say "Getting Bun $1 from the npm registry ..."
  mkdir -p "$(dirname "$2")" || return 1
  fetched=$(mktemp -d "$(dirname "$2")/fetch.XXXXXX") || return 1
  if ! npm install --prefix "$fetched" --ignore-scripts --no-save --no-package-lock --no-audit --no-fund --loglevel=error \
    "bun@$1" >"$fetched/npm.log" 2>&1 </dev/null; then
    say "error: npm could not install bun@$1:"
    sed 's/^/  /' "$fetched/npm.log" >&2
    rm -rf "$fetched"
    return 1
  fi
  for candidate in "$fetched"/node_modules/@oven/bun-*/bin/bun; do
    if is_bun "$candidate" "$1"; then
      mkdir -p "$fetched/bin"
      mv "$candidate" "$fetched/bin/bun"
      ln -s bun "$fetched/bin/bunx"
      rm -rf "$fetched/node_modules" "$fetched/npm.log"
      # Another script may have been faster: its Bun is as good as this one.
      mv "$fetched" "$2" 2>/dev/null || rm -rf "$fetched"
      if is_bun "$2/bin/bun" "$1"; then return 0; fi
      rm -rf "$fetched"
      say "error: could not place Bun $1 at $2; remove that folder and try again."
      return 1
    fi
  done
  say "error: npm has installed bun@$1, but no program in it runs on this machine ($(uname -sm))."
  rm -rf "$fetched"
  return 1
}

get_bun() {
  have_home || { say "error: no writable home folder, and $root/.tmp could not be made."; return 1; }
  version=$(pinned_bun)
  if [ -z "$version" ]; then
    say "error: package.json has no \"packageManager\": \"bun@VERSION\"."
    return 1
  fi
  bun=$(command -v bun 2>/dev/null || true)
  if [ -z "$bun" ] || ! is_bun "$bun" "$version"; then
    kept="$root/.tmp/bun/$version"
    bun="$kept/bin/bun"
    if ! is_bun "$bun" "$version"; then
      rm -rf "$kept"
      fetch_bun "$version" "$kept" || return 1
    fi
    # Scripts started from here must find this very Bun, not another one.
    PATH="$kept/bin:$PATH"
    export PATH
  fi
}

# Installs exactly what bun.lock says. No package's install script is run.
install_packages() {
  installed="$root/.tmp/installed"
  if [ -d "$root/node_modules" ] && [ -f "$installed" ] &&
    [ ! "$root/bun.lock" -nt "$installed" ] && [ ! "$root/package.json" -nt "$installed" ]; then
    return 0
  fi
  say "Installing packages ..."
  mkdir -p "$root/.tmp"
  if ! (cd "$root" && "$bun" install --frozen-lockfile --ignore-scripts >"$root/.tmp/install.log" 2>&1 </dev/null); then
    say "error: bun install --frozen-lockfile failed:"
    sed 's/^/  /' "$root/.tmp/install.log" >&2
    return 1
  fi
  touch "$installed"
}
