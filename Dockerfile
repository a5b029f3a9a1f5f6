# The image that agents build on: `FROM ravi-agent-base`.
# BASE_IMAGE is any glibc image with Python 3.11 or later as `python3`; `make images` finds one.
ARG BASE_IMAGE=python:3.13-slim-bookworm

# The packages are the same files on every machine that builds: fetched by this machine's Python for
# the architecture of the image, never by an emulated one.
# hadolint ignore=DL3006
FROM --platform=$BUILDPLATFORM ${BASE_IMAGE} AS packages
ARG TARGETARCH
COPY images/base/packages images/base/hash-cas images/base/requirements.lock /src/
# The host's CA bundle, for whoever builds behind a proxy that opens TLS; it stays out of the image.
RUN --mount=type=secret,id=ca,target=/run/secrets/ca \
    /src/packages "$TARGETARCH" && /src/hash-cas /opt/ravi/lib/certifi
# The official CLI, for whoever asks: --build-arg RAVI_CLI_VERSION=0.6.2. Its checksum is verified.
ARG RAVI_CLI_VERSION
COPY images/base/official_cli.py /src/
RUN --mount=type=secret,id=ca,target=/run/secrets/ca \
    python3 /src/official_cli.py "$RAVI_CLI_VERSION" "$TARGETARCH" /opt/ravi/cli

# hadolint ignore=DL3006
FROM ${BASE_IMAGE} AS build
COPY --from=packages /opt/ravi /opt/ravi
COPY entrypoint/ravi_agent /opt/ravi/lib/ravi_agent
COPY images/base/bin /opt/ravi/bin
# For agents: a skill file, and waiting for a code in Python and JavaScript.
COPY images/base/share /opt/ravi/share
COPY images/base/setup images/base/compile.py /opt/ravi/
# Compiled here, and trusted at start: no agent waits for a comparison of time stamps.
RUN rm -rf /opt/ravi/lib/ravi_agent/launcher /opt/ravi/lib/ravi_agent/local \
    && /opt/ravi/setup \
    && ln -s ../lib/ravi_agent/workspace/SKILL.md /opt/ravi/share/SKILL.md \
    && install -d /opt/ravi/fallback && ln -s ../bin/ravi /opt/ravi/fallback/ravi

# hadolint ignore=DL3006
FROM ${BASE_IMAGE}
# Python would add LC_CTYPE under the C locale; this says the same in the open.
# The workspace is named so that the entrypoint knows its container where it is not PID 1.
ENV LANG=C.UTF-8 RAVI_WORKSPACE=/workspace
# The agent is the user `agent`, else who has uid 1000 already (node's and ubuntu's images), else one
# that is made here.
RUN if ! getent passwd agent >/dev/null && ! getent passwd 1000 >/dev/null; then \
        if ! getent group 1000 >/dev/null; then groupadd --gid 1000 agent; fi \
        # The day of its making would be another one tomorrow: zero says none.
        && SOURCE_DATE_EPOCH=0 useradd --uid 1000 --gid 1000 --create-home --shell /bin/sh agent \
        && rm -f /etc/.pwd.lock; \
    fi \
    && owner=$(getent passwd agent || getent passwd 1000) \
    && ids=${owner#*:*:} && uid=${ids%%:*} && ids=${ids#*:} && gid=${ids%%:*} \
    # Like /tmp: `docker run --user` may name any uid, and a container has one agent.
    && install -d -o "$uid" -g "$gid" -m 1777 /workspace \
    && install -d -m 1777 /run/ravi
COPY --from=build /opt/ravi /opt/ravi
COPY images/base/profile.sh /etc/profile.d/ravi.sh
RUN for command in ravi-entrypoint ravi-init ravi-release ravi-whoami; do \
        ln -s "/opt/ravi/bin/$command" "/usr/local/bin/$command"; \
    done \
    && if [ -e /opt/ravi/cli/ravi ]; then ln -s /opt/ravi/cli/ravi /usr/local/bin/ravi; fi \
    && ravi-entrypoint --help >/dev/null
# `ravi` comes last of all, so that an official CLI installed anywhere is found before it. Login
# shells forget this PATH; profile.sh says it again.
ENV PATH=$PATH:/opt/ravi/fallback
WORKDIR /workspace
# Starting while it provisions, healthy once the agent runs.
HEALTHCHECK --interval=30s --timeout=10s --start-period=70s CMD ["/opt/ravi/bin/ravi-health"]
# What `docker stop` sends: said here, whatever the base image says.
STOPSIGNAL SIGTERM
# Root until the agent starts: the entrypoint reads the key, then steps down to `agent`.
ENTRYPOINT ["/opt/ravi/bin/ravi-entrypoint"]
CMD ["ravi-whoami"]
