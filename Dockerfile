# One image for every role of Framewire: `python -m api`, `python -m streamproc ROLE`.
#   docker build --target server .   CPU
#   docker build --target gpu .      with Intel's OpenCL driver, for /dev/dri
# It speaks to servers: no Java, no SeaweedFS, no chDB (the extra `embedded`) is in it.

FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 UV_LINK_MODE=copy
WORKDIR /build
COPY requirements-bootstrap.lock deploy/build.lock deploy/server.lock ./
RUN python -m venv /tools \
 && /tools/bin/pip install --require-hashes -r requirements-bootstrap.lock \
 && /tools/bin/uv pip install --python /tools/bin/python --require-hashes -r build.lock \
 && python -m venv --without-pip /opt/framewire \
 && /tools/bin/uv pip sync --no-cache --python /opt/framewire/bin/python --require-hashes server.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY api api
COPY console console
COPY models models
COPY streamproc streamproc
COPY deploy/wheel deploy/wheel
RUN /tools/bin/uv build --wheel --no-build-isolation --python /tools/bin/python --out-dir dist . \
 && /tools/bin/uv pip install --no-cache --python /opt/framewire/bin/python --no-deps dist/*.whl

FROM python:3.11-slim-bookworm AS server
# Volumes that are mounted here for the first time take over the owner.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin framewire \
 && install -d -o framewire -g framewire /models /spool
COPY --from=build /opt/framewire /opt/framewire
# The wheel has its packages below one name; here their own names are enough.
ENV PATH=/opt/framewire/bin:$PATH PYTHONPATH=/opt/framewire/lib/python3.11/site-packages/framewire \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /tmp
USER 10001:10001
EXPOSE 8080
CMD ["python", "-m", "api"]

FROM server AS gpu
USER root
RUN apt-get update \
 && apt-get install --yes --no-install-recommends intel-opencl-icd \
 && rm -rf /var/lib/apt/lists/*
USER 10001:10001
