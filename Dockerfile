# The image of the question service and of the ingest worker. Holds no model, policy, key or data.
#
# PYTHON_IMAGE is pinned by version; pin the digest that you have checked with
# --build-arg PYTHON_IMAGE=python:3.11.14-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS build

# The default index may not hold the CPU build of PyTorch: name the index that does. Every file is
# checked against its hash in requirements/, wherever it comes from.
ARG PIP_INDEX_URL=
ARG PIP_EXTRA_INDEX_URL=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1

WORKDIR /source
RUN python -m venv --without-pip /opt/venv
COPY requirements/app.lock requirements/postgres.lock requirements/
RUN pip --python /opt/venv/bin/python install --require-hashes --no-deps \
      --requirement requirements/app.lock --requirement requirements/postgres.lock

COPY pyproject.toml README.md LICENSE ./
COPY ragplatform ragplatform
COPY ingest ingest
# setuptools comes from the lock: a build in isolation would fetch one without a hash.
RUN pip --python /opt/venv/bin/python install --no-deps --no-build-isolation . \
 && pip --python /opt/venv/bin/python uninstall --yes setuptools

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE}

# An installer is a way to bring in code; nothing is installed at run time.
RUN python -m pip uninstall --yes pip setuptools wheel \
 && rm -rf /usr/local/lib/python3.11/ensurepip \
 && groupadd --gid 10001 ragplatform \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
      --shell /usr/sbin/nologin ragplatform \
 && install -d -o 10001 -g 10001 -m 700 /data

COPY --from=build /opt/venv /opt/venv

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RAGPLATFORM_DATA_DIR=/data \
    RAGPLATFORM_MODELS_DIR=/models \
    RAGPLATFORM_POLICIES_DIR=/policies \
    HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    DO_NOT_TRACK=1 \
    TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS=

WORKDIR /data
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/readyz', timeout=8)"]
ENTRYPOINT ["ragplatform"]
CMD ["serve"]
