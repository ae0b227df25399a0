# Image of Postern. `docker compose build` and `docker build -t postern .` use it; both need BuildKit, for the cache mounts.

# Base of the image: C library, libgcc, certificate authorities and the user 65532; no shell and no package manager.
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

FROM rust:1.95-slim-bookworm AS build
ARG TARGETPLATFORM
WORKDIR /src
COPY . .
# The caches keep downloaded crates and compiled dependencies from one build to the next; they are in no layer.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=postern-target-$TARGETPLATFORM,target=/src/target,sharing=locked \
    cargo build --locked --profile image --package postern \
    && install target/image/postern /usr/local/bin/postern

FROM ${BASE}
LABEL org.opencontainers.image.title="Postern" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /usr/local/bin/postern /usr/local/bin/postern
COPY LICENSE /usr/share/doc/postern/LICENSE
# Numeric, so that Kubernetes can check `runAsNonRoot`. The process writes no file: the root filesystem may be read-only.
USER 65532:65532
# Clients; health and metrics; the internal API of a gateway.
EXPOSE 8443 9090 9091
# `postern healthcheck` is the health check of a node in this image; the other commands end by themselves.
ENTRYPOINT ["/usr/local/bin/postern"]
