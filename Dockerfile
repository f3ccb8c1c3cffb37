# The engine alone, for evidence of strangers: no network, no root, a read-only file system.
#   docker build -t jitsilab .
#   docker run --rm --network none --read-only --tmpfs /tmp -v "$PWD:/evidence:ro" jitsilab diagnose /evidence
FROM python:3.13-slim AS build
COPY . /source
RUN python -m venv /opt/jitsilab \
    && /opt/jitsilab/bin/pip install --no-cache-dir /source

FROM python:3.13-slim
COPY --from=build /opt/jitsilab /opt/jitsilab
RUN useradd --create-home --uid 10001 lab
USER lab
WORKDIR /evidence
ENTRYPOINT ["/opt/jitsilab/bin/jitsilab"]
CMD ["--help"]
