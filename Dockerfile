# docker build -t pollux .
#
# The build stage needs no more than Node with npm: the pinned Bun comes from the npm registry. The image holds the executable, the C
# library and no shell.

FROM --platform=$BUILDPLATFORM node:24-bookworm-slim AS build
WORKDIR /src

# First what changes seldom, so that Bun and the packages are fetched only when they do.
COPY package.json bun.lock bunfig.toml ./
COPY scripts/lib/bun.sh scripts/lib/
RUN root=$PWD && . scripts/lib/bun.sh && get_bun && install_packages

COPY tsconfig.json LICENSE ./
COPY scripts/build.ts scripts/
COPY src src
# The commit, for `pollux --version`; the build has no git.
ARG POLLUX_REVISION=unknown
# Set by BuildKit when it builds for another architecture.
ARG TARGETARCH
RUN root=$PWD && . scripts/lib/bun.sh && get_bun && "$bun" scripts/build.ts --outfile=image/usr/local/bin/pollux \
      ${TARGETARCH:+--target=bun-linux-$(echo "$TARGETARCH" | sed s/amd64/x64/)} \
 && mkdir -p image/usr/share/doc/pollux \
 && cp LICENSE image/usr/share/doc/pollux/

# A folder of the user 65532 ("nonroot"), so that a fresh volume is that user's too.
RUN mkdir -p data/app/data && chmod 0700 data/app/data

FROM gcr.io/distroless/base-nossl-debian12:nonroot
LABEL org.opencontainers.image.title="Pollux" \
      org.opencontainers.image.description="Serves a pool of your own OAuth credentials as the Gemini and OpenAI Responses APIs" \
      org.opencontainers.image.licenses="AGPL-3.0-only"
COPY --from=build /src/image/ /
COPY --from=build --chown=65532:65532 /src/data/ /

USER 65532:65532
# The configuration is mounted there. A database_url without a folder, as in config.toml.example, lands in the volume.
ENV POLLUX_CONFIG=/app/config.toml
WORKDIR /app/data
VOLUME ["/app/data"]
EXPOSE 8188

# Lets open streams finish; give it time for them: docker stop --time 330.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=6s --start-period=10s --retries=3 CMD ["/usr/local/bin/pollux", "health"]
ENTRYPOINT ["/usr/local/bin/pollux"]
